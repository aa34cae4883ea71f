"""J = 1/m Σ_k Σ_j ln cosh(a_kj − y_kj)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.arrays import Array, Namespace
from core.losses.loss import Loss, numbers


@dataclass(frozen=True)
class LogCosh(Loss):
    """J = 1/m Σ_k Σ_j ln cosh(r), r = a − y; ā = tanh(r)/m. Near r²/2 for small r, |r| − ln 2 for large.

    Computed as −½ ln(1 − tanh²(r)) for |r| < 1, which keeps the digits of small r, and from there on as
    |r| + ln(1 + exp(−2|r|)) − ln 2, which doesn't overflow. Goes with any last activation. (Saleh and Saleh,
    "Statistical properties of the log-cosh loss function used in machine learning", 2022, arXiv:2208.04564)

    >>> import numpy as np
    >>> LogCosh().value(np, np.array([[0.5], [1e4]]), np.zeros((2, 1)))
    array([1.20114507e-01, 9.99930685e+03])
    """

    name = "log_cosh"

    def value(self, xp: Namespace, u: Array, y: Array) -> Array:
        """Return Σ_j ln cosh(a_j − y_j) for each sample."""
        r = xp.abs(u - y)
        near = xp.log1p(-(xp.tanh(xp.clip(r, 0, 1)) ** 2)) / -2
        far = r + (xp.log1p(xp.exp(-2 * r)) - math.log(2))
        return xp.sum(xp.where(r < 1, near, far), axis=-1)

    def gradient(self, xp: Namespace, u: Array, y: Array, j_bar: Array) -> Array:
        """Return ā = J̄ tanh(a − y)."""
        return j_bar * xp.tanh(u - y)

    def gradient_tangent(self, xp: Namespace, u: Array, y: Array, u_dot: Array, j_bar: Array) -> Array:
        """Return ā˙ = J̄ (1 − tanh²(a − y)) ∘ ȧ."""
        return j_bar * (1 - xp.tanh(u - y) ** 2) * u_dot

    def targets(self, y: object, n_outputs: int) -> np.ndarray:
        """Return y as finite floats of shape `(m, n_outputs)`."""
        return numbers(self.name, y, n_outputs)
