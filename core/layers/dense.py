"""A fully connected layer: z = x Θᵀ + b, a = f(z)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.activations import ACTIVATIONS, Activation
from core.arrays import Array, Namespace
from core.backend import Backend
from core.initializers import INITIALIZERS, Constant, Initializer
from core.kernels import Kernels
from core.layers.layer import Layer, Memory, Passing
from core.layout import Variable, Variables, Views
from core.named import by_name

LAYERS_OF_THEIR_OWN = {
    "prelu": "has parameters of its own, so it is a layer: Dense({units}) and then PRelu()",
    "maxout": "changes the number of features, so it is a layer: Dense(2 * {units}) and then Maxout(2)",
}
"""What is said about names that are activations elsewhere."""


@dataclass
class DenseMemory(Memory):
    """What a dense layer keeps: z and z̄ `(…, m, n_out)`, and scratch `row` `(…, m, 1)`."""

    z: Array
    z_bar: Array = None
    row: Array = None


@dataclass(frozen=True)
class Dense(Layer[DenseMemory]):
    """z = x Θᵀ + b, a = f(z), with Θ of shape `(units, n_in)` and b of shape `(units,)`.

    Args:
        units: n_out, at least 1.
        activation: name of f, one of `core.ACTIVATIONS`.
        bias: whether there is a b; it starts at 0.
        initializer: of Θ: one of `core.INITIALIZERS` by name, or a `Constant`; None takes the activation's own.

    Raises:
        ValueError: for a value that isn't allowed; the message names the argument.

    >>> Dense(64, "relu").initializer
    'he_uniform'
    """

    units: int
    activation: str = "identity"
    bias: bool = True
    initializer: str | Constant | None = None

    kind = "dense"

    def __post_init__(self) -> None:
        if isinstance(self.units, bool) or not isinstance(self.units, int) or self.units < 1:
            raise ValueError(f"units: {self.units!r} is not allowed; it must be an integer ≥ 1")
        if self.activation in LAYERS_OF_THEIR_OWN:
            says = LAYERS_OF_THEIR_OWN[self.activation].format(units=self.units)
            raise ValueError(f"activation: {self.activation!r} {says}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation: there is no {self.activation!r}; allowed are {', '.join(ACTIVATIONS)}")
        if self.initializer is None:
            object.__setattr__(self, "initializer", self.f.initializer)
        self._draw()

    @property
    def f(self) -> Activation:
        """The activation itself."""
        return ACTIVATIONS[self.activation]

    @property
    def places(self) -> int:
        """Two entries in PyTorch's `nn.Sequential`: an activation other than identity is one of its own."""
        return 1 if self.activation == "identity" else 2

    def n_outputs(self, n_inputs: int) -> int:
        """Return `units`."""
        return self.units

    def parameters(self, n_inputs: int) -> Variables:
        """Return Θ, `weight`, and b, `bias`."""
        draw = self._draw()
        weight = Variable((self.units, n_inputs), lambda rng: draw(rng, self.units, n_inputs), is_weight=True)
        bias = Variable((self.units,), lambda _: np.zeros(self.units))
        return {"weight": weight, "bias": bias} if self.bias else {"weight": weight}

    def as_data(self) -> dict[str, Any]:
        """Return the layer as plain data; a constant initializer is {"constant": its value}."""
        data = super().as_data()
        if isinstance(self.initializer, Constant):
            data["initializer"] = {"constant": self.initializer.value}
        return data

    @classmethod
    def of_data(cls, choices: dict[str, Any]) -> Dense:
        """Return the layer of these choices."""
        if isinstance(initializer := choices.get("initializer"), dict):
            choices = choices | {"initializer": Constant(initializer["constant"])}
        return cls(**choices)

    def without_activation(self) -> Dense:
        """Return the layer that ends with z, for a loss that goes with f and is computed from there."""
        return replace(self, activation="identity", initializer=self.initializer)

    def memory(self, backend: Backend, batch: tuple[int, ...], n_inputs: int, path: tuple[int, ...]) -> DenseMemory:
        """Return the memory for a batch; without an activation, a is z and z̄ is ā."""
        z = backend.empty((*batch, self.units))
        if self.activation == "identity":
            return DenseMemory(a=z, z=z)
        a, z_bar, row = backend.empty(z.shape), backend.empty(z.shape), backend.empty((*batch, 1))
        return DenseMemory(a, z, z_bar, row)

    def forward(self, k: Kernels, theta: Views, state: Views, x: Array, memory: DenseMemory, passing: Passing) -> None:
        """Write z = x Θᵀ + b and a = f(z)."""
        k.matmul(x, theta["weight"].mT, out=memory.z)
        if memory.a is memory.z:
            k.add_bias(memory.z, theta.get("bias"))
        else:
            k.bias_activation(self.f, memory.z, theta.get("bias"), memory.a, memory.row)

    def backward(
        self,
        k: Kernels,
        theta: Views,
        x: Array,
        memory: DenseMemory,
        a_bar: Array,
        gradients: Views,
        x_bar: Array | None,
    ) -> None:
        """Write z̄ = ā ∘ f'(z), Θ̄ = z̄ᵀ x, b̄ = Σ_samples z̄, x̄ = z̄ Θ."""
        z_bar = a_bar
        if memory.a is not memory.z:
            z_bar = memory.z_bar
            k.activation_pullback(self.f, a_bar, memory.z, memory.a, z_bar, memory.row)
        k.matmul(z_bar.mT, x, out=gradients["weight"])
        if self.bias:
            k.sum_samples(z_bar, out=gradients["bias"])
        if x_bar is not None:
            k.matmul(z_bar, theta["weight"], out=x_bar)

    def tangent(
        self, xp: Namespace, theta: Views, theta_dot: Views, x: Array, x_dot: Array, memory: DenseMemory
    ) -> Array:
        """Return ȧ = f'(z) ∘ ż, with ż = ẋ Θᵀ + x Θ̇ᵀ + ḃ."""
        return self.f.pushforward(xp, self._z_dot(xp, theta, theta_dot, x, x_dot), memory.z, memory.a)

    def backward_tangent(
        self,
        xp: Namespace,
        theta: Views,
        theta_dot: Views,
        x: Array,
        x_dot: Array,
        memory: DenseMemory,
        a_bar: Array,
        a_bar_dot: Array,
    ) -> tuple[dict[str, Any], Array, Array]:
        """Return Θ̄˙ = z̄˙ᵀ x + z̄ᵀ ẋ and b̄˙ = Σ_samples z̄˙; x̄; x̄˙ = z̄˙ Θ + z̄ Θ̇.

        The product rule in each line of `backward`; for an elementwise f, z̄˙ = ā˙ ∘ f'(z) + ā ∘ f''(z) ∘ ż.
        """
        z_dot = self._z_dot(xp, theta, theta_dot, x, x_dot)
        z_bar = self.f.pullback(xp, a_bar, memory.z, memory.a)
        z_bar_dot = self.f.pullback_tangent(xp, a_bar, a_bar_dot, memory.z, z_dot, memory.a)
        found = {"weight": xp.matmul(z_bar_dot.mT, x) + xp.matmul(z_bar.mT, x_dot)}
        if self.bias:
            found["bias"] = xp.sum(z_bar_dot, axis=-2, keepdims=True)
        x_bar_dot = xp.matmul(z_bar_dot, theta["weight"]) + xp.matmul(z_bar, theta_dot["weight"])
        return found, xp.matmul(z_bar, theta["weight"]), x_bar_dot

    def _draw(self) -> Initializer:
        return by_name("initializer", self.initializer, INITIALIZERS, Constant)

    def _z_dot(self, xp: Namespace, theta: Views, theta_dot: Views, x: Array, x_dot: Array) -> Array:
        z_dot = xp.matmul(x_dot, theta["weight"].mT) + xp.matmul(x, theta_dot["weight"].mT)
        return z_dot + theta_dot["bias"] if self.bias else z_dot
