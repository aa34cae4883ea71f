"""The handle on an array module: where arrays live, of which dtype, and which kernels run on them."""

from __future__ import annotations

import importlib
import importlib.util
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from core.arrays import Array, Namespace
from core.feed import Feed, Resident
from core.kernels import Kernels
from core.kernels.inplace import NumpyKernels

if TYPE_CHECKING:
    from core.many_steps import ManySteps

DTYPES = ("float32", "float64")
LINE = 64
"""Bytes of a line of the cache, and of the widest vector."""
COPIED = 32 * 2**20
"""Bytes up to which samples of another dtype are converted at once; those of more are, batch by batch, every time."""


class BackendError(RuntimeError):
    """The device that was asked for can't be used; the message says what is missing."""


@dataclass(frozen=True)
class Memory:
    """Bytes of a device's memory: what our arrays take, and what is free."""

    used: int
    free: int


class Backend(ABC):
    """A namespace `xp`, a dtype, a device, and the kernels for them. It is passed on explicitly; there is no global.

    Attributes:
        name: "numpy", "cupy:0", …
        xp: the array module.
        dtype: of parameters and activations, "float32" or "float64".
        kernels: the fused operations.
        compiles: whether code is compiled for the processor, so that there may be `many_steps`.
    """

    name: str
    xp: Namespace
    dtype: np.dtype[Any]
    kernels: Kernels
    compiles: bool = False

    def for_training(self) -> Backend:
        """Return the same with the fastest kernels, which may have to be compiled when they are first called."""
        return self

    @property
    def many_steps(self) -> type[ManySteps] | None:
        """What takes many steps in one call, where there is such a thing."""
        return None

    @abstractmethod
    def empty(self, shape: Sequence[int], dtype: str | None = None) -> Array:
        """Return an array with any content; `dtype` is the backend's own where not given."""

    @abstractmethod
    def zeros(self, shape: Sequence[int], dtype: str | None = None) -> Array:
        """Return an array of zeros."""

    @abstractmethod
    def asarray(self, host: np.ndarray, dtype: str | None = None) -> Array:
        """Return `host` on the device, converted to `dtype`, the backend's own where not given."""

    def table(self, host: np.ndarray, dtype: str | None = None) -> Array:
        """Return `host`, whose rows batches are gathered from, on the device; on the host it may keep its own dtype."""
        return self.asarray(host, dtype)

    def feed(self, tables: Sequence[np.ndarray], dtypes: Sequence[str | None], rows: int) -> Feed:
        """Return how batches of up to `rows` rows come from `tables`, on the host, to arrays of these dtypes.

        The dtypes are those on the device, the backend's own where None.
        """
        return Resident(self, [self.table(table, dtype) for table, dtype in zip(tables, dtypes, strict=True)])

    @abstractmethod
    def to_host(self, array: Array) -> np.ndarray:
        """Return a copy of `array` as a NumPy array; waits until it is computed."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until all that was asked of the device is done."""

    @abstractmethod
    def memory(self) -> Memory | None:
        """Return the device's memory figures; None where the device is the host."""

    def limit_memory(self, size: int) -> None:  # noqa: B027 -- the host's memory isn't ours to limit
        """Let the arrays of this process have up to `size` bytes of the device, beyond which MemoryError is raised.

        Args:
            size: in bytes; 0 for all that the device has.
        """

    def __repr__(self) -> str:
        return f"<Backend {self.name} {self.dtype}>"

    def __reduce__(self) -> tuple[Callable[..., Backend], tuple[Any, ...]]:
        return get_backend, (self.name, str(self.dtype))  # for pickle and copy, as a module can't be stored


