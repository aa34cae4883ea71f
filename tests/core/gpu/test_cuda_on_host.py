"""Running the CUDA text on the CPU shows what a GPU would pass over in silence."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

pytest.importorskip("cupy", exc_type=ImportError)

from tests.core.gpu.cuda_on_host import compute_on_host
from tests.core.gpu.raw_kernels import Launch

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++ to compile the CUDA text")


def kernel(body: str) -> Launch:
    source = f'typedef float T;\nextern "C" __global__ void kernel(T* out, long long size) {{ {body} }}'
    return compute_on_host(source, "kernel")


def test_every_thread_of_every_block_runs() -> None:
    out = np.zeros(100, np.float32)
    kernel("long long i = blockIdx.x * blockDim.x + threadIdx.x; if (i < size) out[i] += i;")(
        2, 64, [out, np.int64(100)]
    )
    np.testing.assert_array_equal(out, np.arange(100))


def test_a_shuffle_exchanges_the_values_of_a_warp() -> None:
    out = np.zeros(64, np.float32)
    exchange = "T other = __shfl_xor_sync(0xffffffffu, T(threadIdx.x), 1); "
    kernel(exchange + "out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, other, 2);")(1, 64, [out, np.int64(64)])
    np.testing.assert_array_equal(out, np.arange(64) ^ 3)


def test_a_write_beyond_the_end_is_found() -> None:
    with pytest.raises(RuntimeError, match="wrote beyond the ends of out"):
        kernel("out[size] = 1;")(1, 32, [np.zeros(10, np.float32), np.int64(10)])


def test_a_lane_that_misses_a_shuffle_is_found() -> None:
    with pytest.raises(RuntimeError, match="a lane left while the others"):
        kernel("if (threadIdx.x) out[0] = __shfl_xor_sync(0xffffffffu, T(0), 1);")(
            1, 32, [np.zeros(1, np.float32), np.int64(1)]
        )


def on_shared_memory(body: str) -> Launch:
    head = "typedef float T;\nextern __shared__ T shared[];\n"
    source = f'{head}extern "C" __global__ void kernel(T* out, long long size) {{ int i = threadIdx.x; {body} }}'
    return compute_on_host(source, "kernel")


def test_a_barrier_holds_back_the_whole_block() -> None:
    out = np.zeros(128, np.float32)
    kernel = on_shared_memory("shared[i] = i; __syncthreads(); out[i] = shared[127 - i];")
    kernel(1, 128, [out, np.int64(128)], 4 * 128)
    np.testing.assert_array_equal(out, np.arange(128)[::-1])


def test_shuffles_between_barriers() -> None:
    out = np.zeros(64, np.float32)
    body = "T from = __shfl_xor_sync(0xffffffffu, T(i), 1); shared[i] = from; __syncthreads(); out[i] = shared[63 - i];"
    on_shared_memory(body)(1, 64, [out, np.int64(64)], 4 * 64)
    np.testing.assert_array_equal(out, (np.arange(64) ^ 1)[::-1])


@pytest.mark.parametrize("place", ["i + 1", "i - 1", "63 - i", "i ^ 32"])
def test_a_missing_barrier_is_found_whichever_thread_is_first(place: str) -> None:
    body = f"shared[i] = i + 1; int at = {place}; out[i] = at >= 0 && at < 64 ? shared[at] : 0; __syncthreads();"
    with pytest.raises(RuntimeError, match="out depends on the order of the threads"):
        on_shared_memory(body)(1, 64, [np.zeros(64, np.float32), np.int64(64)], 4 * 64)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("if (i) __syncthreads();", "a lane left while the others of its warp"),
        ("if (i >= 32) __syncthreads();", "a warp left while others of its block"),
        ("if (i % 2) __syncthreads(); else __shfl_xor_sync(0xffffffffu, T(0), 2);", "a lane left while the others"),
        ("shared[size] = 1; __syncthreads();", "beyond the end of the shared memory"),
    ],
)
def test_a_fault_at_a_barrier_is_found(body: str, says: str) -> None:
    with pytest.raises(RuntimeError, match=says):
        on_shared_memory(body)(1, 64, [np.zeros(64, np.float32), np.int64(64)], 4 * 64)


def test_each_block_has_shared_memory_of_its_own() -> None:
    """A GPU's holds anything at first, here NaN, and nothing of another block's."""
    out = np.zeros(2, np.float32)
    body = "if (shared[i] != shared[i] && i == 0) out[blockIdx.x] = 1; shared[i] = 0; __syncthreads();"
    on_shared_memory(body)(2, 32, [out, np.int64(2)], 4 * 32)
    np.testing.assert_array_equal(out, [1, 1])


def test_text_that_is_no_cpp_is_refused_with_the_compilers_message() -> None:
    with pytest.raises(RuntimeError, match="error: expected"):
        kernel("out[0] = ;")
