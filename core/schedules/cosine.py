"""Schedules along the cosine: with restarts, and one-cycle."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.schedules.schedule import Schedule, ScheduleState, require


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """c + (1−c)(1 + cos(π e/T))/2, e epochs into a cycle of T: from 1 down to c, then again from 1.

    (Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, equation 5)

    Args:
        cycle: T > 0 of the first cycle, in epochs; None makes the whole training one cycle.
        growth: how many times longer each cycle is than the one before, at least 1.
        end: c, from 0 to 1.

    >>> [round(CosineDecay(cycle=10, growth=2).factor(passed, 100, {}), 6) for passed in (0, 5, 10, 20, 30)]
    [1.0, 0.5, 1.0, 0.5, 1.0]
    """

    cycle: float | None = None
    growth: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        require(self.cycle is None or 0 < self.cycle < math.inf, "cycle", self.cycle, "None, or > 0 and finite")
        require(1 <= self.growth < math.inf, "growth", self.growth, "≥ 1 and finite")
        require(0 <= self.end <= 1, "end", self.end, "≥ 0 and ≤ 1")

    def factor(self, passed: float, epochs: float, state: ScheduleState) -> float:
        """Return c + (1−c)(1 + cos(π e/T))/2."""
        length = self.cycle or epochs
        if self.growth == 1:
            passed %= length
        while passed >= length:
            passed -= length
            length *= self.growth
        return _between(1.0, self.end, passed / length)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """From a small factor up to 1, and then down to a far smaller one, each along half a cosine.

    (Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates",
    arXiv:1708.07120, 2018, section 3, with a cosine for the straight lines, as in PyTorch and fast.ai)

    Args:
        rise: share of all epochs in which the factor rises, between 0 and 1.
        start: the first factor, above 0 and up to 1.
        end: the factor in the end, from 0 to 1.

    >>> [round(OneCycle(rise=0.25).factor(passed, 100, {}), 6) for passed in (0, 25, 100)]
    [0.04, 1.0, 4e-06]
    """

    rise: float = 0.3
    start: float = 0.04
    end: float = 4e-6

    def __post_init__(self) -> None:
        require(0 < self.rise < 1, "rise", self.rise, "> 0 and < 1")
        require(0 < self.start <= 1, "start", self.start, "> 0 and ≤ 1")
        require(0 <= self.end <= 1, "end", self.end, "≥ 0 and ≤ 1")

    def factor(self, passed: float, epochs: float, state: ScheduleState) -> float:
        """Return the factor on the way up or on the way down."""
        top = self.rise * epochs
        if passed < top:
            return _between(self.start, 1.0, passed / top)
        return _between(1.0, self.end, (passed - top) / (epochs - top))


def _between(first: float, last: float, share: float) -> float:
    """Return what lies `share` of the way from `first` to `last`, along half a cosine."""
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2
