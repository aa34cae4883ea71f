"""J = 1/m Σ_k Σ_j (μ^(2−p)/(2−p) + y μ^(1−p)/(p−1)), for y ≥ 0 of which some are exactly 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import Array, Namespace
from core.losses.held_exp import held_exp
from core.losses.loss import Loss, numbers
from core.optimizers.optimizer import require


@dataclass(frozen=True)
class Tweedie(Loss):
    """J = 1/m Σ_k Σ_j (μ^(2−p)/(2−p) + y μ^(1−p)/(p−1)), μ = exp(z), for y ≥ 0; z̄ = (μ^(2−p) − y μ^(1−p))/m.

    Half the deviance of Tweedie's compound Poisson–gamma distributions, whose variance is proportional to μ^p, up to a
    term of y alone: amounts that are often 0, such as rain or claims. Goes with a last layer whose activation is exp,
    and is computed from its z, as exp((2 − p)z)/(2 − p) + y exp((1 − p)z)/(p − 1). (Jørgensen, "Exponential dispersion
    models", Journal of the Royal Statistical Society B 49, 1987, section 4)

    Args:
        power: p, above 1 (where Poisson would be) and below 2 (where gamma would be).

    >>> import numpy as np
    >>> Tweedie(power=1.5).value(np, np.array([[0.0], [0.0]]), np.array([[0.0], [3.0]]))
    array([2., 8.])
    """

    power: float = 1.5

    name = "tweedie"
    output_activation = "exp"

    def __post_init__(self) -> None:
        require("power", self.power, 1, 2)

    def value(self, xp: Namespace, u: Array, y: Array) -> Array:
        """Return Σ_j (μ^(2−p)/(2−p) + y μ^(1−p)/(p−1)) for each sample."""
        above, below = 2 - self.power, self.power - 1
        return xp.sum(held_exp(xp, above * u) / above + y * held_exp(xp, -below * u) / below, axis=-1)

    def gradient(self, xp: Namespace, u: Array, y: Array, j_bar: Array) -> Array:
        """Return z̄ = J̄ (μ^(2−p) − y μ^(1−p))."""
        return j_bar * (held_exp(xp, (2 - self.power) * u) - y * held_exp(xp, (1 - self.power) * u))

    def gradient_tangent(self, xp: Namespace, u: Array, y: Array, u_dot: Array, j_bar: Array) -> Array:
        """Return z̄˙ = J̄ ((2 − p) μ^(2−p) + (p − 1) y μ^(1−p)) ∘ ż."""
        above, below = 2 - self.power, self.power - 1
        return j_bar * (above * held_exp(xp, above * u) + below * y * held_exp(xp, -below * u)) * u_dot

    def targets(self, y: object, n_outputs: int) -> np.ndarray:
        """Return y as floats ≥ 0 of shape `(m, n_outputs)`."""
        return numbers(self.name, y, n_outputs, lambda each: each >= 0, " ≥ 0")
