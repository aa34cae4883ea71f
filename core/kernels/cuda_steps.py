"""The source of `steps`: a whole stretch of an epoch in one launch, each network of a fleet in a block of its own.

It is the passes of `core.backpropagation` for dense layers and dropout, line for line, for networks so small that the
weights, the optimizer's slots and a batch's activations stay in the memory that a block shares. Between the phases of a
step the block's threads meet. Each number is computed by one thread in an order that the shapes fix, so it depends
neither on the number of threads nor on the other networks.

The formulas are those that single kernels have: an activation's and an optimizer's CUDA text, softmax cross-entropy's
from `core.kernels.cuda`, and of other losses the reference formula itself, translated.
"""

from __future__ import annotations

from typing import NamedTuple

from core.activations import Elementwise
from core.kernels.counter import FIRST, GAMMA, SECOND
from core.kernels.cuda import CTYPES, SOFTMAX_CROSS_ENTROPY
from core.kernels.cuda_translation import as_cuda
from core.losses import Loss, SoftmaxCrossEntropy
from core.optimizers import ElementwiseOptimizer

MOST_THREADS = 512
"""Threads of a block, at most: each then has 128 registers."""

LAYER = ("n_in", "n_out", "weight_at", "has_bias", "f", "z_at", "a_at", "trail_at")
"""What the kernel is told of each layer, as integers.

Widths; where Θ begins among the parameters, followed by b; the place of f among the activations, from 1 on, or 0 for
none; where in shared memory z lies, which z̄ later overwrites, and a, or for the last layer the samples' losses; and
where z begins in `trail`, followed by a where there is an f, in elements for each sample.

z and a lie feature by feature, `batch_size | 1` elements each: an odd number, so that threads meet different banks of
the memory both along the samples and along the features.
"""


class Formulas(NamedTuple):
    """What the text is made for: the optimizer's class, the activations that layers have, and the loss."""

    rule: type[ElementwiseOptimizer]
    activations: tuple[Elementwise, ...]
    loss: Loss

    @property
    def name(self) -> str:
        """All their names."""
        return "-".join([self.rule.name, *(f.name for f in self.activations), self.loss.name])


