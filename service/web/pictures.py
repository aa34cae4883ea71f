"""Small pictures, drawn as SVG by the templates: their points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 120.0, 28.0
MARGIN = 2.0


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram, in a picture of `WIDTH` by `HEIGHT`."""

    x: float
    y: float
    width: float
    height: float
    says: str


def lines(*curves: Sequence[float | None]) -> list[str]:
    """Return the points of polylines, one a curve, all on one scale; logarithmic where they span more than 1:100.

    >>> lines([1.0, 3.0])
    ['2.0,26.0 118.0,2.0']
    """
    shown = [[value for value in curve if value is not None and math.isfinite(value)] for curve in curves]
    numbers = [value for curve in shown for value in curve]
    if not numbers:
        return []
    log = min(numbers) > 0 and max(numbers) > 100 * min(numbers)
    scaled = [[math.log(value) if log else value for value in curve] for curve in shown]
    low, high = min(map(min, filter(None, scaled))), max(map(max, filter(None, scaled)))
    span = (high - low) or 1.0
    return [
        " ".join(
            f"{MARGIN + (WIDTH - 2 * MARGIN) * i / max(1, len(curve) - 1):.1f},"
            f"{HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (value - low) / span:.1f}"
            for i, value in enumerate(curve)
        )
        for curve in scaled
        if len(curve) > 1
    ]


PLOT_WIDTH, PLOT_HEIGHT = 340.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 8.0, 8.0, 34.0


@dataclass(frozen=True)
class Axis:
    """One axis of a plot: from `low`, which lies at the pixel `start`, to `high` at `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return where a value lies."""
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[float]:
        """Three to seven round numbers within.

        >>> Axis(-930, 930, 0, 1).ticks
        [-500.0, 0.0, 500.0]
        """
        span = self.high - self.low
        power = 10.0 ** math.floor(math.log10(span / 3))
        step = max(power * factor for factor in (1, 2, 5) if power * factor <= span / 3)
        return [step * k for k in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def axes(*parts: Sequence[tuple[float, float]]) -> tuple[Axis, Axis]:
    """Return the axes of plots that can be compared: of residuals by predictions, as much above zero as below."""
    across = [x for points in parts for x, _ in points]
    farthest = max(abs(y) for points in parts for _, y in points) or 1.0
    low, high = min(across), max(across)
    room = 0.04 * (high - low) or max(1.0, 0.1 * abs(low))
    return (
        Axis(low - room, high + room, LEFT, PLOT_WIDTH - RIGHT),
        Axis(-1.05 * farthest, 1.05 * farthest, PLOT_HEIGHT - BOTTOM, TOP),
    )


def bars(counts: Sequence[int], says: Sequence[str]) -> list[Bar]:
    """Return the bars of a histogram, from left to right."""
    most = max(counts, default=0) or 1
    width = WIDTH / max(1, len(counts))
    return [
        Bar(
            i * width + 0.5,
            HEIGHT * (1 - count / most) if count else HEIGHT,
            max(0.5, width - 1),
            HEIGHT * count / most,
            text,
        )
        for i, (count, text) in enumerate(zip(counts, says, strict=True))
    ]
