"""A rule that changes a flat buffer element by element: an optimizer's step, a penalty's gradient, a mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from core.arrays import Array, Namespace, Numbers, Slots


class Rule(ABC):
    """A rule that takes each element p, with the g that belongs to it, to a new one.

    `formula` is the reference, in calls that any array namespace has. `formula_into` does the same in place, on
    one-dimensional pieces that fit the cache; `cuda` is the same rule for one element on a GPU.
    """

    name: ClassVar[str]
    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays that the rule keeps from step to step."""
    numbers: ClassVar[tuple[str, ...]] = ()
    """Names of the numbers that a step needs."""
    cuda: ClassVar[str]
    """CUDA C++ statements on `T p`, `const T g`, and one `T` for each of `slots` and `numbers`."""

    @abstractmethod
    def formula(self, xp: Namespace, p: Array, g: Array, slots: Slots, *numbers: float) -> tuple[Array, ...]:
        """Return p and the slots after a step with g."""

    @abstractmethod
    def formula_into(self, xp: Namespace, p: Array, g: Array, slots: Slots, scratch: Array, *numbers: float) -> None:
        """Take the step in place; `scratch`, `(2, n)`, is room for two arrays like p. g is not to be changed."""


def are_per_network(numbers: Numbers) -> bool:
    """Return whether the numbers of a step are arrays, one number for each network of a fleet."""
    return bool(numbers) and getattr(numbers[0], "ndim", 0) > 0