def steps_source(formulas: Formulas, dtype: str) -> str:
    """Return `steps`: `count` steps of each network from the epoch's step `first` on.

    Its parameters, beside the tables x `(M, n)` and y `(M,)` or `(M, n_outputs)`, and the flat buffers:
        order: of the samples, `(N, n_samples)`.
        totals: Σ of the losses so far, `(N,)`.
        numbers: for each step those of the rule, and the share by which Θ decays; network k's begin `numbers_apart`
            behind those of network k − 1.
        layers: `LAYER` of each.
        first_dropped, scales: of the dropout behind each layer, the bits of a counter from which on an element is
            dropped, or 0 where there is no dropout; and 1/keep.
        seeds, streams: of each network, `(N,)`; of each step and layer, `(count, n_layers)`.
        trail: for each network z and a of each layer, and the samples' losses, of the last step; null otherwise.
    """
    rule, loss = formulas.rule, formulas.loss
    slots = [f"slot_{name}" for name in rule.slots]
    with_labels = type(loss) is SoftmaxCrossEntropy
    values = "".join(f" case {code}: return {f.cuda_value};" for code, f in enumerate(formulas.activations, 1))
    slopes = "".join(f" case {code}: return {f.cuda_derivative};" for code, f in enumerate(formulas.activations, 1))
    arguments = ", ".join([*(f"T& {slot}" for slot in rule.slots), *(f"const T {number}" for number in rule.numbers)])
    own_slots = [f"own_{slot}" for slot in slots]
    places = ", ".join(f"*const own_{slot} = shared + {place} * size" for place, slot in enumerate(slots, 1))
    load = " ".join(f"own_{slot}[q] = {slot}[network * size + q];" for slot in slots)
    store = " ".join(f"{slot}[network * size + q] = own_{slot}[q];" for slot in slots)
    given = ", ".join([*(f"{slot}[q]" for slot in own_slots), *(f"number[{k}]" for k in range(len(rule.numbers)))])
    return f"""
typedef {CTYPES[dtype]} T;
extern __shared__ T shared[];

struct Layer {{ int {", ".join(LAYER)}; }};

__device__ inline T f_of(int f, T z) {{
  switch (f) {{{values} }}
  return z;
}}

__device__ inline T f_prime_of(int f, T z, T a) {{
  switch (f) {{{slopes} }}
  return T(1);
}}

__device__ inline void update(T& p, const T g, {arguments}) {{
  {rule.cuda}
}}

__device__ inline unsigned long long mixed(unsigned long long z) {{
  z = (z ^ (z >> 30)) * {FIRST}ull;
  z = (z ^ (z >> 27)) * {SECOND}ull;
  return z ^ (z >> 31);
}}

__device__ inline T mask(unsigned long long stream, unsigned long long first_dropped, T scale, long long element) {{
  return mixed(mixed(stream) + element * {GAMMA}ull) < first_dropped ? scale : T(0);
}}
{_softmax(loss) if with_labels else _elementwise(loss)}
extern "C" __global__ void __launch_bounds__({MOST_THREADS}) steps(
    const T* x, const {"long long" if with_labels else "T"}* y, const long long* order, double* totals,
    T* parameters, T* gradients, {"".join(f"T* {slot}, " for slot in slots)}const T* numbers, long long numbers_apart,
    const int* layers, const unsigned long long* first_dropped, const T* scales, const unsigned long long* seeds,
    const unsigned long long* streams, T* trail, int n_layers, int size, int batch_size, long long n_samples,
    long long first, long long count) {{
  const Layer* const layer = (const Layer*)layers;
  const Layer top = layer[n_layers - 1];
  const long long network = blockIdx.x;
  const int thread = threadIdx.x, threads = blockDim.x, n_inputs = layer[0].n_in, apart = batch_size | 1;
  const int losses_at = top.trail_at + (top.f ? 2 : 1) * top.n_out;
  T* const p = shared{f", {places}" if slots else ""};
  T* const input = shared + {1 + len(slots)} * size;
  T* const values = shared + top.a_at;
  T* const seen = trail + network * (losses_at + 1) * batch_size;
  for (int q = thread; q < size; q += threads) {{
    p[q] = parameters[network * size + q]; {load}
  }}
  double sum_of_losses = totals[network];
  for (long long k = 0; k < count; k++) {{
    const long long start = (first + k) * batch_size;
    const int m = batch_size < n_samples - start ? batch_size : n_samples - start;
    const long long* const rows = order + network * n_samples + start;
    const unsigned long long seed = seeds[network];
    const unsigned long long* const stream = streams + k * n_layers;
    const T* const number = numbers + network * numbers_apart + k * {len(rule.numbers) + 1};
    const T share = number[{len(rule.numbers)}];
    for (int e = thread; e < m * n_inputs; e += threads) {{
      const int row = e / n_inputs, i = e % n_inputs;
      input[i * apart + row] = x[rows[row] * n_inputs + i];
    }}
    __syncthreads();
    // Forward: z = a_prev Θᵀ + b, a = f(z).
    for (int l = 0; l < n_layers; l++) {{
      const Layer at = layer[l];
      const T* const below = l ? shared + layer[l - 1].a_at : input;
      for (int e = thread; e < m * at.n_out; e += threads) {{
        const int j = e / m, row = e % m;
        const T* const theta = p + at.weight_at + j * at.n_in;
        T z = T(0);
        for (int i = 0; i < at.n_in; i++) z += below[i * apart + row] * theta[i];
        if (at.has_bias) z += p[at.weight_at + at.n_out * at.n_in + j];
        T a = f_of(at.f, z);
        shared[at.z_at + j * apart + row] = z;
        if (trail) {{
          seen[at.trail_at * batch_size + row * at.n_out + j] = z;
          if (at.f) seen[(at.trail_at + at.n_out) * batch_size + row * at.n_out + j] = a;
        }}
        if (first_dropped[l]) a *= mask(seed + stream[l], first_dropped[l], scales[l], row * at.n_out + j);
        if (l < n_layers - 1) shared[at.a_at + j * apart + row] = a;
      }}
      __syncthreads();
    }}
    // Top: each sample's loss, and z̄ in the place of z.
    for (int row = thread; row < m; row += threads) {{
      values[row] = loss_of(shared + top.z_at + row, apart, top.n_out, top.f, y, rows[row], T(1) / T(m));
      if (trail) seen[losses_at * batch_size + row] = values[row];
    }}
    __syncthreads();
    if (thread == 0) {{
      T sum = T(0);
      for (int row = 0; row < m; row++) sum += values[row];
      sum_of_losses += sum;
    }}
    // Backward: ā_prev = z̄ Θ, z̄_prev = ā_prev ∘ f'(z_prev), in the place of z_prev.
    for (int l = n_layers - 1; l > 0; l--) {{
      const Layer at = layer[l], below = layer[l - 1];
      for (int e = thread; e < m * at.n_in; e += threads) {{
        const int i = e / m, row = e % m;
        const T* const z_bar = shared + at.z_at + row;
        T a_bar = T(0);
        for (int j = 0; j < at.n_out; j++) a_bar += z_bar[j * apart] * p[at.weight_at + j * at.n_in + i];
        T* const z = shared + below.z_at + i * apart + row;
        T a = shared[below.a_at + i * apart + row];
        if (first_dropped[l - 1]) {{
          a_bar *= mask(seed + stream[l - 1], first_dropped[l - 1], scales[l - 1], row * at.n_in + i);
          a = f_of(below.f, *z);
        }}
        *z = a_bar * f_prime_of(below.f, *z, a);
      }}
      __syncthreads();
    }}
    // Θ̄ = z̄ᵀ a_prev, b̄ = Σ z̄, and the optimizer.
    int l = 0;
    for (int q = thread; q < size; q += threads) {{
      while (q >= layer[l].weight_at + layer[l].n_out * (layer[l].n_in + layer[l].has_bias)) l++;
      const Layer at = layer[l];
      const int place = q - at.weight_at, weights = at.n_out * at.n_in;
      const int j = place < weights ? place / at.n_in : place - weights;
      const T* const z_bar = shared + at.z_at + j * apart;
      T g = T(0);
      if (place < weights) {{
        const T* const below = (l ? shared + layer[l - 1].a_at : input) + place % at.n_in * apart;
        for (int row = 0; row < m; row++) g += z_bar[row] * below[row];
        if (share > T(0)) p[q] -= share * p[q];
      }} else {{
        for (int row = 0; row < m; row++) g += z_bar[row];
      }}
      update(p[q], g, {given});
      if (k == count - 1) gradients[network * size + q] = g;
    }}
    __syncthreads();
  }}
  for (int q = thread; q < size; q += threads) {{
    parameters[network * size + q] = p[q]; {store}
  }}
  if (thread == 0) totals[network] = sum_of_losses;
}}
"""


def _softmax(loss: SoftmaxCrossEntropy) -> str:
    return f"""{SOFTMAX_CROSS_ENTROPY}
__device__ inline T loss_of(
    T* z, int apart, int n, int, const long long* y, long long sample, T j_bar) {{
  return softmax_cross_entropy<1>(z, z, n, apart, 0, y[sample], j_bar, T({loss.smoothing!r}));
}}
"""


def _elementwise(loss: Loss) -> str:
    kind = type(loss)
    return f"""
{as_cuda([(kind.value, "loss_value"), (kind.gradient, "loss_gradient")], loss)}
__device__ inline T loss_of(T* z, int apart, int n, int f, const T* y, long long sample, T j_bar) {{
  T value = T(0);
  for (int j = 0; j < n; j++) {{
    const T z_j = z[j * apart], u = f_of(f, z_j), target = y[sample * n + j];
    value += loss_value(u, target);
    z[j * apart] = loss_gradient(u, target, j_bar) * f_prime_of(f, z_j, u);
  }}
  return value;
}}
"""
