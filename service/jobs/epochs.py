"""Epochs, packed: what many epochs had to report, exactly, in one value of the table of events.

Epochs may take microseconds, and a job may have a million. So a job's worker writes at most a few events a second: each
tells of its last epoch, as everyone may read it, and carries all that it stands for as bytes, for the curve. The bytes
are a line of JSON, the names, and then float64 numbers, little-endian, epoch by epoch; NaN is what has no value. A
float64 holds every integer up to 2⁵³, which is more than there are steps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

NUMBERS = np.dtype("<f8")


def pack(records: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the numbers of `records`, which all have the names of the first.

    >>> unpack(pack([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": None}]))
    (('epoch', 'loss'), array([[1. , 0.5], [2. , nan]]))
    """
    names = [name for name, value in records[0].items() if not isinstance(value, dict)]  # such as the best so far
    numbers = np.array([[record[name] for name in names] for record in records], NUMBERS)
    return json.dumps(names).encode() + b"\n" + numbers.tobytes()


def unpack(packed: bytes) -> tuple[tuple[str, ...], np.ndarray]:
    """Return names and numbers, of shape (n_epochs, n_names)."""
    line, _, numbers = packed.partition(b"\n")
    names = _names(line)
    return names, np.frombuffer(numbers, NUMBERS).reshape(-1, len(names))


@lru_cache(maxsize=64)  # a curve's events all have the same
def _names(line: bytes) -> tuple[str, ...]:
    return tuple(json.loads(line))
