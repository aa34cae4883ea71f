"""J = 1/m Σ_k Σ_j max(0, 1 − s_kj a_kj), for two classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import Array, Namespace
from core.losses.loss import Loss, numbers


@dataclass(frozen=True)
class Hinge(Loss):
    """J = 1/m Σ_k Σ_j max(0, 1 − s a), s = 2y − 1 = ±1; ā = −s/m where s a < 1, else 0 (at the kink, 0).

    Targets are 0 and 1, or −1 and 1; each output tells two classes apart by its sign. Goes with any last activation, as
    a rule with identity. (Cortes and Vapnik, "Support-vector networks", Machine Learning 20, 1995, equations 21 to 23)

    >>> import numpy as np
    >>> Hinge().value(np, np.array([[0.5], [0.5], [2.0]]), np.array([[1.0], [0.0], [1.0]]))
    array([0.5, 1.5, 0. ])
    """

    name = "hinge"
    tells_classes = True

    def value(self, xp: Namespace, u: Array, y: Array) -> Array:
        """Return Σ_j max(0, 1 − s_j a_j) for each sample."""
        return xp.sum(_shortfall(xp, u, y), axis=-1)

    def gradient(self, xp: Namespace, u: Array, y: Array, j_bar: Array) -> Array:
        """Return ā = −J̄ s where s a < 1, else 0."""
        return j_bar * (1 - 2 * y) * xp.sign(_shortfall(xp, u, y))

    def gradient_tangent(self, xp: Namespace, u: Array, y: Array, u_dot: Array, j_bar: Array) -> Array:
        """Return 0: between its kinks, the loss is straight."""
        return 0 * j_bar * u_dot

    def targets(self, y: object, n_outputs: int) -> np.ndarray:
        """Return y as 0 and 1 of shape `(m, n_outputs)`, where −1 becomes 0."""
        signed = bool(np.any(np.asarray(y) == -1))
        array = numbers(
            self.name,
            y,
            n_outputs,
            lambda each: (each == 1) | (each == (-1 if signed else 0)),
            ", either −1 and 1 or 0 and 1",
        )
        return (array > 0).astype(np.float64)


def _shortfall(xp: Namespace, u: Array, y: Array) -> Array:
    short = 1 - (2 * y - 1) * u
    return xp.where(short <= 0, xp.zeros_like(short), short)  # NaN stays NaN
