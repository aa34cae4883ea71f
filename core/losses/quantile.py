"""J = 1/m Σ_k Σ_j ρ(a_kj − y_kj): the pinball loss, least at a quantile of y."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import Array, Namespace
from core.losses.loss import Loss, numbers
from core.optimizers.optimizer import require


@dataclass(frozen=True)
class Quantile(Loss):
    """J = 1/m Σ_k Σ_j ρ(d), d = a − y, with ρ(d) = (1 − τ)d for d > 0 and −τd for d < 0; ā is ρ's slope over m.

    The slope is (½ − τ)|s| + s/2 with s = sign(d): 1 − τ above, −τ below, 0 at the kink. The outputs go to the
    τ-quantile of y: τ = ½ gives half the absolute error. Goes with any last activation. (Koenker and Bassett,
    "Regression quantiles", Econometrica 46, 1978, section 2)

    Args:
        level: τ, above 0 and below 1.

    >>> import numpy as np
    >>> Quantile(level=0.75).value(np, np.array([[3.0], [-1.0]]), np.array([[1.0], [1.0]]))
    array([0.5, 1.5])
    """

    level: float = 0.5

    name = "quantile"

    def __post_init__(self) -> None:
        require("level", self.level, 0, 1)

    def value(self, xp: Namespace, u: Array, y: Array) -> Array:
        """Return Σ_j ρ(a_j − y_j) for each sample."""
        return xp.sum(self._slope(xp, u - y) * (u - y), axis=-1)

    def gradient(self, xp: Namespace, u: Array, y: Array, j_bar: Array) -> Array:
        """Return ā = J̄ ((½ − τ)|s| + s/2)."""
        return j_bar * self._slope(xp, u - y)

    def gradient_tangent(self, xp: Namespace, u: Array, y: Array, u_dot: Array, j_bar: Array) -> Array:
        """Return 0: between its kinks, the loss is straight."""
        return 0 * j_bar * u_dot

    def targets(self, y: object, n_outputs: int) -> np.ndarray:
        """Return y as finite floats of shape `(m, n_outputs)`."""
        return numbers(self.name, y, n_outputs)

    def _slope(self, xp: Namespace, d: Array) -> Array:
        s = xp.sign(d)
        return (0.5 - self.level) * xp.abs(s) + s / 2
