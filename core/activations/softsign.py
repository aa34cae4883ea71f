"""f(z) = z / (1 + |z|)."""

from __future__ import annotations

from core.activations.activation import Elementwise
from core.activations.held import held, held_into
from core.arrays import Array, Namespace

MOST = 1e17
"""From here on f is ±1 in every dtype; z is held there, so that f is ±1 at ±∞ too."""


class Softsign(Elementwise):
    """f(z) = z / (1 + |z|); f'(z) = 1 / (1 + |z|)².

    (Turian, Bergstra, Bengio, "Quadratic features and deep architectures for chunking", NAACL 2009, section 3)

    >>> import numpy as np
    >>> Softsign().value(np, np.array([-3.0, 0.0, np.inf]))
    array([-0.75,  0.  ,  1.  ])
    """

    name = "softsign"
    cuda_value = f"fabs(z) > T({MOST}) ? (z > T(0) ? T(1) : T(-1)) : z / (T(1) + fabs(z))"
    cuda_derivative = "T(1) / (T(1) + fabs(z)) / (T(1) + fabs(z))"

    def value(self, xp: Namespace, z: Array) -> Array:
        """Return z / (1 + |z|)."""
        h = held(xp, z, MOST)
        return h / (1 + xp.abs(h))

    def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return 1 / (1 + |z|)²."""
        root = 1 / (1 + xp.abs(z))
        return root * root

    def second_derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return −2 sign(z) / (1 + |z|)³."""
        root = 1 / (1 + xp.abs(z))
        return -2 * xp.sign(z) * root * root * root

    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Write z / (1 + |z|) to `a`."""
        below = scratch[0]
        held_into(xp, z, MOST, a)
        xp.abs(a, out=below)
        xp.add(below, 1, out=below)
        xp.divide(a, below, out=a)

    def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
        """Write 1 / (1 + |z|)² to `out`."""
        xp.abs(z, out=out)
        xp.add(out, 1, out=out)
        xp.reciprocal(out, out=out)
        xp.multiply(out, out, out=out)
