"""J = 1/m Σ_k Σ_j (exp(z_kj) − y_kj z_kj), for counts y."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import Array, Namespace
from core.losses.held_exp import held_exp
from core.losses.loss import Loss, numbers


@dataclass(frozen=True)
class Poisson(Loss):
    """J = 1/m Σ_k Σ_j (μ − y ln μ), μ = exp(z), for y ≥ 0; z̄ = (exp(z) − y)/m.

    −ln of the Poisson distribution's probability, and half its deviance, up to a term of y alone. Goes with a last
    layer whose activation is exp, and is computed from its z, as exp(z) − y z. (McCullagh and Nelder, "Generalized
    Linear Models", 2nd edition, 1989, section 6.2)

    >>> import numpy as np
    >>> Poisson().value(np, np.array([[0.0], [-1e4]]), np.array([[3.0], [1.0]]))
    array([1.e+00, 1.e+04])
    """

    name = "poisson"
    output_activation = "exp"

    def value(self, xp: Namespace, u: Array, y: Array) -> Array:
        """Return Σ_j (exp(z_j) − y_j z_j) for each sample."""
        return xp.sum(held_exp(xp, u) - y * u, axis=-1)

    def gradient(self, xp: Namespace, u: Array, y: Array, j_bar: Array) -> Array:
        """Return z̄ = J̄ (exp(z) − y)."""
        return j_bar * (held_exp(xp, u) - y)

    def gradient_tangent(self, xp: Namespace, u: Array, y: Array, u_dot: Array, j_bar: Array) -> Array:
        """Return z̄˙ = J̄ exp(z) ∘ ż."""
        return j_bar * held_exp(xp, u) * u_dot

    def targets(self, y: object, n_outputs: int) -> np.ndarray:
        """Return y as floats ≥ 0 of shape `(m, n_outputs)`."""
        return numbers(self.name, y, n_outputs, lambda each: each >= 0, " ≥ 0")
