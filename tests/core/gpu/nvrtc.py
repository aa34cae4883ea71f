"""Compile CUDA text as CuPy would, for a GPU that isn't there: NVRTC, CUDA's run-time compiler, needs no driver."""

from __future__ import annotations

import pytest

from core.kernels import cuda

nvrtc = pytest.importorskip("cupy_backends.cuda.libs.nvrtc", exc_type=ImportError)

CUPYS_OPTIONS = ("-ftz=true", "--device-as-default-execution-space")
"""What CuPy 14 adds to ours (cupy/cuda/compiler.py)."""


class CudaError(Exception):
    """NVRTC refuses the text, or warns about it; the message is its log."""


def compile_cuda(code: str, architecture: str) -> str:
    """Return the PTX of `code` for `architecture`, such as "sm_90"; the machine code for it is made on the way.

    Raises:
        CudaError: for errors, and for warnings too.
    """
    program = nvrtc.createProgram(code, "kernels.cu", (), ())
    try:
        options = (*cuda.OPTIONS, *CUPYS_OPTIONS, f"-arch={architecture}")
        try:
            nvrtc.compileProgram(program, options)
        except nvrtc.NVRTCError as error:
            raise CudaError(nvrtc.getProgramLog(program)) from error
        log = [line for line in nvrtc.getProgramLog(program).splitlines() if "are deprecated" not in line]
        if "".join(log).strip():
            raise CudaError("\n".join(log))
        assert nvrtc.getCUBIN(program)
        return nvrtc.getPTX(program).decode()
    finally:
        nvrtc.destroyProgram(program)


def supports(architecture: str) -> bool:
    """Return whether this NVRTC still knows `architecture`; CUDA 13 has dropped sm_70."""
    return int(architecture.removeprefix("sm_")) in nvrtc.getSupportedArchs()
