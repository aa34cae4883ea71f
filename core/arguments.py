"""Checks of what a caller passes in: each error names the argument, the value, and what is allowed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.losses import LOSSES, Loss
from core.named import by_name

PIECE = 2**20
"""Numbers that are checked at a time."""


def integer(name: str, value: object, low: int) -> int:
    """Return `value` as an int of at least `low`.

    >>> integer("epochs", 0, 1)
    Traceback (most recent call last):
    ...
    ValueError: epochs: 0 is not allowed; it must be an integer ≥ 1
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise ValueError(f"{name}: {value!r} is not allowed; it must be an integer ≥ {low}")
    return int(value)


def seeds(seed: object) -> int | tuple[int, ...]:
    """Return `seed` as an int, or as a tuple of at least one where it is a sequence."""
    if isinstance(seed, Sequence) and not isinstance(seed, str) and seed:
        return tuple(integer("seed", each, 0) for each in seed)
    return integer("seed", seed, 0)


def samples(name: str, x: object, n_inputs: int) -> np.ndarray:
    """Return x as a host array of numbers, `(m, n_inputs)`."""
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name}: the dtype {array.dtype} is not allowed; it must be numbers")
    if array.ndim != 2 or array.shape[1] != n_inputs:
        raise ValueError(f"{name}: the shape {array.shape} is not allowed; it must be (n_samples, {n_inputs})")
    return array


def finite(name: str, array: np.ndarray) -> np.ndarray:
    """Return `array`, `(m, n)`, all of whose numbers must be finite.

    >>> finite("x", np.array([[1.0, np.nan]]))
    Traceback (most recent call last):
    ...
    ValueError: x: nan in row 0, column 1 is not allowed; every number must be finite
    """
    # A piece at a time: the array may lie in a file, and be larger than the memory.
    rows = max(1, PIECE // array.shape[1])
    for start in range(0, len(array) if array.dtype.kind == "f" else 0, rows):
        right = np.isfinite(array[start : start + rows])
        if not right.all():
            row, column = (int(place) for place in np.argwhere(~right)[0] + (start, 0))
            raise ValueError(
                f"{name}: {array[row, column]} in row {row}, column {column} is not allowed; "
                "every number must be finite"
            )
    return array


def targets(loss: Loss, y: object, n_outputs: int, m: int) -> np.ndarray:
    """Return y as a host array that `loss` takes, one target for each of m samples."""
    array = loss.targets(y, n_outputs)
    if len(array) != m:
        raise ValueError(f"y: {len(array)} targets are not allowed for {m} samples; there must be one for each")
    return array


def fitting_loss(loss: str | Loss, output_activation: str | None) -> Loss:
    """Return the loss, by name or itself, for a network whose last layer has `output_activation`."""
    rule = by_name("loss", loss, LOSSES, Loss)
    if rule.output_activation not in (None, output_activation):
        raise ValueError(
            f"loss: {rule.name} goes with a last layer whose activation is {rule.output_activation}, but this "
            f"network's is {output_activation}; make it Dense(…, {rule.output_activation!r}) or take another loss"
        )
    return rule
