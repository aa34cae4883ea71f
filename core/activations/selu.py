"""f(z) = λ z for z > 0, else λ α (exp(z) − 1)."""

from __future__ import annotations

from core.activations.activation import Elementwise
from core.arrays import Array, Namespace

ALPHA = 1.6732632423543772
SCALE = 1.0507009873554805
"""λ; with these two, mean 0 and variance 1 are a fixed point from layer to layer (the paper's (14))."""


class Selu(Elementwise):
    """f(z) = λ z for z > 0, else λ α (exp(z) − 1); f'(z) = λ for z > 0, else λ α exp(z) (also at the kink, 0).

    (Klambauer, Unterthiner, Mayr, Hochreiter, "Self-normalizing neural networks", NeurIPS 2017, (2); α and λ are (14))

    >>> import numpy as np
    >>> Selu().value(np, np.array([-1e4, 0.0, 1.0])).round(4)
    array([-1.7581,  0.    ,  1.0507])
    """

    name = "selu"
    initializer = "lecun_normal"
    cuda_value = f"T({SCALE}) * (z > T(0) ? z : T({ALPHA}) * expm1(z))"
    cuda_derivative = f"T({SCALE}) * (z > T(0) ? T(1) : T({ALPHA}) * exp(z))"

    def value(self, xp: Namespace, z: Array) -> Array:
        """Return λ (max(z, 0) + α (exp(min(z, 0)) − 1))."""
        return SCALE * (xp.maximum(z, 0.0) + ALPHA * xp.expm1(xp.minimum(z, 0.0)))

    def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return λ where z > 0, else λ α exp(z)."""
        return SCALE * xp.where(z > 0, 1.0, ALPHA * xp.exp(xp.minimum(z, 0.0)))

    def second_derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return 0 where z > 0, else λ α exp(z)."""
        return SCALE * ALPHA * xp.where(z > 0, 0.0, xp.exp(xp.minimum(z, 0.0)))

    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Write λ (max(z, 0) + α (exp(min(z, 0)) − 1)) to `a`."""
        right = scratch[0]
        xp.minimum(z, 0, out=a)
        xp.expm1(a, out=a)
        xp.multiply(a, ALPHA, out=a)
        xp.maximum(z, 0, out=right)
        xp.add(a, right, out=a)
        xp.multiply(a, SCALE, out=a)

    def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
        """Write λ (α exp(min(z, 0)) − (α − 1) [z > 0]) to `out`."""
        right = scratch[0]
        xp.minimum(z, 0, out=out)
        xp.exp(out, out=out)
        xp.multiply(out, ALPHA, out=out)
        xp.sign(z, out=right)
        xp.maximum(right, 0, out=right)
        xp.multiply(right, ALPHA - 1, out=right)
        xp.subtract(out, right, out=out)
        xp.multiply(out, SCALE, out=out)
