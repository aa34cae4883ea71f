"""f(z) = z / (1 + exp(−z))."""

from __future__ import annotations

from core.activations.activation import Elementwise
from core.activations.held import held, held_into
from core.activations.logistic import logistic, logistic_into
from core.arrays import Array, Namespace

MOST = 1000.0
"""exp(−1000) is 0 in every dtype; z is held there where 0 · ∞ would be NaN."""


class Silu(Elementwise):
    """f(z) = z s, with s = 1 / (1 + exp(−z)); f'(z) = s (1 + z k), with k = 1 − s. Also called swish.

    (Elfwing, Uchibe, Doya, "Sigmoid-weighted linear units for neural network function approximation in reinforcement
    learning", Neural Networks 107, 2018, (5) and (6))

    >>> import numpy as np
    >>> Silu().value(np, np.array([-np.inf, 0.0, 1.0])).round(4)
    array([-0.    ,  0.    ,  0.7311])
    """

    name = "silu"
    initializer = "he_uniform"
    cuda_value = f"z > T(0) ? z / (T(1) + exp(-z)) : (z < T({-MOST}) ? T(0) : z * exp(z) / (T(1) + exp(z)))"
    cuda_derivative = (
        f"fabs(z) > T({MOST}) ? (z > T(0) ? T(1) : T(0)) : (T(1) + z / (T(1) + exp(z))) / (T(1) + exp(-z))"
    )

    def value(self, xp: Namespace, z: Array) -> Array:
        """Return z s."""
        return xp.maximum(z, -MOST) * logistic(xp, z)[0]

    def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return s (1 + z k)."""
        s, k = logistic(xp, z)
        return s * (1 + held(xp, z, MOST) * k)

    def second_derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return s k (2 + z (k − s))."""
        s, k = logistic(xp, z)
        return s * k * (2 + held(xp, z, MOST) * (k - s))

    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Write z s to `a`."""
        s, k, total = scratch
        logistic_into(xp, z, s, k, total)
        xp.maximum(z, -MOST, out=a)
        xp.multiply(a, s, out=a)

    def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
        """Write s (1 + z k) to `out`."""
        s, k, total = scratch
        logistic_into(xp, z, s, k, total)
        held_into(xp, z, MOST, out)
        xp.multiply(out, k, out=out)
        xp.add(out, 1, out=out)
        xp.multiply(out, s, out=out)
