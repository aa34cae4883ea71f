"""Batches from tables that stay on the host, in pinned memory, by a stream of its own: the GPU computes meanwhile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle

import numpy as np

from core.arrays import Array, Namespace
from core.feed import Feed
from core.kernels.inplace import NumpyKernels


class Streamed(Feed):
    """Tables that a GPU hasn't the memory for, or that lie in a file; nothing but a batch is ever on the device.

    A step is only asked for, not waited for. So while the device computes batch k, the host gathers the rows of batch
    k + 1 into pinned memory, converted to the device's dtype, and the copy engine brings them to a place of their own.
    There are two such pairs of places, which take turns. Events keep the order: the steps' stream waits for the copy of
    its batch; a copy waits until the steps' stream has taken what lay in its place; and the host, before it writes to
    pinned memory, waits for the copy from there, two batches ago, and for nothing else.

    Args:
        cupy: the namespace.
        tables: on the host.
        dtypes: of each table on the device.
        rows: the most that `take` writes, in a fleet for all networks together.
    """

    def __init__(self, cupy: Namespace, tables: Sequence[np.ndarray], dtypes: Sequence[str], rows: int) -> None:
        self._cupy, self.tables, self._kernels = cupy, tuple(tables), NumpyKernels()
        # One that NULL doesn't wait for, on which the steps go.
        self._stream = cupy.cuda.Stream(non_blocking=True)
        sizes = [rows * math.prod(table.shape[1:]) for table in tables]
        self._places = cycle([_Place(cupy, sizes, dtypes) for _ in range(2)])

    def begin(self, order: np.ndarray) -> None:
        """Take over the order of an epoch, which stays on the host too."""
        self.order = np.ascontiguousarray(order, np.int64)

    def take(self, start: int, stop: int, outs: Sequence[Array]) -> None:
        """Gather the rows, have them copied, and let the steps' stream take them when they are there."""
        place, index, steps = next(self._places), self.order[..., start:stop], self._cupy.cuda.get_current_stream()
        place.copied.synchronize()
        self._stream.wait_event(place.taken)
        on_device = []
        for table, pinned, staged, out in zip(self.tables, place.pinned, place.staged, outs, strict=True):
            host = pinned[: out.size].reshape(out.shape)
            self._kernels.gather(table, index, out=host)
            on_device.append(staged[: out.size].reshape(out.shape))
            on_device[-1].set(host, stream=self._stream)
        place.copied.record(self._stream)
        steps.wait_event(place.copied)
        for staged, out in zip(on_device, outs, strict=True):
            out[...] = staged
        place.taken.record(steps)


class _Place:
    """Where a batch lies in pinned memory, and then on the device; and the events after its copy, and its taking."""

    def __init__(self, cupy: Namespace, sizes: Sequence[int], dtypes: Sequence[str]) -> None:
        def pinned(size: int, dtype: str) -> np.ndarray:
            memory = cupy.cuda.alloc_pinned_memory(max(1, size) * np.dtype(dtype).itemsize)
            return np.frombuffer(memory, dtype, size)

        self.pinned = [pinned(size, dtype) for size, dtype in zip(sizes, dtypes, strict=True)]
        self.staged = [cupy.empty((size,), dtype=dtype) for size, dtype in zip(sizes, dtypes, strict=True)]
        self.copied, self.taken = (cupy.cuda.Event(block=True, disable_timing=True) for _ in range(2))
