"""Dropout: in training, each element is set to 0 with a given probability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.arrays import Array, Namespace
from core.backend import Backend
from core.kernels import Kernels
from core.kernels.counter import folded
from core.layers.layer import Layer, Memory, Passing
from core.layout import Views


@dataclass
class DropoutMemory(Memory):
    """What dropout keeps: the mask `(…, m, n)`, the layer's path, and memory to draw the mask with."""

    mask: Array
    path: tuple[int, ...]
    counter: Array
    bits: Array
    scratch: Array


@dataclass(frozen=True)
class Dropout(Layer[DropoutMemory]):
    """a = x ∘ mask, where an element of the mask is 0 with the probability `rate`, else 1/(1 − rate).

    So the expectation of a is x, and in predictions, where nothing is dropped, a = x. The mask is a function of (seed,
    step, layer, element), so there is no state to save. (Srivastava et al., "Dropout", JMLR 15, 2014, section 10)

    Args:
        rate: greater than 0, less than 1.

    Raises:
        ValueError: for another rate.

    >>> Dropout(1.0)
    Traceback (most recent call last):
    ...
    ValueError: rate: 1.0 is not allowed; it must be > 0 and < 1
    """

    rate: float = 0.5

    kind = "dropout"

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"rate: {self.rate!r} is not allowed; it must be > 0 and < 1")

    def memory(self, backend: Backend, batch: tuple[int, ...], n_inputs: int, path: tuple[int, ...]) -> DropoutMemory:
        """Return the memory for a batch."""
        shape, sample = (*batch, n_inputs), (batch[-1], n_inputs)
        # Counted within a network, so that each of a fleet draws what it would alone.
        counter = backend.asarray(np.arange(math.prod(sample), dtype=np.uint64).reshape(sample), "uint64")
        bits, scratch = (backend.empty(shape, "uint64") for _ in range(2))
        return DropoutMemory(backend.empty(shape), backend.empty(shape), path, counter, bits, scratch)

    def forward(
        self, k: Kernels, theta: Views, state: Views, x: Array, memory: DropoutMemory, passing: Passing
    ) -> None:
        """Write a = x ∘ mask."""
        if passing.training:
            stream = folded([passing.step, *memory.path])
            work = (memory.counter, memory.bits, memory.scratch)
            k.dropout_mask(passing.seeds, stream, 1 - self.rate, *work, memory.mask)
        else:
            memory.mask[...] = 1
        k.multiply(x, memory.mask, out=memory.a)

    def backward(
        self,
        k: Kernels,
        theta: Views,
        x: Array,
        memory: DropoutMemory,
        a_bar: Array,
        gradients: Views,
        x_bar: Array | None,
    ) -> None:
        """Write x̄ = ā ∘ mask."""
        if x_bar is not None:
            k.multiply(a_bar, memory.mask, out=x_bar)

    def tangent(
        self, xp: Namespace, theta: Views, theta_dot: Views, x: Array, x_dot: Array, memory: DropoutMemory
    ) -> Array:
        """Return ȧ = ẋ ∘ mask."""
        return x_dot * memory.mask

    def backward_tangent(
        self,
        xp: Namespace,
        theta: Views,
        theta_dot: Views,
        x: Array,
        x_dot: Array,
        memory: DropoutMemory,
        a_bar: Array,
        a_bar_dot: Array,
    ) -> tuple[dict[str, Any], Array, Array]:
        """Return x̄ = ā ∘ mask and x̄˙ = ā˙ ∘ mask."""
        return {}, a_bar * memory.mask, a_bar_dot * memory.mask
