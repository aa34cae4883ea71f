"""Epochs, packed: what many epochs had to report, exactly, in one value of the table of events.

Epochs may take microseconds, and a job may have a million. So its child packs those of a moment, and its worker writes
at most a few events a second: each tells of its last epoch, as everyone may read it, and carries all that it stands for
as bytes, for the curve. Nobody on the way looks at a single epoch, as what that takes, training does without. The bytes
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
    """Return the numbers of `records`, which all have the names of the first; but for `epochs`, how many there will be.

    >>> unpack(pack([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": None}, {"epoch": 3, "loss": float("inf")}]))
    (('epoch', 'loss'), array([[1. , 0.5], [2. , nan], [3. , nan]]))
    """
    names = [name for name in records[0] if name != "epochs"]
    numbers = np.array([[record[name] for name in names] for record in records], NUMBERS)
    numbers[~np.isfinite(numbers)] = np.nan
    return json.dumps(names).encode() + b"\n" + numbers.tobytes()


def joined(pieces: Sequence[bytes]) -> bytes:
    """Return as one what was packed in several pieces, all of which have the names of the first.

    >>> unpack(joined([pack([{"epoch": 1}]), pack([{"epoch": 2}, {"epoch": 3}])]))
    (('epoch',), array([[1.], [2.], [3.]]))
    """
    line, first = pieces[0].split(b"\n", 1)
    return b"".join([line, b"\n", first, *(piece[len(line) + 1 :] for piece in pieces[1:])])


def unpack(packed: bytes) -> tuple[tuple[str, ...], np.ndarray]:
    """Return names and numbers, of shape (n_epochs, n_names)."""
    line, _, numbers = packed.partition(b"\n")
    names = _names(line)
    return names, np.frombuffer(numbers, NUMBERS).reshape(-1, len(names))


@lru_cache(maxsize=64)  # a curve's events all have the same
def _names(line: bytes) -> tuple[str, ...]:
    return tuple(json.loads(line))
