"""J = 1/m Σ_k Σ_j h(a_kj − y_kj), with h square near 0 and straight further out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import Array, Namespace
from core.losses.loss import Loss, numbers
from core.optimizers.optimizer import require


@dataclass(frozen=True)
class Huber(Loss):
    """J = 1/m Σ_k Σ_j h(r), r = a − y, with h(r) = r²/2 for |r| ≤ δ and δ(|r| − δ/2) beyond; ā = clip(r, −δ, δ)/m.

    With c = clip(r, −δ, δ), both branches are c(r − c/2). Goes with any last activation. (Huber, "Robust estimation of
    a location parameter", Annals of Mathematical Statistics 35, 1964, section 1)

    Args:
        delta: δ > 0.

    >>> import numpy as np
    >>> Huber(delta=1.0).value(np, np.array([[0.5], [3.0]]), np.zeros((2, 1)))
    array([0.125, 2.5  ])
    """

    delta: float = 1.0

    name = "huber"

    def __post_init__(self) -> None:
        require("delta", self.delta, 0)

    def value(self, xp: Namespace, u: Array, y: Array) -> Array:
        """Return Σ_j c(r − c/2) for each sample."""
        r = u - y
        c = xp.clip(r, -self.delta, self.delta)
        return xp.sum(c * (r - c / 2), axis=-1)

    def gradient(self, xp: Namespace, u: Array, y: Array, j_bar: Array) -> Array:
        """Return ā = J̄ clip(a − y, −δ, δ)."""
        return j_bar * xp.clip(u - y, -self.delta, self.delta)

    def gradient_tangent(self, xp: Namespace, u: Array, y: Array, u_dot: Array, j_bar: Array) -> Array:
        """Return ā˙ = J̄ ȧ where |a − y| ≤ δ, else 0."""
        return j_bar * xp.where(xp.abs(u - y) <= self.delta, u_dot, xp.zeros_like(u_dot))

    def targets(self, y: object, n_outputs: int) -> np.ndarray:
        """Return y as finite floats of shape `(m, n_outputs)`."""
        return numbers(self.name, y, n_outputs)
