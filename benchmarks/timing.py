"""Medians and spread: what a step takes, and the ratio of two contestants in the same round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.session import Visit
from benchmarks.shapes import Shape


@dataclass(frozen=True)
class Spread:
    """A median with what lies around it: the least, the greatest, and the quartiles between which half of them lie."""

    least: float
    lower: float
    median: float
    upper: float
    greatest: float

    @staticmethod
    def of(numbers: Sequence[float]) -> Spread:
        """Return the spread of `numbers`.

        >>> Spread.of([3.0, 1.0, 2.0]).median
        2.0
        """
        return Spread(*map(float, np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1])))


def step_microseconds(shape: Shape, visits: Sequence[Visit]) -> list[float]:
    """Return for each visit the median epoch after the first, divided by the steps of all networks, in µs."""
    per_epoch = shape.steps * shape.networks
    return [float(np.median(visit.seconds[1:])) / per_epoch * 1e6 for visit in visits]


def ratios(shape: Shape, theirs: Sequence[Visit], ours: Sequence[Visit]) -> list[float]:
    """Return their time divided by ours, round by round, so that a machine that slows down slows both.

    >>> shape = Shape("", (1, 1), 1, 1)
    >>> ratios(shape, [Visit([9, 4.0])], [Visit([9, 2.0])])
    [2.0]
    """
    pairs = zip(step_microseconds(shape, theirs), step_microseconds(shape, ours), strict=True)
    return [their / our for their, our in pairs]
