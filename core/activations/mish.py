"""f(z) = z tanh(ln(1 + exp(z)))."""

from __future__ import annotations

from core.activations.activation import Elementwise
from core.activations.held import held, held_into
from core.activations.logistic import logistic, logistic_into
from core.arrays import Array, Namespace

MOST = 1000.0
"""exp(−1000) is 0 in every dtype; z is held there where 0 · ∞ would be NaN."""

_S, _K = "(T(1) / (T(1) + exp(-z)))", "(T(1) / (T(1) + exp(z)))"


class Mish(Elementwise):
    """f(z) = z tanh(ln(1 + exp(z))).

    With s = 1 / (1 + exp(−z)) and k = 1 − s, the factor of z is t = (1 − k²)/(1 + k²) = s (1 + k)/(1 + k²), its
    derivative is t' = 4 s k²/(1 + k²)², and f'(z) = t + z t'.

    (Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020, (1))

    >>> import numpy as np
    >>> Mish().value(np, np.array([-np.inf, 0.0, 1.0])).round(4)
    array([-0.    ,  0.    ,  0.8651])
    """

    name = "mish"
    initializer = "he_uniform"
    cuda_value = f"z < T({-MOST}) ? T(0) : z * tanh(log1p(exp(z)))"
    cuda_derivative = (
        f"fabs(z) > T({MOST}) ? (z > T(0) ? T(1) : T(0)) :"
        f" ({_S} * (T(1) + {_K}) + T(4) * z * {_S} * {_K} * {_K} / (T(1) + {_K} * {_K})) / (T(1) + {_K} * {_K})"
    )

    def value(self, xp: Namespace, z: Array) -> Array:
        """Return z t."""
        s, k = logistic(xp, z)
        return xp.maximum(z, -MOST) * (s * (1 + k) / (1 + k * k))

    def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return t + z t'."""
        s, k = logistic(xp, z)
        below = 1 + k * k
        return (s * (1 + k) + 4 * held(xp, z, MOST) * s * k * k / below) / below

    def second_derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return 2t' + z t'', with t'' = t' (k − 2s + 4 s k²/(1 + k²))."""
        s, k = logistic(xp, z)
        below = 1 + k * k
        slope = 4 * s * k * k / (below * below)
        return slope * (2 + held(xp, z, MOST) * (k - 2 * s + 4 * s * k * k / below))

    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Write z t to `a`."""
        s, k, other = scratch
        logistic_into(xp, z, s, k, other)
        _above_and_below_into(xp, s, k, other)
        xp.divide(s, k, out=s)
        xp.maximum(z, -MOST, out=a)
        xp.multiply(a, s, out=a)

    def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
        """Write t + z t' to `out`."""
        s, k, other = scratch
        logistic_into(xp, z, s, k, other)
        held_into(xp, z, MOST, out)
        for factor in (s, k, k, 4):
            xp.multiply(out, factor, out=out)
        _above_and_below_into(xp, s, k, other)
        xp.divide(out, k, out=out)
        xp.add(out, s, out=out)
        xp.divide(out, k, out=out)


def _above_and_below_into(xp: Namespace, s: Array, k: Array, other: Array) -> None:
    """Replace s by s (1 + k) and k by 1 + k²."""
    xp.add(k, 1, out=other)
    xp.multiply(s, other, out=s)
    xp.multiply(k, k, out=k)
    xp.add(k, 1, out=k)
