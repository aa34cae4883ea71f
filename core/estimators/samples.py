"""Samples with their targets and weights, and how they are divided."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.split import split


@dataclass(frozen=True)
class Samples:
    """x `(m, n_features)`, y as the loss takes it, and the samples' weights `(m,)` where they have any."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None = None

    def __getitem__(self, rows: np.ndarray) -> Samples:
        return Samples(self.x[rows], self.y[rows], None if self.weights is None else self.weights[rows])

    def __len__(self) -> int:
        return len(self.x)

    @property
    def mean_weight(self) -> float:
        """The mean of the weights; 1 without any."""
        return 1.0 if self.weights is None else float(self.weights.mean())

    def held_out(self, fraction: float, seed: int, *, stratify: bool) -> tuple[Samples, Samples]:
        """Return the samples to train on, and the `fraction` of them to stop by; with `stratify` in equal shares of y.

        Raises:
            ValueError: where fewer than two would be held out, or `core.split` finds none to hold out.
        """
        if not 0 < fraction < 1 or round(fraction * len(self)) < 2:
            raise ValueError(
                f"validation_fraction: {fraction!r} of {len(self)} samples is not allowed; it must lie between 0 and 1 "
                "and leave at least two samples to stop by"
            )
        rows, held_out = split(len(self), fraction, seed, self.y.reshape(-1) if stratify else None)
        return self[rows], self[held_out]
