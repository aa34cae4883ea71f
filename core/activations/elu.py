"""f(z) = z for z > 0, else exp(z) − 1."""

from __future__ import annotations

from core.activations.activation import Elementwise
from core.arrays import Array, Namespace


class Elu(Elementwise):
    """f(z) = z for z > 0, else α (exp(z) − 1), with α = 1, so that f' has no jump; f'(z) = 1 for z > 0, else exp(z).

    (Clevert, Unterthiner, Hochreiter, "Fast and accurate deep network learning by exponential linear units", ICLR 2016,
    (15))

    >>> import numpy as np
    >>> Elu().value(np, np.array([-1e4, -1e-20, 2.0]))
    array([-1.e+00, -1.e-20,  2.e+00])
    """

    name = "elu"
    initializer = "he_uniform"
    cuda_value = "z > T(0) ? z : expm1(z)"
    cuda_derivative = "z > T(0) ? T(1) : exp(z)"

    def value(self, xp: Namespace, z: Array) -> Array:
        """Return max(z, 0) + exp(min(z, 0)) − 1, the last two taken together."""
        return xp.maximum(z, 0.0) + xp.expm1(xp.minimum(z, 0.0))

    def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return exp(min(z, 0))."""
        return xp.exp(xp.minimum(z, 0.0))

    def second_derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return 0 where z > 0, else exp(z)."""
        return xp.where(z > 0, 0.0, self.derivative(xp, z, a))

    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Write max(z, exp(min(z, 0)) − 1) to `a`, which is the same, as exp(z) − 1 ≥ z."""
        xp.minimum(z, 0, out=a)
        xp.expm1(a, out=a)
        xp.maximum(z, a, out=a)

    def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
        """Write exp(min(z, 0)) to `out`."""
        xp.minimum(z, 0, out=out)
        xp.exp(out, out=out)
