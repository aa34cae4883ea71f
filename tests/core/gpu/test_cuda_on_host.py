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


def test_text_that_is_no_cpp_is_refused_with_the_compilers_message() -> None:
    with pytest.raises(RuntimeError, match="error: expected"):
        kernel("out[0] = ;")
