"""f(z) = ln(1 + exp(z))."""

from __future__ import annotations

from core.activations.activation import Elementwise
from core.arrays import Array, Namespace


class Softplus(Elementwise):
    """f(z) = ln(1 + exp(z)) = max(z, 0) + ln(1 + exp(−|z|)); f'(z) = 1 / (1 + exp(−z)), which is 1 − exp(−a).

    (Dugas, Bengio, Bélisle, Nadeau, Garcia, "Incorporating second-order functional knowledge for better option
    pricing", NIPS 2000, section 3)

    >>> import numpy as np
    >>> Softplus().value(np, np.array([-np.inf, 0.0, 30.0])).round(4)
    array([ 0.    ,  0.6931, 30.    ])
    """

    name = "softplus"
    initializer = "he_uniform"
    cuda_value = "(z > T(0) ? z : T(0)) + log1p(exp(-fabs(z)))"
    cuda_derivative = "-expm1(-a)"

    def value(self, xp: Namespace, z: Array) -> Array:
        """Return max(z, 0) + ln(1 + exp(−|z|))."""
        return xp.maximum(z, 0.0) + xp.log1p(xp.exp(-xp.abs(z)))

    def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return 1 − exp(−a), which is f'(z)."""
        return -xp.expm1(-a)

    def second_derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return exp(−a)(1 − exp(−a)), which is f''(z)."""
        return -xp.exp(-a) * xp.expm1(-a)

    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Write max(z, 0) + ln(1 + exp(−|z|)) to `a`."""
        right = scratch[0]
        xp.abs(z, out=a)
        xp.negative(a, out=a)
        xp.exp(a, out=a)
        xp.log1p(a, out=a)
        xp.maximum(z, 0, out=right)
        xp.add(a, right, out=a)

    def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
        """Write 1 − exp(−a), which is f'(z), to `out`."""
        xp.negative(a, out=out)
        xp.expm1(out, out=out)
        xp.negative(out, out=out)
