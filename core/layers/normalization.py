"""What layer and batch normalisation share: a = γ ∘ x̂ + β, for a standardised x̂."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from core.arrays import Array, Namespace
from core.backend import Backend
from core.kernels import Kernels
from core.layers.layer import Layer, Memory
from core.layout import Variable, Variables, Views


@dataclass
class NormalizationMemory(Memory):
    """x̂ and scratch `(…, m, n)`; mean, variance and 1/√(variance + ε), of one element along the axis."""

    x_hat: Array
    scratch: Array
    mean: Array
    variance: Array
    inverse: Array
    own_moments: bool = True
    """Whether mean and variance were those of the batch itself, and so depend on x."""


@dataclass(frozen=True)
class Normalization(Layer[NormalizationMemory]):
    """a = γ ∘ x̂ + β with x̂ = (x − mean)/√(variance + ε); γ starts at 1, β at 0.

    Args:
        epsilon: ε > 0.

    Raises:
        ValueError: for another ε.
    """

    epsilon: float = 1e-5

    axis: ClassVar[int]
    """Along which mean and variance are taken: −1, over a sample's features, or −2, over the samples."""

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < float("inf"):
            raise ValueError(f"epsilon: {self.epsilon!r} is not allowed; it must be > 0 and finite")

    def parameters(self, n_inputs: int) -> Variables:
        """Return γ, `weight`, and β, `bias`, as PyTorch calls them."""
        ones, zeros = (lambda _: np.ones(n_inputs)), (lambda _: np.zeros(n_inputs))
        return {"weight": Variable((n_inputs,), ones), "bias": Variable((n_inputs,), zeros)}

    def memory(
        self, backend: Backend, batch: tuple[int, ...], n_inputs: int, path: tuple[int, ...]
    ) -> NormalizationMemory:
        """Return the memory for a batch."""
        wide = (*batch, n_inputs)
        narrow = (*batch, 1) if self.axis == -1 else (*batch[:-1], 1, n_inputs)
        return NormalizationMemory(*(backend.empty(wide) for _ in range(3)), *(backend.empty(narrow) for _ in range(3)))

    def scale_and_shift(self, k: Kernels, theta: Views, memory: NormalizationMemory) -> None:
        """Write a = γ ∘ x̂ + β."""
        k.multiply(memory.x_hat, theta["weight"], out=memory.a)
        k.add(memory.a, theta["bias"], out=memory.a)

    def backward(
        self,
        k: Kernels,
        theta: Views,
        x: Array,
        memory: NormalizationMemory,
        a_bar: Array,
        gradients: Views,
        x_bar: Array | None,
    ) -> None:
        """Write γ̄ = Σ ā ∘ x̂, β̄ = Σ ā, and x̄ from the adjoint ā ∘ γ of x̂."""
        k.multiply(a_bar, memory.x_hat, out=memory.scratch)
        k.sum_samples(memory.scratch, out=gradients["weight"])
        k.sum_samples(a_bar, out=gradients["bias"])
        if x_bar is None:
            return
        k.multiply(a_bar, theta["weight"], out=memory.scratch)
        if memory.own_moments:
            free = (memory.mean, memory.variance)
            k.standardize_pullback(memory.scratch, memory.x_hat, memory.inverse, self.axis, x_bar, *free)
        else:
            k.multiply(memory.scratch, memory.inverse, out=x_bar)

    def tangent(
        self, xp: Namespace, theta: Views, theta_dot: Views, x: Array, x_dot: Array, memory: NormalizationMemory
    ) -> Array:
        """Return ȧ = γ̇ ∘ x̂ + γ ∘ x̂̇ + β̇; the Jacobian of x̂ is symmetric, so x̂̇ has the form of x̄."""
        x_hat_dot = self._jacobian(xp, x_dot, memory)
        return theta_dot["weight"] * memory.x_hat + theta["weight"] * x_hat_dot + theta_dot["bias"]

    def backward_tangent(
        self,
        xp: Namespace,
        theta: Views,
        theta_dot: Views,
        x: Array,
        x_dot: Array,
        memory: NormalizationMemory,
        a_bar: Array,
        a_bar_dot: Array,
    ) -> tuple[dict[str, Any], Array, Array]:
        """Return γ̄˙ = Σ (ā˙ ∘ x̂ + ā ∘ x̂̇), β̄˙ = Σ ā˙, x̄ and x̄˙, by the product rule.

        With g = ā ∘ γ and s = 1/√(variance + ε), x̄ = s (g − mean(g) − x̂ mean(g ∘ x̂)), and ṡ = −s² mean(x̂ ∘ ẋ).
        """

        def mean(v: Array) -> Array:
            return xp.mean(v, axis=self.axis, keepdims=True)

        x_hat, s = memory.x_hat, memory.inverse
        g, g_dot = a_bar * theta["weight"], a_bar_dot * theta["weight"] + a_bar * theta_dot["weight"]
        x_hat_dot = self._jacobian(xp, x_dot, memory)
        x_bar, x_bar_dot = (self._jacobian(xp, v, memory) for v in (g, g_dot))
        if memory.own_moments:
            moved = x_hat_dot * mean(g * x_hat) + x_hat * mean(g * x_hat_dot)
            x_bar_dot = x_bar_dot - s * moved - s * mean(x_hat * x_dot) * x_bar
        found = {
            "weight": xp.sum(a_bar_dot * x_hat + a_bar * x_hat_dot, axis=-2, keepdims=True),
            "bias": xp.sum(a_bar_dot, axis=-2, keepdims=True),
        }
        return found, x_bar, x_bar_dot

    def _jacobian(self, xp: Namespace, v: Array, memory: NormalizationMemory) -> Array:
        if memory.own_moments:
            paired = xp.mean(v * memory.x_hat, axis=self.axis, keepdims=True)
            v = v - xp.mean(v, axis=self.axis, keepdims=True) - memory.x_hat * paired
        return v * memory.inverse
