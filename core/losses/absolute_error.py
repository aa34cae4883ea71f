"""J = 1/m Σ_k Σ_j |a_kj − y_kj|."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import Array, Namespace
from core.losses.loss import Loss, numbers


@dataclass(frozen=True)
class AbsoluteError(Loss):
    """J = 1/m Σ_k Σ_j |a_kj − y_kj|; ā = sign(a − y)/m, 0 at the kink. Goes with any last activation.

    Its least value is at the median, so that single wild targets hardly move it. (Huber and Ronchetti, "Robust
    Statistics", 2nd edition, 2009, section 1.3)

    >>> import numpy as np
    >>> AbsoluteError().value(np, np.array([[3.0, 1.0]]), np.array([[1.0, 2.0]]))
    array([3.])
    """

    name = "absolute_error"

    def value(self, xp: Namespace, u: Array, y: Array) -> Array:
        """Return Σ_j |a_j − y_j| for each sample."""
        return xp.sum(xp.abs(u - y), axis=-1)

    def gradient(self, xp: Namespace, u: Array, y: Array, j_bar: Array) -> Array:
        """Return ā = J̄ sign(a − y)."""
        return j_bar * xp.sign(u - y)

    def gradient_tangent(self, xp: Namespace, u: Array, y: Array, u_dot: Array, j_bar: Array) -> Array:
        """Return 0: between its kinks, the loss is straight."""
        return 0 * j_bar * u_dot

    def targets(self, y: object, n_outputs: int) -> np.ndarray:
        """Return y as finite floats of shape `(m, n_outputs)`."""
        return numbers(self.name, y, n_outputs)
