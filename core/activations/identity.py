"""f(z) = z."""

from __future__ import annotations

from core.activations.activation import Elementwise
from core.arrays import Array, Namespace


class Identity(Elementwise):
    """f(z) = z, f'(z) = 1.

    >>> import numpy as np
    >>> Identity().value(np, np.array([-1.0, 2.0]))
    array([-1.,  2.])
    """

    name = "identity"
    cuda_value = "z"
    cuda_derivative = "T(1)"

    def value(self, xp: Namespace, z: Array) -> Array:
        """Return z."""
        return z

    def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return ones in the shape of z."""
        return xp.ones_like(z)

    def second_derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return zeros in the shape of z."""
        return xp.zeros_like(z)

    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Copy z to `a`."""
        a[...] = z

    def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
        """Write ones."""
        out[...] = 1
