"""How a column of numbers is centred and scaled, learned from its training rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from service.datasets.choices import Scaling

Scale = tuple[float, float]
"""What is subtracted, and what then is divided by."""

FARTHEST = 1e6


def standard(values: np.ndarray) -> Scale:
    """Return the mean and the deviation with the divisor n, or 1 where all are the same.

    >>> standard(np.array([1.0, 3.0]))
    (2.0, 1.0)
    """
    if values.min() == values.max():  # rounding would give a constant column a deviation that isn't quite 0
        return float(values[0]), 1.0
    mean = values.mean()
    largest = np.abs(values - mean).max()  # measured by it, the squares of tiny numbers don't vanish
    deviation = largest * np.sqrt(np.mean(((values - mean) / largest) ** 2))
    return float(mean), _positive(deviation)


def robust(values: np.ndarray) -> Scale:
    """Return the median and the range of the middle half, which outliers don't move; 1 where that range is empty.

    >>> robust(np.array([1.0, 2.0, 3.0, 4.0, 1000.0]))
    (3.0, 2.0)
    """
    lower, median, upper = np.quantile(values, [0.25, 0.5, 0.75])
    return float(median), _positive(upper - lower)


def min_max(values: np.ndarray) -> Scale:
    """Return the least number and the whole range, so that training rows become numbers from 0 to 1; 1 where it is 0.

    >>> min_max(np.array([10.0, 30.0]))
    (10.0, 20.0)
    """
    return float(values.min()), _positive(values.max() - values.min())


SCALINGS: Mapping[Scaling, Callable[[np.ndarray], Scale]] = {
    "standard": standard,
    "robust": robust,
    "min_max": min_max,
    "none": lambda _: (0.0, 1.0),
}


def scaled(values: np.ndarray, center: float, scale: float) -> np.ndarray:
    """Return (value − center) / scale, with 0 for NaN, and within ±1e6, so that it stays finite in float32."""
    with np.errstate(over="ignore"):
        return np.where(np.isnan(values), 0.0, np.clip((values - center) / scale, -FARTHEST, FARTHEST))


def _positive(scale: float) -> float:
    return float(max(scale, np.finfo(np.float64).tiny)) if scale else 1.0
