"""How often a sign is in a text."""

from __future__ import annotations

from functools import reduce
from operator import and_

import numpy as np

SLICE = 2**20  # stays in the processor's cache


def count(text: bytes | memoryview, sign: bytes) -> int:
    r"""Return how often `sign`, one byte or several different ones, is in `text`.

    `bytes.count` looks for each by itself, which takes several times as long where there are many.

    >>> count(b"a,b\r\n1,2\n", b"\n"), count(b"a,b\r\n1,2\n", b"\r\n")
    (2, 1)
    """
    data = np.frombuffer(text, np.uint8)
    places = len(data) - len(sign) + 1

    def in_slice(start: int) -> int:
        stop = min(start + SLICE, places)
        found = (data[start + at : stop + at] == byte for at, byte in enumerate(sign))
        return int(np.count_nonzero(reduce(and_, found)))

    return sum(map(in_slice, range(0, places, SLICE)))
