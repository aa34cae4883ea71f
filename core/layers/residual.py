"""A residual block: what its layers make of x is added to x."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.arrays import Array, Namespace
from core.backend import Backend
from core.kernels import Kernels
from core.layers.layer import Layer, Memory, Passing
from core.layers.sequence import backward_tangent, tangents, variables, widths
from core.layout import Variables, Views


@dataclass
class ResidualMemory(Memory):
    """The inner layers' memories, the adjoint of each one's input `(…, m, n)`."""

    inner: list[Memory]
    bars: list[Array]


@dataclass(frozen=True)
class Residual(Layer[ResidualMemory]):
    """a = x + F(x), F being `layers` one after the other, which end with as many features as x has.

    (He et al., "Deep residual learning for image recognition", CVPR 2016, (1))

    Args:
        layers: at least one.

    Raises:
        ValueError: for no layers, and, where the network is made, for layers that end with another number of features.

    >>> from core import Dense, Network
    >>> Network(4, [Residual([Dense(8, "relu"), Dense(4)]), Dense(1)]).n_parameters
    81
    """

    layers: Sequence[Layer[Any]]

    kind = "residual"

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("layers: an empty list is not allowed; give what the block adds to its input")
        object.__setattr__(self, "layers", tuple(self.layers))

    def as_data(self) -> dict[str, Any]:
        """Return the block as plain data."""
        return {"kind": self.kind, "layers": [layer.as_data() for layer in self.layers]}

    @classmethod
    def of_data(cls, choices: dict[str, Any]) -> Residual:
        """Return the block of these choices."""
        from core.layers import from_data

        return cls([from_data(layer) for layer in choices["layers"]])

    def n_outputs(self, n_inputs: int) -> int:
        """Return n_inputs."""
        if (end := widths(self.layers, n_inputs)[-1]) != n_inputs:
            raise ValueError(
                f"layers: the block takes {n_inputs} features and its layers end with {end}; make them equal"
            )
        return n_inputs

    def parameters(self, n_inputs: int) -> Variables:
        """Return the inner layers' parameters."""
        return variables(self.layers, n_inputs, lambda layer, n_in: layer.parameters(n_in))

    def state(self, n_inputs: int) -> Variables:
        """Return the inner layers' states."""
        return variables(self.layers, n_inputs, lambda layer, n_in: layer.state(n_in))

    def memory(self, backend: Backend, batch: tuple[int, ...], n_inputs: int, path: tuple[int, ...]) -> ResidualMemory:
        """Return the memory for a batch."""
        sizes = widths(self.layers, n_inputs)[:-1]
        inner = [
            layer.memory(backend, batch, n, (*path, i))
            for i, (layer, n) in enumerate(zip(self.layers, sizes, strict=True))
        ]
        return ResidualMemory(backend.empty((*batch, n_inputs)), inner, [backend.empty((*batch, n)) for n in sizes])

    def forward(
        self, k: Kernels, theta: Views, state: Views, x: Array, memory: ResidualMemory, passing: Passing
    ) -> None:
        """Write a = x + F(x)."""
        inner = x
        for layer, t, s, m in zip(self.layers, theta.values(), state.values(), memory.inner, strict=True):
            layer.forward(k, t, s, inner, m, passing)
            inner = m.a
        k.add(x, inner, out=memory.a)

    def backward(
        self,
        k: Kernels,
        theta: Views,
        x: Array,
        memory: ResidualMemory,
        a_bar: Array,
        gradients: Views,
        x_bar: Array | None,
    ) -> None:
        """Go back through F, then write x̄ = ā + F's own x̄."""
        thetas, bars, inner = tuple(theta.values()), tuple(gradients.values()), memory.inner
        above = a_bar
        for i in reversed(range(len(self.layers))):
            below = memory.bars[i] if i or x_bar is not None else None
            self.layers[i].backward(k, thetas[i], inner[i - 1].a if i else x, inner[i], above, bars[i], below)
            above = below
        if x_bar is not None:
            k.add(a_bar, above, out=x_bar)

    def tangent(
        self, xp: Namespace, theta: Views, theta_dot: Views, x: Array, x_dot: Array, memory: ResidualMemory
    ) -> Array:
        """Return ȧ = ẋ + Ḟ."""
        return x_dot + tangents(xp, self.layers, theta, theta_dot, memory.inner, x, x_dot)[-1]

    def backward_tangent(
        self,
        xp: Namespace,
        theta: Views,
        theta_dot: Views,
        x: Array,
        x_dot: Array,
        memory: ResidualMemory,
        a_bar: Array,
        a_bar_dot: Array,
    ) -> tuple[dict[str, Any], Array, Array]:
        """Return what F gives, with ā added to its x̄, and ā˙ to its x̄˙."""
        dots = tangents(xp, self.layers, theta, theta_dot, memory.inner, x, x_dot)
        found, x_bar, x_bar_dot = backward_tangent(
            xp, self.layers, theta, theta_dot, memory.inner, x, dots, a_bar, a_bar_dot
        )
        return found, a_bar + x_bar, a_bar_dot + x_bar_dot
