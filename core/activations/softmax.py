"""f(z)_j = exp(z_j) / Σ_k exp(z_k)."""

from __future__ import annotations

from core.activations.activation import Activation
from core.arrays import Array, Namespace


class Softmax(Activation):
    """a_j = exp(z_j) / Σ_k exp(z_k), over the last axis; computed with max(z) taken from z, so that nothing overflows.

    Its Jacobian is diag(a) − a aᵀ, which is symmetric, so z̄ = a ∘ (ā − ⟨a, ā⟩) and ȧ = a ∘ (ż − ⟨a, ż⟩).
    (Goodfellow, Bengio, Courville, "Deep Learning", 2016, section 6.2.2.3)

    >>> import numpy as np
    >>> Softmax().value(np, np.array([[1e4, 1e4]]))
    array([[0.5, 0.5]])
    """

    name = "softmax"

    def value(self, xp: Namespace, z: Array) -> Array:
        """Return exp(z) / Σ exp(z), row by row."""
        e = xp.exp(z - xp.max(z, axis=-1, keepdims=True))
        return e / xp.sum(e, axis=-1, keepdims=True)

    def pullback(self, xp: Namespace, a_bar: Array, z: Array, a: Array) -> Array:
        """Return z̄ = a ∘ (ā − ⟨a, ā⟩)."""
        return a * (a_bar - xp.sum(a * a_bar, axis=-1, keepdims=True))

    def pushforward(self, xp: Namespace, z_dot: Array, z: Array, a: Array) -> Array:
        """Return ȧ = a ∘ (ż − ⟨a, ż⟩)."""
        return a * (z_dot - xp.sum(a * z_dot, axis=-1, keepdims=True))

    def pullback_tangent(
        self, xp: Namespace, a_bar: Array, a_bar_dot: Array, z: Array, z_dot: Array, a: Array
    ) -> Array:
        """Return a ∘ (ā˙ − ⟨a, ā˙⟩) + ȧ ∘ (ā − ⟨a, ā⟩) − a ∘ ⟨ȧ, ā⟩, the product rule for z̄ = a ∘ (ā − ⟨a, ā⟩)."""
        a_dot = self.pushforward(xp, z_dot, z, a)
        centred = a_bar - xp.sum(a * a_bar, axis=-1, keepdims=True)
        moved = xp.sum(a_dot * a_bar, axis=-1, keepdims=True)
        return self.pullback(xp, a_bar_dot, z, a) + a_dot * centred - a * moved

    def value_into(self, xp: Namespace, z: Array, a: Array, scratch: Array) -> None:
        """Write exp(z) / Σ exp(z) to `a`."""
        xp.max(z, axis=-1, keepdims=True, out=scratch)
        xp.subtract(z, scratch, out=a)
        xp.exp(a, out=a)
        xp.sum(a, axis=-1, keepdims=True, out=scratch)
        xp.divide(a, scratch, out=a)

    def pullback_into(self, xp: Namespace, a_bar: Array, z: Array, a: Array, z_bar: Array, scratch: Array) -> None:
        """Write z̄ = a ∘ (ā − ⟨a, ā⟩) to `z_bar`."""
        xp.multiply(a, a_bar, out=z_bar)
        xp.sum(z_bar, axis=-1, keepdims=True, out=scratch)
        xp.subtract(a_bar, scratch, out=z_bar)
        xp.multiply(z_bar, a, out=z_bar)
