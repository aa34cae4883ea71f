"""f(z) = tanh(z)."""

from __future__ import annotations

from core.activations.activation import Elementwise
from core.arrays import Array, Namespace


class Tanh(Elementwise):
    """f(z) = tanh(z); f'(z) = 1 − tanh²(z), so 1 − a².

    >>> import numpy as np
    >>> Tanh().value(np, np.array([0.0, 100.0]))
    array([0., 1.])
    """

    name = "tanh"
    cuda_value = "tanh(z)"
    cuda_derivative = "T(1) - a * a"

    def value(self, xp: Namespace, z: Array) -> Array:
        """Return tanh(z)."""
        return xp.tanh(z)

    def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return 1 − a², which is f'(z)."""
        return 1 - a * a

    def second_derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return −2a(1 − a²), which is f''(z)."""
        return -2 * a * (1 - a * a)

    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Write tanh(z) to `a`."""
        xp.tanh(z, out=a)

    def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
        """Write 1 − a², which is f'(z), to `out`."""
        xp.multiply(a, a, out=out)
        xp.subtract(1, out, out=out)
