"""What an optimizer is: `init` makes its state, plain data; `step` takes one step along the way down."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from core.arrays import Array

if TYPE_CHECKING:
    from core.backend import Backend


class Objective(Protocol):
    """What is to be made small, as a function of the parameters that the network holds."""

    def gradient(self) -> Array:
        """Return its gradient at the present parameters, laid out as they are; the next call writes over it."""
        ...

    def value(self) -> float:
        """Return its value where `gradient` was last asked for; this waits for the device."""
        ...


@dataclass
class OptimizerState:
    """The state of an optimizer: plain data, enough to go on exactly.

    Attributes:
        step: how many steps were taken.
        slots: the arrays that the optimizer keeps, by name.
        numbers: what else it keeps, by name.
    """

    step: int
    slots: dict[str, Array]
    numbers: dict[str, float] = field(default_factory=dict)


class Optimizer(ABC):
    """A way down. Its choices are the fields of a frozen dataclass.

    Attributes:
        name: the optimizer's name.
        full_batch: whether a step must see all samples, and a function that nothing but the parameters changes.
        working: how many arrays like the parameters a step makes for itself, at most at a time.
    """

    name: ClassVar[str]
    full_batch: ClassVar[bool] = False
    working: ClassVar[int] = 0

    @abstractmethod
    def rate(self, factor: float) -> float | np.ndarray:
        """Return the learning rate times `factor`; for N optimizers of a fleet an array `(N,)`."""

    @abstractmethod
    def init(self, backend: Backend, parameters: Array) -> OptimizerState:
        """Return the state before the first step for `parameters`, shape `(…, P)`."""

    @abstractmethod
    def step(
        self,
        objective: Objective,
        backend: Backend,
        parameters: Array,
        state: OptimizerState,
        *,
        factor: float = 1.0,
        is_weight: Array | None = None,
    ) -> None:
        """Take one step: change `parameters` and `state` in place.

        Args:
            objective: of `parameters`.
            backend: where the arrays lie.
            parameters: `(…, P)`, contiguous.
            state: from `init`.
            factor: what a schedule multiplies the learning rate by.
            is_weight: 1 where weight decay is meant for the element, else 0, shaped like the parameters; without it,
                it is for all.
        """


def require(name: str, value: float, low: float, high: float = math.inf, *, low_allowed: bool = False) -> None:
    """Raise ValueError unless `value` lies between `low` and `high`, the upper bound left out.

    >>> require("momentum", 1.5, 0, 1, low_allowed=True)
    Traceback (most recent call last):
    ...
    ValueError: momentum: 1.5 is not allowed; it must be ≥ 0 and < 1
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not (low < value < high or (low_allowed and value == low)):
        above = f"{'≥' if low_allowed else '>'} {low:g}"
        below = "finite" if math.isinf(high) else f"< {high:g}"
        raise ValueError(f"{name}: {value!r} is not allowed; it must be {above} and {below}")
