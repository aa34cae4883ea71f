"""f(z) = max(−1, min(z, 1))."""

from __future__ import annotations

from core.activations.activation import Elementwise
from core.arrays import Array, Namespace


class HardTanh(Elementwise):
    """f(z) = max(−1, min(z, 1)); f'(z) = 1 for |z| < 1, else 0 (at the kinks, −1 and 1, 0).

    (Collobert, "Large scale machine learning", thesis, Université Paris VI, 2004)

    >>> import numpy as np
    >>> HardTanh().value(np, np.array([-3.0, 0.5, 3.0]))
    array([-1. ,  0.5,  1. ])
    """

    name = "hard_tanh"
    cuda_value = "z > T(1) ? T(1) : (z < T(-1) ? T(-1) : z)"
    cuda_derivative = "fabs(z) < T(1) ? T(1) : (z == z ? T(0) : z)"

    def value(self, xp: Namespace, z: Array) -> Array:
        """Return max(−1, min(z, 1))."""
        return xp.maximum(xp.minimum(z, 1.0), -1.0)

    def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return 1 where |z| < 1, else 0: the sign of 1 − |z| where that is positive."""
        return xp.maximum(xp.sign(1 - xp.abs(z)), 0.0)

    def second_derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return 0, and NaN where z is NaN."""
        return 0 * self.derivative(xp, z, a)

    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Write max(−1, min(z, 1)) to `a`."""
        xp.minimum(z, 1, out=a)
        xp.maximum(a, -1, out=a)

    def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
        """Write 1 where |z| < 1, else 0, to `out`."""
        xp.abs(z, out=out)
        xp.subtract(1, out, out=out)
        xp.sign(out, out=out)
        xp.maximum(out, 0, out=out)
