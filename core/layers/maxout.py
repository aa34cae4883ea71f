"""Maxout: of each few adjacent features, the largest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core import arguments
from core.arrays import Array, Namespace
from core.backend import Backend
from core.kernels import Kernels
from core.layers.layer import Layer, Memory, Passing
from core.layout import Views


@dataclass
class MaxoutMemory(Memory):
    """a and scratch `(…, m, n_out)`, and the mask of the features that were the largest, `(…, m, n_in)`."""

    scratch: Array
    mask: Array


@dataclass(frozen=True)
class Maxout(Layer[MaxoutMemory]):
    """a_j = max of x_jk, …, x_jk+k−1, for k = `pieces`: n features become n/k. It has no parameters of its own.

    After `Dense(k · u)` it is a layer of u units, each the maximum of k linear functions of its input: rows jk to
    jk + k − 1 of Θ are those of unit j. Of equal features the first is the largest, so it alone gets the adjoint. A NaN
    among the pieces makes their a NaN, and their x̄. (Goodfellow et al., "Maxout networks", ICML 2013, section 2)

    Args:
        pieces: k, at least 2.

    Raises:
        ValueError: for another k, and, where the network is made, for one that doesn't divide the number of features.

    >>> from core import Dense, Network
    >>> Network(3, [Dense(8), Maxout(2), Dense(1)]).predict([[1.0, 2.0, 3.0]]).shape
    (1, 1)
    """

    pieces: int = 2

    kind = "maxout"

    def __post_init__(self) -> None:
        object.__setattr__(self, "pieces", arguments.integer("pieces", self.pieces, 2))

    def n_outputs(self, n_inputs: int) -> int:
        """Return n_inputs / pieces."""
        if n_inputs % self.pieces:
            raise ValueError(
                f"pieces: {self.pieces} is not allowed for {n_inputs} features, which it doesn't divide; "
                f"make them {-(-n_inputs // self.pieces) * self.pieces}, for instance"
            )
        return n_inputs // self.pieces

    def memory(self, backend: Backend, batch: tuple[int, ...], n_inputs: int, path: tuple[int, ...]) -> MaxoutMemory:
        """Return the memory for a batch."""
        a, scratch = (backend.empty((*batch, n_inputs // self.pieces)) for _ in range(2))
        return MaxoutMemory(a, scratch, backend.empty((*batch, n_inputs)))

    def forward(self, k: Kernels, theta: Views, state: Views, x: Array, memory: MaxoutMemory, passing: Passing) -> None:
        """Write a and the mask."""
        k.maxout(x, self.pieces, memory.a, memory.mask, memory.scratch)

    def backward(
        self,
        k: Kernels,
        theta: Views,
        x: Array,
        memory: MaxoutMemory,
        a_bar: Array,
        gradients: Views,
        x_bar: Array | None,
    ) -> None:
        """Write x̄: ā where x was the largest, else 0."""
        if x_bar is None:
            return
        for piece in range(self.pieces):
            each = (..., slice(piece, None, self.pieces))
            k.multiply(a_bar, memory.mask[each], out=x_bar[each])

    def tangent(
        self, xp: Namespace, theta: Views, theta_dot: Views, x: Array, x_dot: Array, memory: MaxoutMemory
    ) -> Array:
        """Return ȧ: ẋ of the largest."""
        return xp.sum(xp.reshape(x_dot * memory.mask, (*memory.a.shape, self.pieces)), axis=-1)

    def backward_tangent(
        self,
        xp: Namespace,
        theta: Views,
        theta_dot: Views,
        x: Array,
        x_dot: Array,
        memory: MaxoutMemory,
        a_bar: Array,
        a_bar_dot: Array,
    ) -> tuple[dict[str, Any], Array, Array]:
        """Return x̄ and x̄˙: ā and ā˙ where x was the largest, else 0."""
        x_bar, x_bar_dot = (xp.repeat(v, self.pieces, axis=-1) * memory.mask for v in (a_bar, a_bar_dot))
        return {}, x_bar, x_bar_dot
