"""f(z) = z (1 + tanh(√(2/π) (z + 0.044715 z³)))/2."""

from __future__ import annotations

import math

from core.activations.activation import Elementwise
from core.activations.held import held, held_into
from core.activations.logistic import logistic, logistic_into
from core.arrays import Array, Namespace

CUBIC = 0.044715
TWICE = 2 * math.sqrt(2 / math.pi)
MOST = 50.0
"""exp(−v(50)) is 0 in every dtype; z is held there, so that z³ doesn't overflow and 0 · ∞ doesn't come up."""

_V = f"(T({TWICE}) * z * (T(1) + T({CUBIC}) * z * z))"
_V_PRIME = f"(T({TWICE}) * (T(1) + T({3 * CUBIC}) * z * z))"


class GeluTanh(Elementwise):
    """f(z) = z (1 + tanh(v/2))/2 with v = 2√(2/π) (z + 0.044715 z³): gelu, approximated.

    As (1 + tanh(v/2))/2 = 1 / (1 + exp(−v)) =: s, it is z s, which keeps its digits far to the left. With k = 1 − s,
    f'(z) = s (1 + z k v').

    (Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", 2016, arXiv:1606.08415, section 2)

    >>> import numpy as np
    >>> GeluTanh().value(np, np.array([-np.inf, 0.0, 1.0])).round(4)
    array([-0.    ,  0.    ,  0.8412])
    """

    name = "gelu_tanh"
    initializer = "he_uniform"
    cuda_value = f"z < T({-MOST}) ? T(0) : z / (T(1) + exp(-{_V}))"
    cuda_derivative = (
        f"fabs(z) > T({MOST}) ? (z > T(0) ? T(1) : T(0)) :"
        f" (T(1) + z * {_V_PRIME} / (T(1) + exp({_V}))) / (T(1) + exp(-{_V}))"
    )

    def value(self, xp: Namespace, z: Array) -> Array:
        """Return z s."""
        h = held(xp, z, MOST)
        s, _ = logistic(xp, TWICE * h * (1 + CUBIC * h * h))
        return xp.maximum(z, -MOST) * s

    def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return s (1 + z k v')."""
        h = held(xp, z, MOST)
        s, k = logistic(xp, TWICE * h * (1 + CUBIC * h * h))
        return s * (1 + h * k * (TWICE * (1 + 3 * CUBIC * h * h)))

    def second_derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return s k (2v' + z ((k − s) v'² + v''))."""
        h = held(xp, z, MOST)
        s, k = logistic(xp, TWICE * h * (1 + CUBIC * h * h))
        v_prime, v_second = TWICE * (1 + 3 * CUBIC * h * h), 6 * TWICE * CUBIC * h
        return s * k * (2 * v_prime + h * ((k - s) * v_prime * v_prime + v_second))

    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Write z s to `a`."""
        s, k, total = scratch
        _v_into(xp, z, a, total)
        logistic_into(xp, a, s, k, total)
        xp.maximum(z, -MOST, out=a)
        xp.multiply(a, s, out=a)

    def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
        """Write s (1 + z k v') to `out`."""
        s, k, other = scratch
        _v_into(xp, z, out, other)
        logistic_into(xp, out, s, k, other)
        held_into(xp, z, MOST, other)
        xp.multiply(other, other, out=out)
        xp.multiply(out, 3 * CUBIC, out=out)
        xp.add(out, 1, out=out)
        for factor in (TWICE, other, k):
            xp.multiply(out, factor, out=out)
        xp.add(out, 1, out=out)
        xp.multiply(out, s, out=out)


def _v_into(xp: Namespace, z: Array, v: Array, square: Array) -> None:
    held_into(xp, z, MOST, v)
    xp.multiply(v, v, out=square)
    xp.multiply(square, CUBIC, out=square)
    xp.add(square, 1, out=square)
    xp.multiply(v, square, out=v)
    xp.multiply(v, TWICE, out=v)
