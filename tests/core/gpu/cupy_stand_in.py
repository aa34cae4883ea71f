"""A stand-in for the module `cupy` where there is no GPU: NumPy computes, but only what the real CuPy would take.

Each call is bound to the signature of the installed CuPy's function, what CuPy doesn't have raises AttributeError, the
host's arrays don't mix with the device's, and kernels are launched through `raw_kernels`.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.core.gpu import stand_in_streams
from tests.core.gpu.kernel_formulas import compute_by_formulas
from tests.core.gpu.raw_kernels import Executor, RawModule
from tests.core.gpu.stand_in_array import StandInArray, call_function, call_ufunc, cupy, signature_of, syncdetect

STREAMS = ("Stream", "Event", "get_current_stream", "alloc_pinned_memory")
"""Of `cupy.cuda`, what `stand_in_streams` has."""


class Device:
    """`cupy.cuda.Device`."""

    mem_info = (3 << 30, 4 << 30)

    def __init__(self, device: int, *, shared_memory: int) -> None:
        self.id = device
        self.attributes = {"MaxSharedMemoryPerBlockOptin": shared_memory, "MultiProcessorCount": 2}

    def use(self) -> None: ...

    def synchronize(self) -> None:
        syncdetect._declare_synchronize()


class MemoryPool:
    """`cupy.get_default_memory_pool()`."""

    limit = 0

    def used_bytes(self) -> int:
        return 1 << 20

    def free_bytes(self) -> int:
        return 1 << 10

    def get_limit(self) -> int:
        return self.limit

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        """Bound by hand: the real one is compiled, and tells its signature in its docstring only."""
        assert (size is None) != (fraction is None), "one of them"
        self.limit = size or 0

    def free_all_blocks(self, stream: object = None) -> None: ...


class PinnedMemoryPool:
    """`cupy.get_default_pinned_memory_pool()`."""

    def free_all_blocks(self) -> None: ...


class CupyStandIn:
    """The module itself. What isn't written out here is computed by NumPy's function of the same name.

    Args:
        execute: how the CUDA kernels are computed.
        devices: how many GPUs there seem to be.
        shared_memory: bytes that a block's threads can share; with none there are no many steps in one launch.
    """

    ndarray = StandInArray

    def __init__(self, execute: Executor = compute_by_formulas, devices: int = 1, shared_memory: int = 0) -> None:
        self._execute, self._pool, self._pinned_pool = execute, MemoryPool(), PinnedMemoryPool()
        self.cuda = SimpleNamespace(
            Device=partial(Device, shared_memory=shared_memory),
            runtime=SimpleNamespace(getDeviceCount=lambda: devices),
            **{name: getattr(stand_in_streams, name) for name in STREAMS},
        )

    def RawModule(self, *, code: str, options: tuple[str, ...] = ()) -> RawModule:
        if not isinstance(options, tuple):
            raise TypeError(f"Argument 'options' has incorrect type (expected tuple, got {type(options).__name__})")
        return RawModule(self._execute, code)

    def get_default_memory_pool(self) -> MemoryPool:
        return self._pool

    def get_default_pinned_memory_pool(self) -> PinnedMemoryPool:
        return self._pinned_pool

    def asarray(self, *args: Any, **options: Any) -> StandInArray:
        given = signature_of("asarray").bind(*args, **options).arguments
        value, dtype = given["a"], given.get("dtype")
        if isinstance(value, StandInArray) and dtype in (None, value.dtype):
            return value
        return StandInArray(np.array(value.host if isinstance(value, StandInArray) else value, dtype))

    def asnumpy(self, *args: Any, **options: Any) -> np.ndarray:
        return signature_of("asnumpy").bind(*args, **options).arguments["a"].get()

    def empty(self, *args: Any, **options: Any) -> StandInArray:
        array = call_function("empty", *args, **options)
        array.host.fill(
            {"f": np.nan, "i": -1, "u": np.iinfo(np.uint64).max}[array.dtype.kind]
        )  # so that a read before a write shows
        return array

    def take(self, *args: Any, **options: Any) -> StandInArray:
        given = signature_of("take").bind(*args, **options).arguments
        if given.get("out") is not None and given["out"].dtype != given["a"].dtype:
            raise TypeError("Output dtype mismatch")  # NumPy would convert
        return call_function("take", *args, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # Python's own questions, as at import, aren't for CuPy
        real = getattr(cupy, name)  # AttributeError, where CuPy has no such thing
        if isinstance(real, cupy.ufunc):
            return partial(call_ufunc, name)
        if isinstance(real, type) and issubclass(real, np.generic):
            return real
        if callable(real) and hasattr(np, name):
            return partial(call_function, name)
        raise NotImplementedError(f"the stand-in doesn't know cupy.{name} yet; write it out in CupyStandIn")
