"""The source of the CUDA kernels, as text. Nothing here imports CuPy, so that NVRTC can compile it on any machine.

The formulas of activations and rules stand in their own files; here is only what surrounds them: one thread for
each element, or one warp for each row. Offsets are 64-bit, as a fleet's buffers can pass 2³¹ elements.
"""

from __future__ import annotations

from core.activations import Elementwise
from core.rule import Rule

CTYPES = {"float32": "float", "float64": "double"}
OPTIONS = ("--std=c++14",)
"""For NVRTC. CuPy adds its own, among them -ftz=true: in float32, denormals count as 0."""
WARP = 32
THREADS = 256
"""Threads of a block; a multiple of a warp."""

_EACH = (
    "for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < size;"
    " i += (long long)gridDim.x * blockDim.x)"
)


def activation_source(activation: Elementwise, dtype: str) -> str:
    """Return `bias_activation` and `activation_pullback` for `activation`, elements of the type `dtype`.

    z, a, ā, z̄ are contiguous `(…, m, n)`, of `size` elements; the bias of network k begins at `bias + k * stride`,
    and a network has `network_size` = m·n elements.
    """
    return f"""
typedef {CTYPES[dtype]} T;

__device__ inline T f(T z) {{ return {activation.cuda_value}; }}
__device__ inline T f_prime(T z, T a) {{ return {activation.cuda_derivative}; }}

extern "C" __global__ void bias_activation(
    T* z, const T* bias, T* a, long long size, long long network_size, long long n, long long stride) {{
  {_EACH} {{
    T sum = z[i];
    if (bias) sum += bias[(i / network_size) * stride + i % n];
    z[i] = sum;
    a[i] = f(sum);
  }}
}}

extern "C" __global__ void activation_pullback(
    const T* a_bar, const T* z, const T* a, T* z_bar, long long size) {{
  {_EACH} z_bar[i] = a_bar[i] * f_prime(z[i], a[i]);
}}
"""


SOFTMAX_CROSS_ENTROPY = """
template <int LANES> __device__ inline T largest(T value) {
  for (int lane = LANES / 2; lane > 0; lane /= 2) {
    T other = __shfl_xor_sync(0xffffffffu, value, lane);
    value = other > value || other != other ? other : value;
  }
  return value;
}

template <int LANES> __device__ inline T total(T value) {
  for (int lane = LANES / 2; lane > 0; lane /= 2) value += __shfl_xor_sync(0xffffffffu, value, lane);
  return value;
}

template <int LANES> __device__ inline T softmax_cross_entropy(
    const T* logits, T* gradient, long long n, long long apart, int lane, long long label, T j_bar, T smoothing) {
  T keep = T(1) - smoothing, rest = smoothing / T(n);
  T top = logits[0];
  for (long long j = lane; j < n; j += LANES)
    top = logits[j * apart] > top || logits[j * apart] != logits[j * apart] ? logits[j * apart] : top;
  top = largest<LANES>(top);
  T known = keep * (logits[label * apart] - top), sum = T(0), shifted = T(0);
  for (long long j = lane; j < n; j += LANES) {
    T from_top = logits[j * apart] - top;
    T e = exp(from_top);
    gradient[j * apart] = e;
    sum += e;
    shifted += from_top;
  }
  sum = total<LANES>(sum);
  shifted = total<LANES>(shifted);
  if (rest > T(0)) known += rest * shifted;
  for (long long j = lane; j < n; j += LANES)
    gradient[j * apart] = j_bar * (gradient[j * apart] / sum - (j == label ? keep + rest : rest));
  return log(sum) - known;
}
"""
"""ln Σ exp(z) − Σ t z of one sample, t = (1 − smoothing)·onehot(y) + smoothing/n; J̄ (softmax(z) − t) to `gradient`.

The sample's n logits lie `apart` elements from each other, as do those of `gradient`, which may be the same array where
there is one lane; `LANES` threads share the work.
"""


def softmax_cross_entropy_source(_loss: object, dtype: str) -> str:
    """Return `of_rows`: each of `rows` rows of n by a warp, as `SOFTMAX_CROSS_ENTROPY` says."""
    return f"""
typedef {CTYPES[dtype]} T;
{SOFTMAX_CROSS_ENTROPY}
extern "C" __global__ void of_rows(
    const T* z, const long long* y, const T* j_bar, T smoothing, T* values, T* z_bar, long long rows, long long n) {{
  int lane = threadIdx.x % 32;
  long long warps = (long long)gridDim.x * blockDim.x / 32;
  for (long long row = (blockIdx.x * (long long)blockDim.x + threadIdx.x) / 32; row < rows; row += warps) {{
    T value = softmax_cross_entropy<32>(z + row * n, z_bar + row * n, n, 1, lane, y[row], j_bar[row], smoothing);
    if (lane == 0) values[row] = value;
  }}
}}
"""


def rule_source(rule: type[Rule], dtype: str) -> str:
    """Return `elementwise_step`: one pass over the flat buffer of `size` elements; and `step_each` for a fleet.

    There, each number is an array with one for each network, and a network has `network_size` elements.
    """
    slots, numbers = rule.slots, rule.numbers
    arrays = ["T* p_", "const T* g_", *(f"T* {slot}_" for slot in slots)]
    parameters = [*arrays, *(f"T {number}" for number in numbers), "long long size"]
    of_each = [*arrays, *(f"const T* {number}_" for number in numbers), "long long size", "long long network_size"]
    load = " ".join(f"T {slot} = {slot}_[i];" for slot in slots)
    load_numbers = " ".join(f"const T {number} = {number}_[i / network_size];" for number in numbers)
    store = " ".join(f"{slot}_[i] = {slot};" for slot in slots)
    return f"""
typedef {CTYPES[dtype]} T;

extern "C" __global__ void elementwise_step({", ".join(parameters)}) {{
  {_EACH} {{
    T p = p_[i]; const T g = g_[i]; {load}
    {rule.cuda}
    p_[i] = p; {store}
  }}
}}

extern "C" __global__ void step_each({", ".join(of_each)}) {{
  {_EACH} {{
    T p = p_[i]; const T g = g_[i]; {load}
    {load_numbers}
    {rule.cuda}
    p_[i] = p; {store}
  }}
}}
"""
