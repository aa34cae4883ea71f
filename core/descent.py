"""From a gradient to new weights: schedule, penalties, clipping, the optimizer's step, bounds, the running average."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from core.arrays import Array
from core.averaging import Averaged
from core.network import Network
from core.optimizers import ElementwiseOptimizer, Optimizer, PerNetwork
from core.regularization import Regularization, Regularizer, is_weight, penalty
from core.schedules import Schedule
from core.steps import Steps


class Descent:
    """The way of a network's weights; nothing is read from the device but what the optimizer asks for.

    Args:
        network: whose parameters change.
        optimizer, schedule, regularization, average: as `train` has them.
        steps: where the gradient comes from.
        backpropagate: writes it to `steps.gradients`, for the network's parameters.

    Attributes:
        state: the optimizer's.
        schedule_state: what the schedule remembers.
        learning_rate: that of the last step, for a fleet whose networks have their own `(N,)`; 0 before the first.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        schedule: Schedule,
        regularization: Regularization,
        average: float | None,
        steps: Steps,
        backpropagate: Callable[[], None],
    ) -> None:
        self._network, self._optimizer, self._schedule = network, optimizer, schedule
        self._regularization, self._steps, self._backpropagate = regularization, steps, backpropagate
        self.state = optimizer.init(network.backend, network.parameters)
        self.schedule_state = schedule.init()
        self.learning_rate: float | np.ndarray = 0.0
        self._regularizer = Regularizer(network, steps.backend, regularization, steps.gradients)
        self._is_weight = is_weight(network) if _decays(optimizer) else None
        self._average = None if average is None else Averaged(network, steps.backend, average)

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays that change from step to step beside the network's own, by name."""
        average = {} if self._average is None else {"mean": self._average.mean, "trained": self._average.trained}
        return {f"optimizer.{name}": slot for name, slot in self.state.slots.items()} | {
            f"average.{name}": array for name, array in average.items()
        }

    def step(self, passed: float, epochs: int) -> None:
        """Change the network's parameters by one step, taken when `passed` of `epochs` epochs have passed."""
        factor = self._schedule.factor(passed, epochs, self.schedule_state)
        self.learning_rate = self._optimizer.rate(factor)
        network = self._network
        self._optimizer.step(
            self, self._steps.backend, network.parameters, self.state, factor=factor, is_weight=self._is_weight
        )
        self._regularizer.change_parameters()
        if self._average is not None:
            self._average.add(self.state.step)

    def numbers(self, passed: Sequence[float], epochs: int) -> np.ndarray:
        """Return the numbers of the next steps, `(…, steps, n + 1)`, and count these steps as taken.

        They are the n numbers of the rule, and the share by which the weights decay.

        For steps that are taken elsewhere, by the formula of an `ElementwiseOptimizer`, or of those of a fleet.

        Args:
            passed: how many epochs will have passed before each step, of at least one.
            epochs: how many there are.
        """
        optimizer = self._optimizer
        factors = [self._schedule.factor(then, epochs, self.schedule_state) for then in passed]
        steps = list(enumerate(factors, self.state.step + 1))
        self.state.step += len(factors)
        self.learning_rate = optimizer.rate(factors[-1])
        if isinstance(optimizer, PerNetwork):
            return np.stack([optimizer.numbers(step, factor) for step, factor in steps], axis=1)
        assert isinstance(optimizer, ElementwiseOptimizer), "others' steps are taken one by one"
        return np.array(
            [
                (*optimizer.step_numbers(step, rate := optimizer.rate(factor)), rate * optimizer.weight_decay)
                for step, factor in steps
            ]
        )

    def gradient(self) -> Array:
        """Return the gradient of what is minimised, J and the penalties, clipped, at the network's parameters."""
        self._backpropagate()
        self._regularizer.change_gradients()
        return self._steps.gradients

    def value(self) -> float:
        """Return J and the penalties where `gradient` was last asked for."""
        added = penalty(self._network, self._regularization.l1 or 0.0, self._regularization.l2 or 0.0)
        return self._steps.objective() + added.item()

    def begin_epoch(self) -> None:
        """Give the network the weights that are trained."""
        if self._average is not None:
            self._average.take_back()

    def end_epoch(self) -> None:
        """Give the network the weights that are measured and kept."""
        if self._average is not None:
            self._average.hand_over()

    def listen(self, loss: float) -> None:
        """Tell the schedule an epoch's loss."""
        self._schedule.listen(loss, self.schedule_state)


def _decays(optimizer: Optimizer) -> bool:
    each = optimizer.each if isinstance(optimizer, PerNetwork) else [optimizer]
    return any(isinstance(one, ElementwiseOptimizer) and one.weight_decay > 0 for one in each)
