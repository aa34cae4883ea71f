"""The array of the CuPy stand-in: it has what `cupy.ndarray` has, and nothing turns it into a NumPy array unasked."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cache, partialmethod
from typing import Any, ClassVar

import numpy as np
import pytest

cupy = pytest.importorskip("cupy", exc_type=ImportError)
syncdetect = pytest.importorskip("cupy._core.syncdetect", exc_type=ImportError)


class StandInArray:
    """An array "on the device", whose values lie in the NumPy array `host`.

    Attributes that aren't written out here are looked up in the real `cupy.ndarray` first, so that what CuPy doesn't
    have is missing here too, and methods are bound to the signature that CuPy documents.
    """

    reads: ClassVar[int] = 0
    """How often values went from the device to the host: each time, a GPU would have waited."""

    __array_ufunc__ = None  # NumPy's functions and operators refuse to touch it

    def __init__(self, host: np.ndarray) -> None:
        self.host = host

    def __array__(self, *_args: object, **_options: object) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def get(self) -> np.ndarray:
        syncdetect._declare_synchronize()  # as CuPy's own does, which raises within `cupyx.allow_synchronize(False)`
        StandInArray.reads += 1
        return self.host.copy()

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        """As `cupy/_core/core.pyx` has it."""
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if self.host.dtype != arr.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.host.dtype} array")
        if self.host.shape != arr.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.host.shape}, new shape: {arr.shape}")
        if not (self.host.flags.c_contiguous or self.host.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        if not arr.flags.c_contiguous:
            raise RuntimeError("CuPy would copy it, and the copy would be gone before the stream gets to it")
        if stream is None:
            self.host[...] = arr
        else:
            stream.copy(self.host, arr)

    def item(self) -> Any:
        return self.get().item()

    def __float__(self) -> float:
        return float(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __bool__(self) -> bool:
        return bool(self.get())

    def __len__(self) -> int:
        return len(self.host)

    def __iter__(self) -> Iterator[StandInArray]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, index: Any) -> StandInArray:
        index = index if isinstance(index, tuple) else (index,)
        whole = () if any(part is Ellipsis for part in index) else (Ellipsis,)  # CuPy gives 0-d arrays, not scalars
        return wrap(self.host[(*unwrap(index), *whole)])

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, np.ndarray):
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")  # CuPy's own words (cupy#2079)
        self.host[unwrap(index)] = unwrap(value)

    def __getattr__(self, name: str) -> Any:
        getattr(cupy.ndarray, name)  # AttributeError, where CuPy has no such thing
        value = getattr(self.host, name)
        if not callable(value):
            return wrap(value)
        signature = _signature_of_method(name)

        def method(*args: Any, **options: Any) -> Any:
            bound = signature.bind(self, *args, **options)
            return wrap(value(*unwrap(bound.args[1:]), **unwrap(bound.kwargs)))

        return method


def unwrap(value: Any) -> Any:
    """Return `value` for NumPy to compute with; raise for an array of the host, as CuPy does."""
    if isinstance(value, StandInArray):
        return value.host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, tuple | list):
        return type(value)(map(unwrap, value))
    if isinstance(value, dict):
        return {key: unwrap(part) for key, part in value.items()}
    return value


def wrap(value: Any) -> Any:
    """Return NumPy's result as CuPy would: arrays of the device, also for what NumPy makes a scalar."""
    return StandInArray(np.asarray(value)) if isinstance(value, np.ndarray | np.generic) else value


def call_ufunc(name: str, *operands: Any, **options: Any) -> StandInArray:
    """Call NumPy's ufunc `name` as far as CuPy's takes the arguments (`cupy._core._kernel.ufunc.__call__`)."""
    real = getattr(cupy, name)
    unknown = options.keys() - {"out", "dtype", "casting"}
    if unknown:
        raise TypeError(f"Wrong arguments {sorted(unknown)}")
    if not real.nin <= len(operands) <= real.nargs:
        raise TypeError(f"Wrong number of arguments for {name!r}: {len(operands)}")
    for operand in (*operands, options.get("out", 0)):
        if not isinstance(operand, StandInArray | bool | int | float | np.generic):
            raise TypeError(f"Unsupported type {type(operand)}")
    return wrap(getattr(np, name)(*unwrap(operands), **unwrap(options)))


def call_function(name: str, *args: Any, **options: Any) -> Any:
    """Call NumPy's function `name` with arguments that fit the signature of CuPy's."""
    bound = signature_of(name).bind(*args, **options)
    return wrap(getattr(np, name)(*unwrap(bound.args), **unwrap(bound.kwargs)))


@cache
def signature_of(name: str) -> inspect.Signature:
    """Return the signature of CuPy's function `name`; reading it takes longer than many a call."""
    return inspect.signature(getattr(cupy, name))


@cache
def _signature_of_method(name: str) -> inspect.Signature:
    # The methods are compiled and carry their signature in the docstring's first line only.
    line = re.match(rf"_ndarray_base\.{name}\((.*)\)( ->.*)?\n", getattr(cupy.ndarray, name).__doc__ or "")
    if line is None:
        raise NotImplementedError(f"CuPy doesn't tell the signature of ndarray.{name}; write it out in StandInArray")
    return inspect.signature(eval(f"lambda {line[1]}: None"))


def _add_operators() -> None:
    arithmetic = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "pow": "power"}
    comparisons = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal"}
    for operator, ufunc in (arithmetic | comparisons).items():
        setattr(StandInArray, f"__{operator}__", partialmethod(_apply, ufunc))
    for operator, ufunc in {"neg": "negative", "abs": "absolute"}.items():
        setattr(StandInArray, f"__{operator}__", partialmethod(_apply_alone, ufunc))
    for operator, ufunc in arithmetic.items():
        setattr(StandInArray, f"__r{operator}__", partialmethod(_apply_reflected, ufunc))
        setattr(StandInArray, f"__i{operator}__", partialmethod(_apply_in_place, ufunc))


def _apply_alone(array: StandInArray, ufunc: str) -> StandInArray:
    return call_ufunc(ufunc, array)


def _apply(array: StandInArray, ufunc: str, other: Any) -> StandInArray:
    return call_ufunc(ufunc, array, other)


def _apply_reflected(array: StandInArray, ufunc: str, other: Any) -> StandInArray:
    return call_ufunc(ufunc, other, array)


def _apply_in_place(array: StandInArray, ufunc: str, other: Any) -> StandInArray:
    call_ufunc(ufunc, array, other, out=array)
    return array


_add_operators()
