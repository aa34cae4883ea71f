"""`cupy.RawModule` without a GPU: it reads the parameters of the kernels in the CUDA source, and checks every launch.

A GPU checks nothing of this: where an argument is missing, or an array has another dtype or strides, it reads what it
finds. What a kernel computes is left to an `Executor`: NumPy formulas (`kernel_formulas`), or the CUDA text itself,
compiled for the host (`cuda_on_host`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from tests.core.gpu.stand_in_array import StandInArray


class Launch(Protocol):
    """Runs a kernel."""

    def __call__(self, blocks: int, threads: int, args: list[Any], shared: int = 0, /) -> None:
        """Take the arguments as NumPy arrays, NumPy scalars or None; `shared` is bytes that a block's threads share."""
        ...


Executor: TypeAlias = Callable[[str, str], Launch]
"""From a CUDA source and the name of a kernel in it to what computes it."""

DTYPES = {
    "float": np.dtype("float32"),
    "double": np.dtype("float64"),
    "int": np.dtype("int32"),
    "long long": np.dtype("int64"),
    "unsigned long long": np.dtype("uint64"),
}
FREELY_SHARED = 48 * 1024
"""Bytes that a launch can have without asking."""
MOST_THREADS, MOST_BLOCKS = 1024, (2**31 - 1, 65_535, 65_535)
"""Of a block, and of a grid along x, y and z (CUDA C++ Programming Guide, "Technical Specifications")."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel; `text` is its type as it stands in the source."""

    name: str
    text: str
    dtype: np.dtype[Any]
    nullable: bool

    @property
    def pointer(self) -> bool:
        return self.text.endswith("*")

    @property
    def const(self) -> bool:
        return self.text.startswith("const ")


def parameters_of_kernels(code: str) -> dict[str, list[Parameter]]:
    """Return the parameters of each kernel in `code`."""
    named = {alias: ctype for ctype, alias in re.findall(r"typedef (\w+) (\w+);", code)}
    # A kernel that asks `if (pointer)` is one that takes a null pointer there.
    nullable = set(re.findall(r"if \((\w+)\)", code))

    def parameter(declaration: str) -> Parameter:
        text, name = declaration.strip().rsplit(maxsplit=1)
        ctype = text.removeprefix("const ").removesuffix("*")
        return Parameter(name, text, DTYPES[named.get(ctype, ctype)], name in nullable)

    declared = re.findall(r'extern "C" __global__ void (?:__launch_bounds__\(\d+\) )?(\w+)\(([^)]*)\)', code)
    return {name: [parameter(declaration) for declaration in parameters.split(",")] for name, parameters in declared}


class RawModule:
    """The kernels in `code`."""

    def __init__(self, execute: Executor, code: str) -> None:
        self._execute, self._code = execute, code
        self._kernels = parameters_of_kernels(code)

    def get_function(self, name: str) -> RawKernel:
        if name not in self._kernels:
            raise RuntimeError(f"CUDA_ERROR_NOT_FOUND: named symbol not found: {name}")
        return RawKernel(name, self._kernels[name], self._execute(self._code, name))


class RawKernel:
    """A kernel that can be launched; every launch is checked first."""

    def __init__(self, name: str, parameters: list[Parameter], launch: Launch) -> None:
        self.name, self.parameters, self._launch = name, parameters, launch
        self.max_dynamic_shared_size_bytes = FREELY_SHARED

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], *, shared_mem: int = 0
    ) -> None:
        _check_size("grid", grid, MOST_BLOCKS)
        _check_size("block", block, (MOST_THREADS, MOST_THREADS, 64))
        if int(np.prod(block)) > MOST_THREADS:
            raise ValueError(f"{self.name}: a block of {block} has more than {MOST_THREADS} threads")
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise ValueError(f"{self.name}: CUDA_ERROR_INVALID_VALUE: a block can't share {shared_mem} bytes")
        if len(args) != len(self.parameters):
            raise TypeError(f"{self.name}: takes {len(self.parameters)} arguments, but {len(args)} were given")
        checked = [self._checked(parameter, value) for parameter, value in zip(self.parameters, args, strict=True)]
        self._launch(int(np.prod(grid)), int(np.prod(block)), checked, shared_mem)

    def _checked(self, parameter: Parameter, value: Any) -> Any:
        where = f"{self.name}: {parameter.text} {parameter.name}"
        if not parameter.pointer:
            # CuPy would pass a Python float as a double and an int as 64 bits, whatever the kernel takes.
            if not isinstance(value, np.generic) or value.dtype != parameter.dtype:
                raise TypeError(f"{where} needs a NumPy scalar of {parameter.dtype}, not {type(value).__name__}")
            return value
        if parameter.nullable and isinstance(value, np.generic) and value.dtype == np.intp and value == 0:
            return None
        if not isinstance(value, StandInArray):
            raise TypeError(f"{where} needs an array on the device, not {type(value).__name__}")
        if value.dtype != parameter.dtype:
            raise TypeError(f"{where} needs elements of {parameter.dtype}, not {value.dtype}")
        # The biases of a fleet lie apart by one network's parameters; the kernel takes that distance as `stride`.
        part = value.host[0] if parameter.name == "bias" and value.ndim == 3 else value.host
        if not part.flags.c_contiguous:
            raise ValueError(f"{where} needs a C-contiguous array, not the strides {value.strides} for {value.shape}")
        return value.host


def _check_size(name: str, size: object, most: tuple[int, ...]) -> None:
    if not isinstance(size, tuple) or not 1 <= len(size) <= 3 or not all(type(number) is int for number in size):
        raise TypeError(f"{name}: {size!r} is not a tuple of one to three ints")
    if not all(1 <= number <= limit for number, limit in zip(size, most, strict=False)):
        raise ValueError(f"{name}: {size} is not within 1 and {most}")
