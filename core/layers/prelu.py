"""A rectifier whose left half has a slope that is learned, one for each feature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.arrays import Array, Namespace
from core.backend import Backend
from core.kernels import Kernels
from core.layers.layer import Layer, Memory, Passing
from core.layout import Variable, Variables, Views


@dataclass
class PReluMemory(Memory):
    """a, and scratch `(…, m, n)`."""

    scratch: Array


@dataclass(frozen=True)
class PRelu(Layer[PReluMemory]):
    """a = max(x, 0) + s ∘ min(x, 0), with a slope s for each feature; f'(x) = 1 for x > 0, else s (also at 0).

    s is called `weight`, as in PyTorch's `nn.PReLU(n)`, but no penalty touches it: one that draws s to 0 would make a
    relu of it. NaN stays NaN, in f and in f'. (He et al., "Delving deep into rectifiers", ICCV 2015, (1), (9), (10))

    Args:
        initial: s at the start, a finite number.

    Raises:
        ValueError: for another one.

    >>> from core import Dense, Network
    >>> net = Network(3, [Dense(8, initializer="he_uniform"), PRelu(), Dense(1)])
    >>> net.state_dict()["1.weight"]
    array([0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25], dtype=float32)
    """

    initial: float = 0.25

    kind = "prelu"

    def __post_init__(self) -> None:
        if (
            isinstance(self.initial, bool)
            or not isinstance(self.initial, int | float)
            or not math.isfinite(self.initial)
        ):
            raise ValueError(f"initial: {self.initial!r} is not allowed; it must be a finite number")

    def parameters(self, n_inputs: int) -> Variables:
        """Return s, `weight`."""
        return {"weight": Variable((n_inputs,), lambda _: np.full(n_inputs, float(self.initial)))}

    def memory(self, backend: Backend, batch: tuple[int, ...], n_inputs: int, path: tuple[int, ...]) -> PReluMemory:
        """Return the memory for a batch."""
        return PReluMemory(*(backend.empty((*batch, n_inputs)) for _ in range(2)))

    def forward(self, k: Kernels, theta: Views, state: Views, x: Array, memory: PReluMemory, passing: Passing) -> None:
        """Write a = max(x, 0) + s ∘ min(x, 0)."""
        k.prelu(x, theta["weight"], memory.a, memory.scratch)

    def backward(
        self,
        k: Kernels,
        theta: Views,
        x: Array,
        memory: PReluMemory,
        a_bar: Array,
        gradients: Views,
        x_bar: Array | None,
    ) -> None:
        """Write x̄ = ā ∘ f'(x) and s̄ = Σ_samples ā ∘ min(x, 0)."""
        k.prelu_pullback(a_bar, x, theta["weight"], x_bar, memory.scratch)
        k.sum_samples(memory.scratch, out=gradients["weight"])

    def tangent(
        self, xp: Namespace, theta: Views, theta_dot: Views, x: Array, x_dot: Array, memory: PReluMemory
    ) -> Array:
        """Return ȧ = f'(x) ∘ ẋ + ṡ ∘ min(x, 0)."""
        right, left = _halves(xp, x)
        return (right + theta["weight"] * left) * x_dot + theta_dot["weight"] * xp.minimum(x, 0)

    def backward_tangent(
        self,
        xp: Namespace,
        theta: Views,
        theta_dot: Views,
        x: Array,
        x_dot: Array,
        memory: PReluMemory,
        a_bar: Array,
        a_bar_dot: Array,
    ) -> tuple[dict[str, Any], Array, Array]:
        """Return s̄˙ = Σ_samples (ā˙ ∘ min(x, 0) + ā ∘ ẋ where x ≤ 0), x̄, and x̄˙ = ā˙ ∘ f'(x) + ā ∘ ṡ where x ≤ 0."""
        right, left = _halves(xp, x)
        slope = right + theta["weight"] * left
        s_bar_dot = xp.sum(a_bar_dot * xp.minimum(x, 0) + a_bar * left * x_dot, axis=-2, keepdims=True)
        return {"weight": s_bar_dot}, a_bar * slope, a_bar_dot * slope + a_bar * theta_dot["weight"] * left


def _halves(xp: Namespace, x: Array) -> tuple[Array, Array]:
    """Return 1 where x > 0, else 0, and 1 where x ≤ 0, else 0; NaN in both where x is."""
    right = xp.maximum(xp.sign(x), 0)
    return right, 1 - right
