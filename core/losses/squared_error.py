"""J = 1/(2m) Σ_k Σ_j (a_kj − y_kj)²."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import Array, Namespace
from core.losses.loss import Loss, LossScratch, numbers


@dataclass(frozen=True)
class SquaredError(Loss):
    """J = 1/(2m) Σ_k Σ_j (a_kj − y_kj)²; ā = (a − y)/m. Goes with any last activation.

    >>> import numpy as np
    >>> SquaredError().value(np, np.array([[3.0, 1.0]]), np.array([[1.0, 1.0]]))
    array([2.])
    """

    name = "squared_error"

    def value(self, xp: Namespace, u: Array, y: Array) -> Array:
        """Return ½ Σ_j (a_j − y_j)² for each sample."""
        return xp.sum((u - y) ** 2, axis=-1) / 2

    def gradient(self, xp: Namespace, u: Array, y: Array, j_bar: Array) -> Array:
        """Return ā = J̄ (a − y)."""
        return j_bar * (u - y)

    def gradient_tangent(self, xp: Namespace, u: Array, y: Array, u_dot: Array, j_bar: Array) -> Array:
        """Return ā˙ = J̄ ȧ."""
        return j_bar * u_dot

    def value_and_gradient_into(
        self, xp: Namespace, u: Array, y: Array, j_bar: Array, values: Array, u_bar: Array, scratch: LossScratch
    ) -> None:
        """Write ½ Σ_j (a_j − y_j)² and J̄ (a − y)."""
        xp.subtract(u, y, out=u_bar)
        xp.multiply(u_bar, u_bar, out=scratch.wide)
        xp.sum(scratch.wide, axis=-1, out=values)
        xp.multiply(values, 0.5, out=values)
        xp.multiply(u_bar, j_bar, out=u_bar)

    def targets(self, y: object, n_outputs: int) -> np.ndarray:
        """Return y as finite floats of shape `(m, n_outputs)`."""
        return numbers(self.name, y, n_outputs)