class NumpyBackend(Backend):
    """The host, through NumPy."""

    def __init__(self, dtype: str = "float32", *, compiled: bool = True) -> None:
        self.name = "numpy"
        self.xp = np
        self.dtype = np.dtype(dtype)
        self.kernels = NumpyKernels()
        self._compiled = compiled

    def for_training(self) -> Backend:
        """Return the same with Numba's kernels, unless it is not to be compiled or Numba isn't installed."""
        return CompiledNumpyBackend(str(self.dtype)) if self._compiled and has_numba() else self

    @property
    def many_steps(self) -> type[ManySteps] | None:
        """Steps in compiled code; imported here, as they are made of what imports this file."""
        return importlib.import_module("core.compiled_steps").CompiledSteps if self.compiles else None

    def __reduce__(self) -> tuple[Callable[..., Backend], tuple[Any, ...]]:
        return get_backend, (self.name, str(self.dtype), self._compiled)

    def empty(self, shape: Sequence[int], dtype: str | None = None) -> Array:
        """Return an array with any content."""
        return _aligned(np.empty, shape, dtype or self.dtype)

    def zeros(self, shape: Sequence[int], dtype: str | None = None) -> Array:
        """Return an array of zeros."""
        return _aligned(np.zeros, shape, dtype or self.dtype)

    def asarray(self, host: np.ndarray, dtype: str | None = None) -> Array:
        """Return `host` in `dtype`, contiguous; itself where it is that already."""
        return np.ascontiguousarray(host, dtype or self.dtype)

    def table(self, host: np.ndarray, dtype: str | None = None) -> Array:
        """Return `host` as it is where a copy would be large, as it may lie in a file; else as `asarray` does."""
        large = host.size * np.dtype(dtype or self.dtype).itemsize > COPIED
        # A row in pieces all over the memory would cost too much to gather, again and again.
        return host if large and host.strides[-1] == host.itemsize else self.asarray(host, dtype)

    def to_host(self, array: Array) -> np.ndarray:
        """Return a copy of `array`."""
        return np.array(array)

    def synchronize(self) -> None:
        """Return at once: NumPy's calls have ended when they return."""

    def memory(self) -> None:
        """Return None: the host's memory isn't ours to count."""


class CompiledNumpyBackend(NumpyBackend):
    """The host, with kernels that Numba compiles when they are first called."""

    compiles = True

    def __init__(self, dtype: str = "float32") -> None:
        super().__init__(dtype)
        self.kernels = _compiled_kernels()


def _aligned(make: Callable[..., np.ndarray], shape: Sequence[int], dtype: Any) -> np.ndarray:
    """Return what `make` does, beginning with a line of the cache, where a vector lies in one line and not in two."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = make(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(dtype).reshape(shape)


@cache
def has_numba() -> bool:
    """Return whether Numba is installed; it isn't imported."""
    return importlib.util.find_spec("numba") is not None


@cache
def _compiled_kernels() -> Kernels:
    # Imported by name, so that nothing that only imports core, such as the web process, is tied to Numba.
    return importlib.import_module("core.kernels.compiled").CompiledKernels()


def get_backend(name: str = "numpy", dtype: str = "float32", compiled: bool = True) -> Backend:
    """Return the backend called `name`.

    Args:
        name: "numpy"; "cupy" or "cupy:1" for a GPU through CuPy; "auto" for a GPU that really works, else NumPy.
        dtype: "float32" or "float64", for parameters and activations.
        compiled: on the CPU, whether training may use code that is compiled for this processor: a second or two when a
            combination of activations, loss and optimizer is met for the first time on this machine, and several times
            faster from then on. A GPU's code is always compiled.

    Raises:
        ValueError: for an unknown name or dtype.
        BackendError: where "cupy" was asked for and can't be used; the message says what is missing.

    >>> get_backend("numpy", dtype="float64")
    <Backend numpy float64>
    """
    if str(dtype) not in DTYPES:
        raise ValueError(f"dtype: {dtype!r} is not allowed; it must be one of {', '.join(DTYPES)}")
    kind, _, index = name.partition(":")
    if name == "numpy":
        return NumpyBackend(str(dtype), compiled=compiled)
    if name == "auto":
        try:
            return _cupy(0, str(dtype))
        except BackendError:
            return NumpyBackend(str(dtype), compiled=compiled)
    if kind == "cupy" and (index.isdecimal() or name == "cupy"):
        return _cupy(int(index or 0), str(dtype))
    raise ValueError(f"backend: there is no {name!r}; allowed are numpy, cupy, cupy:<number of the GPU>, auto")


def _cupy(device: int, dtype: str) -> Backend:
    # Imported by name and only here: whoever doesn't ask for a GPU never loads CuPy, and no import statement ties the
    # web process to it.
    return importlib.import_module("core.cupy_backend").open_device(device, dtype)
