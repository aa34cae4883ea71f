"""What a layer is: a description with its formula, forward and back; parameters and memory are handed to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, TypeVar

from core.arrays import Array, Namespace
from core.backend import Backend
from core.kernels import Kernels
from core.layout import Variables, Views


@dataclass
class Passing:
    """How samples pass through the layers.

    Attributes:
        training: whether layers that act differently in training, such as dropout, do so.
        step: number of the optimizer step that the pass is for, from 1 on.
        seeds: of each network's random numbers; unsigned 64-bit integers on the device, `(…, 1, 1)`.
    """

    training: bool = False
    step: int = 0
    seeds: Array = None


@dataclass
class Memory:
    """What a layer keeps of a pass, made once for a batch size; a layer that keeps more derives its own."""

    a: Array
    """The output, `(…, m, n_out)`."""


M = TypeVar("M", bound=Memory)


class Layer(ABC, Generic[M]):
    """A layer for samples in rows, from x `(…, m, n_in)` to a `(…, m, n_out)`: a frozen dataclass of its choices.

    `forward` and `backward` stand one under the other and write to given arrays; `tangent` is the way forward for
    tangents, in calls that any array namespace has. A vector among the parameters is a view `(…, 1, n)`.
    """

    kind: ClassVar[str]
    """The layer's name in a saved network."""

    def n_outputs(self, n_inputs: int) -> int:
        """Return n_out; raises ValueError where the layer can't take `n_inputs`."""
        return n_inputs

    def parameters(self, n_inputs: int) -> Variables:
        """Return what is trained, by name."""
        return {}

    def state(self, n_inputs: int) -> Variables:
        """Return what training changes without a gradient, by name."""
        return {}

    @property
    def places(self) -> int:
        """How many entries the layer has in PyTorch's `nn.Sequential`."""
        return 1

    def as_data(self) -> dict[str, Any]:
        """Return the layer as plain data, from which `core.layers.from_data` makes it again."""
        return {"kind": self.kind, **{field.name: getattr(self, field.name) for field in fields(self)}}  # type: ignore[arg-type]

    def without_activation(self) -> Layer[Any]:
        """Return the layer as a loss takes it that goes with the layer's activation."""
        return self

    @classmethod
    def of_data(cls, choices: dict[str, Any]) -> Layer[M]:
        """Return the layer of these choices, plain data as in `as_data`."""
        return cls(**choices)

    @abstractmethod
    def memory(self, backend: Backend, batch: tuple[int, ...], n_inputs: int, path: tuple[int, ...]) -> M:
        """Return the memory for a batch of the shape `batch`, `(…, m)`; `path` is the layer's place among all."""

    @abstractmethod
    def forward(self, k: Kernels, theta: Views, state: Views, x: Array, memory: M, passing: Passing) -> None:
        """Write the output to `memory.a`, and to `memory` what `backward` needs."""

    @abstractmethod
    def backward(
        self, k: Kernels, theta: Views, x: Array, memory: M, a_bar: Array, gradients: Views, x_bar: Array | None
    ) -> None:
        """Write the parameters' adjoints to `gradients`, and x̄ to `x_bar` where that is given."""

    @abstractmethod
    def tangent(self, xp: Namespace, theta: Views, theta_dot: Views, x: Array, x_dot: Array, memory: M) -> Array:
        """Return ȧ for the tangents of the input and of the parameters, after a `forward`."""

    @abstractmethod
    def backward_tangent(
        self,
        xp: Namespace,
        theta: Views,
        theta_dot: Views,
        x: Array,
        x_dot: Array,
        memory: M,
        a_bar: Array,
        a_bar_dot: Array,
    ) -> tuple[dict[str, Any], Array, Array]:
        """Return the tangents of the parameters' adjoints, by name; x̄; and x̄˙: `backward`, differentiated once more.

        The tangents are those of the input, of the parameters and of ā.
        """
