"""What an activation is: f in three versions, and its derivatives, taken at z."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from core.arrays import Array, Namespace

SCRATCH = 3
"""How many arrays like z an elementwise activation may use on the way to its result."""


class Activation(ABC):
    """A function a = f(z) of each row of z, shape `(…, m, n)`.

    `value`, `pullback` and `pushforward` are the reference: the formula in calls that any array namespace has, new
    arrays out. `value_into` and `pullback_into` write into given arrays and allocate nothing; they are what NumPy
    runs, and CuPy where there is no fused kernel. `scratch` has the shape `(…, m, 1)`.
    """

    name: ClassVar[str]
    initializer: ClassVar[str] = "glorot_uniform"
    """Name of the initial weights that suit this activation."""

    @abstractmethod
    def value(self, xp: Namespace, z: Array) -> Array:
        """Return a = f(z)."""

    @abstractmethod
    def pullback(self, xp: Namespace, a_bar: Array, z: Array, a: Array) -> Array:
        """Return z̄, the adjoint of z, for the adjoint ā of a = f(z)."""

    @abstractmethod
    def pushforward(self, xp: Namespace, z_dot: Array, z: Array, a: Array) -> Array:
        """Return ȧ, the tangent of a = f(z), for the tangent ż of z."""

    @abstractmethod
    def pullback_tangent(
        self, xp: Namespace, a_bar: Array, a_bar_dot: Array, z: Array, z_dot: Array, a: Array
    ) -> Array:
        """Return the tangent of z̄, for the tangents of ā and of z: the pullback, differentiated once more."""

    @abstractmethod
    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Write f(z) to `a`."""

    @abstractmethod
    def pullback_into(self, xp: Namespace, a_bar: Array, z: Array, a: Array, z_bar: Array, scratch: Array) -> None:
        """Write z̄ to `z_bar`, which is none of the other arrays."""


class Elementwise(Activation):
    """An activation that takes each element by itself: its Jacobian is diag(f'(z)), so z̄ = ā ∘ f'(z).

    f' is taken at z. Where f'(z) is also a function of a = f(z), such as a(1 − a) for the sigmoid, it may be computed
    from a; it is never f' evaluated at a. Arrays may have any shape, and `scratch` is `(SCRATCH, *z.shape)`.
    """

    cuda_value: ClassVar[str]
    """f(z) as a CUDA C++ expression in `z`; `T` is the type."""
    cuda_derivative: ClassVar[str]
    """f'(z) as a CUDA C++ expression in `z` and `a`."""

    @abstractmethod
    def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return f'(z); `a` is f(z)."""

    @abstractmethod
    def second_derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
        """Return f''(z), for products with the Hessian; `a` is f(z)."""

    @abstractmethod
    def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
        """Write f'(z) to `out`, which is neither `z` nor `a`."""

    def pullback(self, xp: Namespace, a_bar: Array, z: Array, a: Array) -> Array:
        """Return z̄ = ā ∘ f'(z)."""
        return a_bar * self.derivative(xp, z, a)

    def pushforward(self, xp: Namespace, z_dot: Array, z: Array, a: Array) -> Array:
        """Return ȧ = f'(z) ∘ ż."""
        return self.derivative(xp, z, a) * z_dot

    def pullback_tangent(
        self, xp: Namespace, a_bar: Array, a_bar_dot: Array, z: Array, z_dot: Array, a: Array
    ) -> Array:
        """Return ā˙ ∘ f'(z) + ā ∘ f''(z) ∘ ż."""
        return a_bar_dot * self.derivative(xp, z, a) + a_bar * self.second_derivative(xp, z, a) * z_dot

    def pullback_into(self, xp: Namespace, a_bar: Array, z: Array, a: Array, z_bar: Array, scratch: Array) -> None:
        """Write z̄ = ā ∘ f'(z) to `z_bar`."""
        self.derivative_into(xp, z, a, z_bar, scratch)
        xp.multiply(z_bar, a_bar, out=z_bar)
