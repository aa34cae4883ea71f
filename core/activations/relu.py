"""f(z) = max(z, 0)."""

from __future__ import annotations

from core.activations.activation import Elementwise
from core.arrays import Array, Namespace


class Relu(Elementwise):
    """f(z) = max(z, 0); f'(z) = 1 for z > 0, else 0 (at the kink, 0).

    NaN stays NaN, in f and in f': a network that has gone wrong shows it.

    >>> import numpy as np
    >>> Relu().value(np, np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """

    name = "relu"
    initializer = "he_uniform"
    # max() and fmax() drop NaN in CUDA, so the comparison is written such that NaN takes the branch that keeps it.
    cuda_value = "z <= T(0) ? T(0) : z"
    cuda_derivative = "a <= T(0) ? T(0) : (a == a ? T(1) : a)"

    def value(self, xp: Namespace, z: Array) -> Array:
        """Return max(z, 0)."""
        return xp.maximum(z, 0.0)

    def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return 1 where z > 0, else 0; as a = max(z, 0), that is the sign of a."""
        return xp.sign(a)

    def second_derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return 0, and NaN where z is NaN."""
        return 0 * self.derivative(xp, z, a)

    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Write max(z, 0) to `a`."""
        xp.maximum(z, 0, out=a)

    def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
        """Write the sign of a, which is f'(z), to `out`."""
        xp.sign(a, out=out)
