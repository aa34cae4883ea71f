"""f(z) = z Φ(z)."""

from __future__ import annotations

from core.activations.activation import Elementwise
from core.activations.held import held, held_into
from core.activations.normal import MOST, normal, normal_into
from core.arrays import Array, Namespace

_CUMULATIVE = "T(0.5) * erfc(z * T(-0.7071067811865476))"


class Gelu(Elementwise):
    """f(z) = z Φ(z), with Φ(z) = (1 + erf(z/√2))/2, the normal distribution; f'(z) = Φ(z) + z φ(z).

    (Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", 2016, arXiv:1606.08415, section 2)

    >>> import numpy as np
    >>> Gelu().value(np, np.array([-np.inf, 0.0, 1.0])).round(4)
    array([-0.    ,  0.    ,  0.8413])
    """

    name = "gelu"
    initializer = "he_uniform"
    cuda_value = f"z < T({-MOST}) ? T(0) : z * ({_CUMULATIVE})"
    cuda_derivative = (
        f"fabs(z) > T({MOST}) ? (z > T(0) ? T(1) : T(0)) :"
        f" {_CUMULATIVE} + z * T(0.3989422804014327) * exp(T(-0.5) * z * z)"
    )

    def value(self, xp: Namespace, z: Array) -> Array:
        """Return z Φ(z)."""
        return xp.maximum(z, -MOST) * normal(xp, z)[0]

    def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return Φ(z) + z φ(z)."""
        cumulative, density = normal(xp, z)
        return cumulative + held(xp, z, MOST) * density

    def second_derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return (2 − z²) φ(z)."""
        h = held(xp, z, MOST)
        return (2 - h * h) * normal(xp, z)[1]

    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Write z Φ(z) to `a`."""
        density, x, below = scratch
        normal_into(xp, z, a, density, x, below)
        xp.maximum(z, -MOST, out=x)
        xp.multiply(a, x, out=a)

    def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
        """Write Φ(z) + z φ(z) to `out`."""
        density, x, below = scratch
        normal_into(xp, z, out, density, x, below)
        held_into(xp, z, MOST, x)
        xp.multiply(x, density, out=x)
        xp.add(out, x, out=out)
