"""Targets that a loss takes, for the tests of every loss."""

from __future__ import annotations

import numpy as np

from core.losses import Gamma, Loss

WHOLE = ("binary_focal", "hinge")
"""Losses whose targets are 0 or 1 and nothing between."""


def targets_for(loss: Loss, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return labels, zeros and ones, or numbers from 0 (for gamma, 0.1) to 1, for outputs of `shape`, `(…, m, n)`."""
    if loss.takes_labels:
        return rng.integers(0, shape[-1], shape[:-1])
    if loss.name in WHOLE:
        return rng.integers(0, 2, shape).astype(np.float64)
    return rng.uniform(0.1 if isinstance(loss, Gamma) else 0, 1, shape)
