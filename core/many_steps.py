"""Many steps of an epoch in one call: what that offers to training, and which networks there may be such steps for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from core.activations import Elementwise
from core.arrays import Array
from core.layers import Dense, Dropout, Layer
from core.losses import Loss
from core.network import Network
from core.optimizers import ElementwiseOptimizer, Optimizer, OptimizerState, PerNetwork


class ManySteps(Protocol):
    """The steps of `core.steps.Steps`, many in one call.

    Each network's steps are what they would be without the others, and with any number in a call, to the last bit.

    Attributes:
        most: steps that one call of `run` should take.
        threads: of this process, which share the work of a call.
    """

    most: int
    threads: int

    @classmethod
    def where_they_suit(
        cls,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        x: Array,
        y: Array,
        batch_size: int,
        gradients: Array,
        state: OptimizerState,
        seeds: int | tuple[int, ...],
    ) -> ManySteps | None:
        """Return the steps of this training; None where there are none.

        Args:
            network: of the backend whose `many_steps` this is.
            loss: J.
            optimizer: of training.
            x, y: samples and targets, where the steps are computed.
            batch_size: samples of a step.
            gradients: where they go.
            state: the optimizer's.
            seeds: of dropout, one for all networks or one for each.
        """
        ...

    def run(
        self, order: Array, first: int, step: int, numbers: np.ndarray, total: Array, *, watched: bool = False
    ) -> None:
        """Take a step with each of `numbers`, `(…, count, numbers of a step)`, from the epoch's step `first` on.

        Args:
            order: of the samples, `(…, n_samples)`.
            first: the epoch's step to begin with, from 0 on.
            step: which step of the training that is, from 1 on.
            numbers: as `Descent.numbers` returns them.
            total: `(…)`, to which the losses of the samples are added.
            watched: whether `trail` will be asked for; then `numbers` are of one step.
        """
        ...

    def trail(self) -> Iterator[tuple[str | None, str, Array]]:
        """Yield what a watched call computed, in its order: layer, what of it, and the numbers, `(N, …)`."""
        ...


class Link(NamedTuple):
    """A dense layer, and the dropout behind it: what that keeps, 1 where there is none, and its path."""

    dense: Dense
    keep: float = 1.0
    path: tuple[int, ...] | None = None

    @property
    def is_active(self) -> bool:
        """Whether a isn't z."""
        return self.dense.activation != "identity"


def chain(layers: Sequence[Layer[Any]]) -> list[Link] | None:
    """Return the layers; None where there are others, a dropout elsewhere, or an activation that isn't elementwise."""
    found: list[Link] = []
    for index, layer in enumerate(layers):
        if isinstance(layer, Dense) and isinstance(layer.f, Elementwise):
            found.append(Link(layer))
        elif isinstance(layer, Dropout) and found and found[-1].path is None:
            found[-1] = Link(found[-1].dense, 1 - layer.rate, (index,))
        else:
            return None
    return found if found and found[-1].path is None else None


def rule_of(optimizer: Optimizer) -> ElementwiseOptimizer | None:
    """Return the optimizer whose formula the steps have; None where there is none."""
    each: Sequence[Optimizer] = optimizer.each if isinstance(optimizer, PerNetwork) else [optimizer]
    rules = [one for one in each if isinstance(one, ElementwiseOptimizer)]
    return rules[0] if len(rules) == len(each) else None
