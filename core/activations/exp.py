"""f(z) = exp(z)."""

from __future__ import annotations

from core.activations.activation import Elementwise
from core.arrays import Array, Namespace

TOP = {"float32": 88.72, "float64": 709.78}
"""The logarithm of the largest number, rounded down."""


class Exp(Elementwise):
    """f(z) = exp(z), for outputs that must be positive, such as rates; f'(z) = exp(z), so a.

    Above ln(largest number), 88.7 in float32 and 709.8 in float64, z is held there: f stays near the largest number in
    place of infinity, and so does f', as a slope of 0 would hide that the network has run away.

    >>> import numpy as np
    >>> Exp().value(np, np.array([-1e4, 0.0, 1e4]))
    array([0.00000000e+000, 1.00000000e+000, 1.79282279e+308])
    """

    name = "exp"
    cuda_value = "exp(z > T(sizeof(T) == 4 ? {float32} : {float64}) ? T(sizeof(T) == 4 ? {float32} : {float64}) : z)"
    cuda_value = cuda_value.format(**TOP)
    cuda_derivative = "a"

    def value(self, xp: Namespace, z: Array) -> Array:
        """Return exp(z)."""
        return xp.exp(xp.minimum(z, _top(z)))

    def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return a, which is f'(z)."""
        return a

    def second_derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return a, which is f''(z)."""
        return a

    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Write exp(z) to `a`."""
        xp.minimum(z, _top(z), out=a)
        xp.exp(a, out=a)

    def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
        """Write a, which is f'(z), to `out`."""
        out[...] = a


def _top(z: Array) -> float:
    return TOP[str(z.dtype).rpartition(".")[2]]
