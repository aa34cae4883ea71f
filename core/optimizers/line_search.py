"""A line search for the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from core.arrays import Array

FARTHER = 4.0
"""By what t grows as long as the way leads down."""


@dataclass(frozen=True)
class Point:
    """A function along a line: at t its value, its slope by t, and the gradient that the slope is of."""

    t: float
    value: float
    slope: float
    gradient: Array = None


def search(
    at: Callable[[float], Point], start: Point, first: float, decrease: float, curvature: float, evaluations: int
) -> Point | None:
    """Return a point whose value is at most f + c₁ t f' and whose slope at most c₂ |f'|, f and f' being those at 0.

    Where no point of the second kind is found in `evaluations` calls, a point of the first kind will do; without one of
    those, return None. A value that isn't finite counts as too high. (Nocedal and Wright, "Numerical Optimization",
    2006, algorithms 3.5 and 3.6)

    Args:
        at: from t > 0 to the point there.
        start: the point at 0, whose slope is below 0.
        first: the t that is tried first.
        decrease: c₁.
        curvature: c₂.
        evaluations: calls of `at`.

    >>> search(lambda t: Point(t, (t - 3) ** 2, 2 * (t - 3)), Point(0.0, 9.0, -6.0), 1.0, 1e-4, 0.1, 20).t
    3.0
    """

    def too_high(point: Point, low: Point) -> bool:
        # Where the bound differs from the value at 0 by less than its last bit, the value must still be lower.
        enough = point.value <= start.value + decrease * point.t * start.slope and point.value < start.value
        return not enough or (low is not start and point.value >= low.value)

    def flat(point: Point) -> bool:
        return abs(point.slope) <= -curvature * start.slope

    # `low` is the lowest point so far that decreases enough; a point with both conditions lies between it and `high`.
    low, high, t = start, None, first
    for _ in range(evaluations):
        point = at(t)
        if too_high(point, low):
            high = point
        elif flat(point):
            return point
        else:
            # Where the slope leads away from `high`, or upwards before there is one, the valley lies behind.
            if point.slope * (1 if high is None else high.t - low.t) >= 0:
                high = low
            low = point
        t = FARTHER * t if high is None else _between(low, high)
        if t in (low.t, None if high is None else high.t):  # there is no number left between them
            break
    return None if low is start else low


def _between(low: Point, high: Point) -> float:
    """Return where the cubic through both points is lowest, kept away from them by a tenth of their distance."""
    distance = high.t - low.t
    # Of the cubic with these values and slopes (Nocedal and Wright, equation 3.59).
    bend = low.slope + high.slope - 3 * (high.value - low.value) / distance
    under = bend * bend - low.slope * high.slope
    share = 0.5
    if math.isfinite(under) and under >= 0:
        root = math.copysign(math.sqrt(under), distance)
        below = high.slope - low.slope + 2 * root
        share = 1 - (high.slope + root - bend) / below if below else 0.5
    return low.t + distance * min(max(share, 0.1), 0.9)
