"""A GPU through CuPy. CuPy is imported when a device is opened, and never before."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from core.arrays import Array, Namespace
from core.backend import Backend, BackendError, Memory
from core.feed import Feed, Resident
from core.kernels.fused import FusedKernels
from core.streaming import Streamed

if TYPE_CHECKING:
    from core.many_steps import ManySteps

PIECE = 16 * 2**20
"""Bytes of a piece in which a table is brought to the device, as CuPy copies each to pinned memory on the way."""
SHARE = 0.5
"""Of the memory that is free, how much the tables may have; the rest is for the network and its training."""


class CupyBackend(Backend):
    """Device `device` of the CuPy namespace `cupy`."""

    def __init__(self, cupy: Namespace, device: int, dtype: str) -> None:
        self.name = f"cupy:{device}"
        self.xp = cupy
        self.dtype = np.dtype(dtype)
        self.kernels = FusedKernels(cupy)
        self._device = cupy.cuda.Device(device)
        # CuPy allocates on the calling thread's current device; a training process uses one.
        self._device.use()

    @property
    def many_steps(self) -> type[ManySteps]:
        """Steps in one launch; imported here, as they are made of what imports this file."""
        return importlib.import_module("core.persistent_steps").PersistentSteps

    @cached_property
    def shared_memory(self) -> int:
        """Bytes that a block of threads can share, where a kernel asks for it."""
        return self._device.attributes["MaxSharedMemoryPerBlockOptin"]

    @cached_property
    def multiprocessors(self) -> int:
        """How many the device has: so many blocks, at least, are computed at a time."""
        return self._device.attributes["MultiProcessorCount"]

    def empty(self, shape: Sequence[int], dtype: str | None = None) -> Array:
        """Return an array with any content."""
        return self.xp.empty(shape, dtype=dtype or self.dtype)

    def zeros(self, shape: Sequence[int], dtype: str | None = None) -> Array:
        """Return an array of zeros."""
        return self.xp.zeros(shape, dtype=dtype or self.dtype)

    def asarray(self, host: np.ndarray, dtype: str | None = None) -> Array:
        """Return `host` on the device."""
        return self.xp.asarray(np.ascontiguousarray(host, dtype or self.dtype))

    def table(self, host: np.ndarray, dtype: str | None = None) -> Array:
        """Return `host` on the device; it may lie in a file, and is never in the host's memory as a whole."""
        found = self.empty(host.shape, dtype)
        rows = max(1, PIECE * len(host) // max(1, found.nbytes))
        for start in range(0, len(host), rows):
            found[start : start + rows] = self.asarray(host[start : start + rows], dtype)
        return found

    def feed(self, tables: Sequence[np.ndarray], dtypes: Sequence[str | None], rows: int) -> Feed:
        """Return how batches come from the tables: gathered on the device where all of them fit, else streamed."""
        named = [dtype or str(self.dtype) for dtype in dtypes]
        size = sum(table.size * np.dtype(dtype).itemsize for table, dtype in zip(tables, named, strict=True))
        if size > SHARE * self._left():
            return Streamed(self.xp, tables, named, rows)
        return Resident(self, [self.table(table, dtype) for table, dtype in zip(tables, named, strict=True)])

    def _left(self) -> int:
        """Return the bytes that new arrays can have: of the device, or of what they are limited to."""
        pool = self.xp.get_default_memory_pool()
        free, limit = self._device.mem_info[0] + pool.free_bytes(), pool.get_limit()
        return min(free, limit - pool.used_bytes()) if limit else free

    def to_host(self, array: Array) -> np.ndarray:
        """Return a copy of `array` on the host."""
        return self.xp.asnumpy(array)

    def synchronize(self) -> None:
        """Wait until the device is done."""
        self._device.synchronize()

    def memory(self) -> Memory:
        """Return what CuPy's pool has handed out, and what the device has free."""
        return Memory(used=self.xp.get_default_memory_pool().used_bytes(), free=self._device.mem_info[0])

    def limit_memory(self, size: int) -> None:
        """Limit CuPy's pool, from which all arrays come, on this device."""
        self.xp.get_default_memory_pool().set_limit(size=size)


def open_device(device: int, dtype: str) -> CupyBackend:
    """Return GPU number `device` after an allocation, a kernel of ours and a product have worked on it.

    Raises:
        BackendError: with the first thing that is missing: CuPy, a driver, the device, a compiler, cuBLAS.
    """
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        raise BackendError(
            f"backend 'cupy:{device}': CuPy can't be imported ({error}). Install it with "
            "pip install 'deltabar[cuda12]' or 'deltabar[cuda13]', or use the backend 'numpy'"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        if device >= count:
            raise BackendError(f"backend 'cupy:{device}': this machine has {count} GPU(s), numbered from 0")
        backend = CupyBackend(cupy, device, dtype)
        _prove(backend)
    except BackendError:
        raise
    except Exception as error:  # CuPy's errors share no base class: driver, runtime, NVRTC, cuBLAS, loader
        raise BackendError(
            f"backend 'cupy:{device}': CuPy is installed but the GPU can't be used "
            f"({type(error).__name__}: {error}). It needs an NVIDIA driver and a GPU; use the backend 'numpy' otherwise"
        ) from error
    return backend


def _prove(backend: CupyBackend) -> None:
    from core.optimizers import Sgd

    p, g = backend.asarray(np.ones((2, 2))), backend.asarray(np.eye(2))
    product = backend.empty((2, 2))
    backend.kernels.matmul(p, g, out=product)
    state = Sgd(learning_rate=1.0).init(backend, p)
    Sgd(learning_rate=1.0).update(backend, p, g, state)
    got = backend.to_host(product), backend.to_host(p)
    if not (np.array_equal(got[0], np.ones((2, 2))) and np.array_equal(got[1], 1 - np.eye(2))):
        raise BackendError(f"{backend.name}: the GPU gives wrong results: {got}")
