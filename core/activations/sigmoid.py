"""f(z) = 1 / (1 + exp(−z))."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from core.activations.activation import Elementwise
from core.activations.logistic import logistic
from core.arrays import Array, Namespace


class Sigmoid(Elementwise):
    """f(z) = 1 / (1 + exp(−z)), the logistic function; f'(z) = f(z)(1 − f(z)), so a(1 − a).

    Far to the left exp(−z) would overflow; in place, z is held there at −ln(largest number) + 1, where f is already as
    good as 0 (10⁻³⁸ in float32).

    >>> import numpy as np
    >>> Sigmoid().value(np, np.array([0.0, -1e4, 1e4])).round(12)
    array([0.5, 0. , 1. ])
    """

    name = "sigmoid"
    cuda_value = "T(1) / (T(1) + exp(-z))"
    cuda_derivative = "a * (T(1) - a)"

    def value(self, xp: Namespace, z: Array) -> Array:
        """Return 1 / (1 + exp(−z))."""
        return logistic(xp, z)[0]

    def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return a(1 − a), which is f'(z)."""
        return a * (1 - a)

    def second_derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return a(1 − a)(1 − 2a), which is f''(z)."""
        return a * (1 - a) * (1 - 2 * a)

    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Write 1 / (1 + exp(−z)) to `a`."""
        xp.maximum(z, _leftmost(str(z.dtype)), out=a)
        xp.negative(a, out=a)
        xp.exp(a, out=a)
        xp.add(a, 1, out=a)
        xp.reciprocal(a, out=a)

    def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
        """Write a(1 − a), which is f'(z), to `out`."""
        xp.subtract(1, a, out=out)
        xp.multiply(out, a, out=out)


@cache
def _leftmost(dtype: str) -> float:
    return 1 - math.log(np.finfo(dtype.rpartition(".")[2]).max)
