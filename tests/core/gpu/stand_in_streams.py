"""Streams, events and pinned memory of the CuPy stand-in: copies happen when they are waited for, not earlier.

What is asked of the current stream is done at once. A copy that is asked of another one is put off until the current
stream, or the host, waits for an event behind it; so where that wait is missing, the old numbers are still there. And
what a GPU would pass over in silence raises: to copy once more from memory of the host before the host has waited for
the copy from there, and to copy once more to memory of the device before the copying stream has waited for the current
one, which may still be reading there.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import numpy as np

from tests.core.gpu.stand_in_array import syncdetect

_clock = count(1)


class Stream:
    """`cupy.cuda.Stream`."""

    def __init__(
        self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: int | None = None
    ) -> None:
        self._asked: list[Callable[[], None]] = []
        self._done, self._known_to_host, self._has_waited_until = 0, 0, 0
        self._from: dict[int, int] = {}  # address on the host → place of the last copy from there
        self._to: dict[int, int] = {}  # address on the device → when the last copy to there was done

    def copy(self, to: np.ndarray, host: np.ndarray) -> None:
        """Copy `host` to `to`: at once, where this is the current stream."""
        if self is CURRENT:
            to[...] = host
            return
        source, target = host.ctypes.data, to.ctypes.data
        if self._from.get(source, 0) > self._known_to_host:
            raise RuntimeError("the host didn't wait for the last copy from this memory before it wrote to it")
        if self._to.get(target, 0) > self._has_waited_until:
            raise RuntimeError("the current stream may still be reading what this copy would overwrite")

        def carry_out() -> None:
            to[...] = host
            self._to[target] = next(_clock)

        self._asked.append(carry_out)
        self._from[source] = len(self._asked)

    def wait_event(self, event: Event) -> None:
        if self is CURRENT:
            event.carry_out()
        elif event.stream is CURRENT:
            self._has_waited_until = event.time

    def carry_out(self, until: int) -> None:
        for place in range(self._done, until):
            self._asked[place]()
        self._done = max(self._done, until)

    def told_host(self, until: int) -> None:
        self._known_to_host = max(self._known_to_host, until)

    @property
    def length(self) -> int:
        return len(self._asked)

    def synchronize(self) -> None:
        syncdetect._declare_synchronize()
        self.carry_out(self.length)
        self.told_host(self.length)


class Event:
    """`cupy.cuda.Event`; one that was never recorded is nothing to wait for."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self.stream: Stream | None = None
        self.time, self._until = 0, 0

    def record(self, stream: Stream | None = None) -> None:
        self.stream = stream or CURRENT
        self.time, self._until = next(_clock), self.stream.length

    def synchronize(self) -> None:
        self.carry_out()
        if self.stream is not None:
            self.stream.told_host(self._until)

    def carry_out(self) -> None:
        if self.stream is not None:
            self.stream.carry_out(self._until)


CURRENT = Stream(null=True)


def get_current_stream(device_id: int = -1) -> Stream:
    """`cupy.cuda.get_current_stream`."""
    return CURRENT


def alloc_pinned_memory(size: int) -> np.ndarray:
    """`cupy.cuda.alloc_pinned_memory`, whose buffer may be larger than what was asked for, and holds anything."""
    return np.full(-(-size // 512) * 512, 255, np.uint8)
