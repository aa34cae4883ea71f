"""f(z) = max(z, 0.01 z)."""

from __future__ import annotations

from core.activations.activation import Elementwise
from core.arrays import Array, Namespace

SLOPE = 0.01
"""Of the left half; the paper's number, and the usual one."""


class LeakyRelu(Elementwise):
    """f(z) = z for z > 0, else 0.01 z; f'(z) = 1 for z > 0, else 0.01 (also at the kink, 0).

    (Maas, Hannun, Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML 2013, section 2.2)

    >>> import numpy as np
    >>> LeakyRelu().value(np, np.array([-1.0, 0.0, 2.0]))
    array([-0.01,  0.  ,  2.  ])
    """

    name = "leaky_relu"
    initializer = "he_uniform"
    cuda_value = f"z > T(0) ? z : T({SLOPE}) * z"
    cuda_derivative = f"z > T(0) ? T(1) : (z == z ? T({SLOPE}) : z)"

    def value(self, xp: Namespace, z: Array) -> Array:
        """Return max(z, 0.01 z)."""
        return xp.maximum(z, SLOPE * z)

    def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return 1 where z > 0, else 0.01."""
        return xp.maximum(xp.sign(z), SLOPE)

    def second_derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return 0, and NaN where z is NaN."""
        return 0 * self.derivative(xp, z, a)

    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Write max(z, 0.01 z) to `a`."""
        xp.multiply(z, SLOPE, out=a)
        xp.maximum(z, a, out=a)

    def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
        """Write 1 where z > 0, else 0.01, to `out`."""
        xp.sign(z, out=out)
        xp.maximum(out, SLOPE, out=out)
