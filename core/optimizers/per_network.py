"""Optimizers of a fleet whose networks have numbers of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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
        self._rates, self._decays = (
            np.array([getattr(one, name) for one in self.each]) for name in ("learning_rate", "weight_decay")
        )
        alike: dict[ElementwiseOptimizer, list[int]] = {}
        for network, one in enumerate(self.each):
            alike.setdefault(replace(one, learning_rate=1.0), []).append(network)
        self._alike = [(one, np.array(networks)) for one, networks in alike.items()]

    def rate(self, factor: float) -> np.ndarray:
        """Return the networks' learning rates times `factor`, `(N,)`."""
        return self._rates * factor

    def numbers(self, step: int, factor: float) -> np.ndarray:
        """Return the numbers of step `step` (from 1), and the share by which the weights decay, `(N, n + 1)`.

        Optimizers that differ in nothing but the learning rate are asked once for all.
        """
        rates = self.rate(factor)
        found = np.empty((len(self.each), len(self._first.numbers) + 1))
        found[:, -1] = rates * self._decays
        for one, networks in self._alike:
            for index, number in enumerate(one.step_numbers(step, rates[networks])):
                found[networks, index] = number
        return found

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
        *numbers, shares = (backend.asarray(column[:, None]) for column in self.numbers(state.step, factor).T)
        if self._decays.any():
            WeightDecay().apply(backend, parameters, shares, is_weight)
        self._first.change(backend, parameters, gradients, state, tuple(numbers))
