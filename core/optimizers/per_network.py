"""Optimizers of a fleet whose networks have numbers of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.arrays import Array
from core.optimizers.elementwise import ElementwiseOptimizer
from core.optimizers.optimizer import Objective, Optimizer, OptimizerState
from core.optimizers.weight_decay import WeightDecay

if TYPE_CHECKING:
    from core.backend import Backend


class PerNetwork(Optimizer):
    """N optimizers of one class with numbers of their own, one for each network of a fleet.

    Args:
        each: for network 0, 1, …; they may differ in every number, but not in what is yes or no.

    Raises:
        ValueError: where they are of several classes, or differ in what is yes or no.

    >>> from core.optimizers import Sgd
    >>> PerNetwork([Sgd(0.1), Sgd(0.2)]).rate(0.5)
    array([0.05, 0.1 ])
    """

    def __init__(self, each: Sequence[Optimizer]) -> None:
        self.each = [one for one in each if isinstance(one, ElementwiseOptimizer)]
        first = self.each[0] if self.each else None
        if first is None or any(type(one) is not type(first) for one in each):
            names = ", ".join(sorted({one.name for one in each}))
            raise ValueError(
                f"optimizer: {names} together are not allowed; a fleet's optimizers must be of one class, one that "
                "changes each parameter by itself"
            )
        for name, value in vars(first).items():
            if isinstance(value, bool) and any(getattr(one, name) != value for one in self.each):
                raise ValueError(f"optimizer: {name} must be the same for all networks of a fleet")
        self._first = first

    def rate(self, factor: float) -> np.ndarray:
        """Return the networks' learning rates times `factor`, `(N,)`."""
        return np.array([one.rate(factor) for one in self.each])

    def init(self, backend: Backend, parameters: Array) -> OptimizerState:
        """Return the state before the first step for `parameters`, shape `(N, P)`."""
        state = self._first.init(backend, parameters)
        for name, array in state.slots.items():
            array[...] = backend.asarray(np.array([[one.initial(name)] for one in self.each]))
        return state

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
        """Take one step along the gradient, each network by its own optimizer's numbers."""
        gradients = objective.gradient()
        state.step += 1
        rates = [one.rate(factor) for one in self.each]
        shares = [rate * one.weight_decay for rate, one in zip(rates, self.each, strict=True)]
        if any(shares):
            WeightDecay().apply(backend, parameters, _column(backend, shares), is_weight)
        numbers = [one.step_numbers(state.step, rate) for one, rate in zip(self.each, rates, strict=True)]
        columns = tuple(_column(backend, column) for column in zip(*numbers, strict=True))
        self._first.change(backend, parameters, gradients, state, columns)


def _column(backend: Backend, numbers: Sequence[float]) -> Array:
    return backend.asarray(np.array(numbers)[:, None])
