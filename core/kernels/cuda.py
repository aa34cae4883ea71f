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


def softmax_cross_entropy_source(_loss: object, dtype: str) -> str:
    """Return `softmax_cross_entropy`: ln Σ exp(z) − Σ t z and J̄ (softmax(z) − t) for each of `rows` rows of n.

    t is (1 − smoothing)·onehot(y) + smoothing/n.
    """
    return f"""
typedef {CTYPES[dtype]} T;

__device__ inline T largest(T value) {{
  for (int lane = 16; lane > 0; lane /= 2) {{
    T other = __shfl_xor_sync(0xffffffffu, value, lane);
    value = other > value || other != other ? other : value;
  }}
  return value;
}}

__device__ inline T total(T value) {{
  for (int lane = 16; lane > 0; lane /= 2) value += __shfl_xor_sync(0xffffffffu, value, lane);
  return value;
}}

extern "C" __global__ void softmax_cross_entropy(
    const T* z, const long long* y, const T* j_bar, T smoothing, T* values, T* z_bar, long long rows, long long n) {{
  int lane = threadIdx.x % 32;
  T keep = T(1) - smoothing, rest = smoothing / T(n);
  long long warps = (long long)gridDim.x * blockDim.x / 32;
  for (long long row = (blockIdx.x * (long long)blockDim.x + threadIdx.x) / 32; row < rows; row += warps) {{
    const T* logits = z + row * n;
    T* gradient = z_bar + row * n;
    T top = logits[0];
    for (long long j = lane; j < n; j += 32) top = logits[j] > top || logits[j] != logits[j] ? logits[j] : top;
    top = largest(top);
    T sum = T(0), shifted = T(0);
    for (long long j = lane; j < n; j += 32) {{
      T e = exp(logits[j] - top);
      gradient[j] = e;
      sum += e;
      shifted += logits[j] - top;
    }}
    sum = total(sum);
    shifted = total(shifted);
    long long label = y[row];
    T known = keep * (logits[label] - top);
    if (rest > T(0)) known += rest * shifted;
    if (lane == 0) values[row] = log(sum) - known;
    for (long long j = lane; j < n; j += 32)
      gradient[j] = j_bar[row] * (gradient[j] / sum - (j == label ? keep + rest : rest));
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
