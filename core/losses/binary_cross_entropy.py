"""J = 1/m Σ_k Σ_j (ln(1 + exp(z_kj)) − y_kj z_kj), for targets from 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.activations import Sigmoid
from core.activations.logistic import logistic
from core.arrays import Array, Namespace
from core.losses.loss import Loss, LossScratch, numbers
from core.optimizers.optimizer import require


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """J = −1/m Σ_k Σ_j (t ln σ(z) + (1 − t) ln(1 − σ(z))), t = (1 − s)y + s/2, for y from 0 to 1; z̄ = (σ(z) − t)/m.

    Goes with a last layer whose activation is sigmoid, and is computed from its z as
    max(z, 0) − t z + ln(1 + exp(−|z|)), which neither overflows nor loses digits. (Bishop, "Pattern Recognition and
    Machine Learning", 2006, equation 4.90; smoothing: Szegedy et al., "Rethinking the Inception architecture", CVPR
    2016, section 7)

    Args:
        smoothing: s, from 0 up to but not 1.

    >>> import numpy as np
    >>> BinaryCrossEntropy().value(np, np.array([[0.0], [-1e4]]), np.array([[1.0], [1.0]]))
    array([6.93147181e-01, 1.00000000e+04])
    """

    smoothing: float = 0.0

    name = "binary_cross_entropy"
    output_activation = Sigmoid.name
    tells_classes = True

    def __post_init__(self) -> None:
        require("smoothing", self.smoothing, 0, 1, low_allowed=True)

    def value(self, xp: Namespace, u: Array, y: Array) -> Array:
        """Return Σ_j (max(z, 0) − t z + ln(1 + exp(−|z|))) for each sample."""
        positive = xp.where(u > 0, u, xp.zeros_like(u))
        return xp.sum(positive - self._smooth(y) * u + xp.log1p(xp.exp(-xp.abs(u))), axis=-1)

    def gradient(self, xp: Namespace, u: Array, y: Array, j_bar: Array) -> Array:
        """Return z̄ = J̄ (σ(z) − t)."""
        return j_bar * (logistic(xp, u)[0] - self._smooth(y))

    def gradient_tangent(self, xp: Namespace, u: Array, y: Array, u_dot: Array, j_bar: Array) -> Array:
        """Return z̄˙ = J̄ σ'(z) ∘ ż."""
        return j_bar * Sigmoid().pushforward(xp, u_dot, u, Sigmoid().value(xp, u))

    def value_and_gradient_into(
        self, xp: Namespace, u: Array, y: Array, j_bar: Array, values: Array, u_bar: Array, scratch: LossScratch
    ) -> None:
        """Write Σ_j (max(z, 0) − t z + ln(1 + exp(−|z|))) and J̄ (σ(z) − t)."""
        wide = scratch.wide
        xp.abs(u, out=wide)
        xp.negative(wide, out=wide)
        xp.exp(wide, out=wide)
        xp.log1p(wide, out=wide)
        xp.maximum(u, 0, out=u_bar)
        xp.add(wide, u_bar, out=wide)
        xp.multiply(y, 1 - self.smoothing, out=u_bar)
        xp.add(u_bar, self.smoothing / 2, out=u_bar)
        xp.multiply(u_bar, u, out=u_bar)
        xp.subtract(wide, u_bar, out=wide)
        xp.sum(wide, axis=-1, out=values)
        Sigmoid().value_into(xp, u, u_bar, scratch.row)
        xp.multiply(y, 1 - self.smoothing, out=wide)
        xp.add(wide, self.smoothing / 2, out=wide)
        xp.subtract(u_bar, wide, out=u_bar)
        xp.multiply(u_bar, j_bar, out=u_bar)

    def targets(self, y: object, n_outputs: int) -> np.ndarray:
        """Return y as floats from 0 to 1, of shape `(m, n_outputs)`."""
        return numbers(self.name, y, n_outputs, lambda each: (each >= 0) & (each <= 1), " from 0 to 1")

    def _smooth(self, y: Array) -> Array:
        return (1 - self.smoothing) * y + self.smoothing / 2
