"""Every kernel's source compiles for the GPUs that we support, without a warning."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("cupy", exc_type=ImportError)

from core.kernels import cuda
from core.optimizers import Adam
from tests.core.gpu.kernel_formulas import sources
from tests.core.gpu.nvrtc import CudaError, compile_cuda, supports
from tests.core.gpu.raw_kernels import parameters_of_kernels


# The oldest and the newest: one between has all that the oldest has.
@pytest.mark.parametrize("architecture", ["sm_70", "sm_90"])
@pytest.mark.parametrize("dtype", cuda.CTYPES)
@pytest.mark.parametrize(("source", "formula"), sources(), ids=[formula.name for _, formula in sources()])
def test_source_compiles(source: Callable[[Any, str], str], formula: Any, dtype: str, architecture: str) -> None:
    if not supports(architecture):
        pytest.skip(f"this version of NVRTC no longer compiles for {architecture}")
    code = source(formula, dtype)
    ptx = compile_cuda(code, architecture)
    assert all(f".entry {kernel}(" in ptx for kernel in parameters_of_kernels(code))
    # A literal like 1.0, or a function without a float version, would compute in double, 64 times slower on many GPUs.
    assert dtype == "float64" or not re.search(r"\.f64\b", ptx)


def test_syntax_error_is_reported_with_the_compilers_log() -> None:
    code = cuda.rule_source(Adam, "float32").replace("p -= ", "p -= -= ")
    with pytest.raises(CudaError, match=r"kernels\.cu\(\d+\): error: expected an expression"):
        compile_cuda(code, "sm_80")


def test_warning_is_an_error() -> None:
    code = cuda.rule_source(Adam, "float32").replace("T p = p_[i];", "T p = p_[i]; T unused = p;")
    with pytest.raises(CudaError, match="never referenced"):
        compile_cuda(code, "sm_80")


def test_arithmetic_in_double_shows_in_the_float32_code() -> None:
    code = cuda.rule_source(Adam, "float32").replace("p -= ", "p -= 0.1 * ")
    assert re.search(r"\.f64\b", compile_cuda(code, "sm_80"))
