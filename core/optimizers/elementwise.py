"""Optimizers that change each parameter by itself, in one pass over the flat buffer."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.arrays import Array, Numbers
from core.optimizers.optimizer import Objective, Optimizer, OptimizerState, require
from core.optimizers.weight_decay import WeightDecay
from core.rule import Rule

if TYPE_CHECKING:
    from core.backend import Backend


@dataclass(frozen=True)
class ElementwiseOptimizer(Optimizer, Rule):
    """A rule p ← p − … for every element of the parameters by itself, g being the gradient.

    Args:
        learning_rate: η > 0; each optimizer has a default of its own.
        weight_decay: λ ≥ 0. With λ > 0 each step of the rate η begins with Θ ← (1 − ηλ) Θ, which the gradient and its
            running means know nothing of (Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019,
            algorithms 1 and 2). For the penalty that is added to the gradient there is `train`'s l2.
    """

    learning_rate: float = 0.001
    weight_decay: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        require("learning_rate", self.learning_rate, 0)
        require("weight_decay", self.weight_decay, 0, low_allowed=True)

    @abstractmethod
    def step_numbers(self, step: int, learning_rate: float | Array) -> Numbers:
        """Return the numbers that step `step` (from 1) needs, worked out in double precision on the host.

        Args:
            step: from 1 on.
            learning_rate: η of this step; of networks that are alike in all else an array, of which numbers that depend
                on it are arrays, too.
        """

    def rate(self, factor: float) -> float:
        """Return the learning rate times `factor`."""
        return self.learning_rate * factor

    def initial(self, slot: str) -> float:
        """Return what the elements of `slot` are before the first step."""
        return 0.0

    def init(self, backend: Backend, parameters: Array) -> OptimizerState:
        """Return the state before the first step for `parameters`, shape `(…, P)`."""
        slots = {name: backend.zeros(parameters.shape) for name in self.slots}
        for name, array in slots.items():
            if value := self.initial(name):
                array[...] = value
        return OptimizerState(0, slots)

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
        """Take one step along the gradient."""
        self.update(backend, parameters, objective.gradient(), state, factor=factor, is_weight=is_weight)

    def update(
        self,
        backend: Backend,
        parameters: Array,
        gradients: Array,
        state: OptimizerState,
        *,
        factor: float = 1.0,
        is_weight: Array | None = None,
    ) -> None:
        """Take one step along `gradients`, laid out and contiguous as `parameters` is; else as `step`."""
        state.step += 1
        rate = self.rate(factor)
        if self.weight_decay:
            WeightDecay().apply(backend, parameters, rate * self.weight_decay, is_weight)
        self.change(backend, parameters, gradients, state, self.step_numbers(state.step, rate))

    def change(
        self, backend: Backend, parameters: Array, gradients: Array, state: OptimizerState, numbers: Numbers
    ) -> None:
        """Change `parameters` and the slots of `state` by the rule, with the numbers of a step."""
        slots = tuple(state.slots[name] for name in self.slots)
        backend.kernels.elementwise_step(self, parameters, gradients, slots, numbers)
