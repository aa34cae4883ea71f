"""Where each variable of the layers lies in one flat buffer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from core.arrays import Array, Namespace


@dataclass(frozen=True)
class Variable:
    """An array that a layer keeps: a parameter, or a state that training changes without a gradient.

    Attributes:
        shape: without leading axes; a vector `(n,)` or a matrix `(n_out, n_in)`.
        initial: from a generator to the values at the start, on the host.
        is_weight: whether it is a weight matrix, which regularisation is meant for, and not a bias or a scale.
    """

    shape: tuple[int, ...]
    initial: Callable[[np.random.Generator], np.ndarray]
    is_weight: bool = False


Variables: TypeAlias = Mapping[str, "Variable | Variables"]
"""Variables by name; those of a layer within a layer are nested."""

Views: TypeAlias = Mapping[str, Any]
"""Arrays by name, nested as the variables are: a matrix `(…, n_out, n_in)`, a vector `(…, 1, n)`."""


@dataclass(frozen=True)
class Block:
    """A variable's place: `variable` from element `start` on, known outside as `name`, such as `2.weight`."""

    name: str
    start: int
    variable: Variable

    @property
    def stop(self) -> int:
        """Where the block ends."""
        return self.start + math.prod(self.variable.shape)


class Layout:
    """The order of `variables` in a buffer `(…, size)`: one after the other, without gaps.

    >>> vector = Variable((3,), lambda rng: np.zeros(3))
    >>> layout = Layout({"0": {"bias": vector}, "2": {"scale": vector}})
    >>> layout.size, [block.name for block in layout.blocks]
    (6, ['0.bias', '2.scale'])
    >>> layout.views(np, np.arange(6))["2"]["scale"]
    array([[3, 4, 5]])
    """

    def __init__(self, variables: Variables) -> None:
        self._variables = variables
        self.blocks: list[Block] = []
        for name, variable in _flattened(variables):
            self.blocks.append(Block(name, self.blocks[-1].stop if self.blocks else 0, variable))
        self.size = self.blocks[-1].stop if self.blocks else 0

    def views(self, xp: Namespace, flat: Array) -> Views:
        """Return views into `flat`, `(…, size)`, nested as the variables are; writing to them writes to `flat`."""
        views = iter([_view(xp, flat, block) for block in self.blocks])
        return _in_the_shape_of(self._variables, views)

    def weights(self, xp: Namespace, flat: Array) -> list[Array]:
        """Return the views into `flat` of the weight matrices alone, those of layers within layers too."""
        return [_view(xp, flat, block) for block in self.blocks if block.variable.is_weight]

    def by_name(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Return copies of the parts of `flat`, `(…, size)`, by the blocks' names, each in its variable's own shape."""
        return {
            block.name: np.array(flat[..., block.start : block.stop]).reshape(*flat.shape[:-1], *block.variable.shape)
            for block in self.blocks
        }

    def draw(self, rng: np.random.Generator, flat: np.ndarray) -> None:
        """Write the values at the start to `flat`, `(size,)`, drawn from `rng` in the order of the blocks."""
        for block in self.blocks:
            flat[block.start : block.stop] = block.variable.initial(rng).ravel()


def _flattened(variables: Variables, prefix: str = "") -> list[tuple[str, Variable]]:
    found = []
    for name, inner in variables.items():
        found += [(prefix + name, inner)] if isinstance(inner, Variable) else _flattened(inner, f"{prefix}{name}.")
    return found


def _in_the_shape_of(variables: Variables, views: Any) -> Views:
    return {
        name: next(views) if isinstance(inner, Variable) else _in_the_shape_of(inner, views)
        for name, inner in variables.items()
    }


def _view(xp: Namespace, flat: Array, block: Block) -> Array:
    shape = block.variable.shape if len(block.variable.shape) == 2 else (1, *block.variable.shape)
    return xp.reshape(flat[..., block.start : block.stop], (*flat.shape[:-1], *shape), copy=False)
