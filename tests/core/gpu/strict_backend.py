"""A backend on array_api_strict with every array on a second, pretend device: whatever mixes it with the host raises.

It stands in for a GPU in one respect: a formula that makes an array where it shouldn't, or takes one of the host's,
fails here as it would there. It also holds the reference formulas to the array API standard.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import numpy as np

from core.arrays import Array
from core.backend import Backend
from core.kernels import ReferenceKernels

UNWRITTEN = {"int64": -1, "uint64": np.uint64(2**64 - 1)}
"""What integers hold before they are written; other arrays hold NaN."""


class StrictBackend(Backend):
    """The reference kernels on array_api_strict's "device1"; NumPy's arrays count as the host's."""

    def __init__(self, dtype: str) -> None:
        self.name = "strict"
        self.xp = importlib.import_module("array_api_strict")
        self.dtype = np.dtype(dtype)
        self.kernels = ReferenceKernels(self.xp)
        self._device = self.xp.Device("device1")

    def empty(self, shape: Sequence[int], dtype: str | None = None) -> Array:
        """Return an array of NaN, so that whatever is read before it is written shows; for integers, of −1."""
        dtype = dtype or str(self.dtype)
        return self.asarray(np.full(shape, UNWRITTEN.get(dtype, np.nan)), dtype)

    def zeros(self, shape: Sequence[int], dtype: str | None = None) -> Array:
        return self.asarray(np.zeros(shape), dtype)

    def asarray(self, host: np.ndarray, dtype: str | None = None) -> Array:
        return self.xp.asarray(np.array(host, dtype or self.dtype), device=self._device)

    def to_host(self, array: Array) -> np.ndarray:
        return np.array(array.to_device(self.xp.Device("CPU_DEVICE")))

    def synchronize(self) -> None:
        """Return at once: the pretend device computes in NumPy."""

    def memory(self) -> None:
        """Return None: a pretend device has no memory of its own."""
