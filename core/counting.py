"""A backend whose arrays take no memory: what is built on it shows how much it would take."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence

import numpy as np

from core.arrays import Array
from core.backend import COPIED, Backend, NumpyBackend, has_numba


class CountingBackend(NumpyBackend):
    """NumPy's arrays of any shape, whose elements are all one and the same number; nothing is to be computed with them.

    Attributes:
        bytes: what the arrays would take that are in use.

    >>> counting = CountingBackend("float32")
    >>> array = counting.zeros((1000, 1000))
    >>> array.shape, counting.bytes
    ((1000, 1000), 4000000)
    >>> del array
    >>> counting.bytes
    0
    """

    def __init__(self, dtype: str) -> None:
        super().__init__(dtype)
        self.bytes = 0
        self.compiles = has_numba()  # not imported: the web process estimates too

    def for_training(self) -> Backend:
        """Return itself: it is the kernels that differ in training, not the arrays."""
        return self

    def empty(self, shape: Sequence[int], dtype: str | None = None) -> Array:
        """Return an array that is counted."""
        number = np.zeros(1, dtype or self.dtype)
        size = math.prod(shape) * number.itemsize
        self.bytes += size
        weakref.finalize(number, self._release, size)  # every view holds on to it
        return np.ndarray(tuple(shape), number.dtype, number, strides=(0,) * len(shape))

    def zeros(self, shape: Sequence[int], dtype: str | None = None) -> Array:
        """Return an array that is counted."""
        return self.empty(shape, dtype)

    def asarray(self, host: np.ndarray, dtype: str | None = None) -> Array:
        """Return an array like `host` that is counted: who hands it over keeps none."""
        return self.empty(host.shape, dtype)

    def table(self, host: np.ndarray, dtype: str | None = None) -> Array:
        """Return an array like `host`; it is the caller's own, and not counted, unless NumPy's would be a copy."""
        wanted = np.dtype(dtype or self.dtype)
        is_copied = host.dtype != wanted and host.size * wanted.itemsize <= COPIED
        return self.empty(host.shape, dtype) if is_copied else host

    def _release(self, size: int) -> None:
        self.bytes -= size
