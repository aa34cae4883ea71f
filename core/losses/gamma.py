"""J = 1/m Σ_k Σ_j (z_kj + y_kj exp(−z_kj)), for positive y whose spread grows with their mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import Array, Namespace
from core.losses.held_exp import held_exp
from core.losses.loss import Loss, numbers


@dataclass(frozen=True)
class Gamma(Loss):
    """J = 1/m Σ_k Σ_j (ln μ + y/μ), μ = exp(z), for y > 0; z̄ = (1 − y exp(−z))/m.

    Half the gamma distribution's deviance, up to a term of y alone. Goes with a last layer whose activation is exp, and
    is computed from its z, as z + y exp(−z). (McCullagh and Nelder, "Generalized Linear Models", 2nd edition, 1989,
    section 8.3)

    >>> import numpy as np
    >>> Gamma().value(np, np.array([[0.0], [1e4]]), np.array([[3.0], [1.0]]))
    array([3.e+00, 1.e+04])
    """

    name = "gamma"
    output_activation = "exp"

    def value(self, xp: Namespace, u: Array, y: Array) -> Array:
        """Return Σ_j (z_j + y_j exp(−z_j)) for each sample."""
        return xp.sum(u + y * held_exp(xp, -u), axis=-1)

    def gradient(self, xp: Namespace, u: Array, y: Array, j_bar: Array) -> Array:
        """Return z̄ = J̄ (1 − y exp(−z))."""
        return j_bar * (1 - y * held_exp(xp, -u))

    def gradient_tangent(self, xp: Namespace, u: Array, y: Array, u_dot: Array, j_bar: Array) -> Array:
        """Return z̄˙ = J̄ y exp(−z) ∘ ż."""
        return j_bar * y * held_exp(xp, -u) * u_dot

    def targets(self, y: object, n_outputs: int) -> np.ndarray:
        """Return y as floats > 0 of shape `(m, n_outputs)`."""
        return numbers(self.name, y, n_outputs, lambda each: each > 0, " > 0")
