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
