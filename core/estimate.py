"""What a training will take: parameters, steps, arithmetic, and memory, before any of it is there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core import arguments
from core.backend import DTYPES
from core.counting import CountingBackend
from core.early_stopping import EarlyStopping
from core.fitting import batch_size_for
from core.layers import Layer
from core.layout import Layout
from core.losses import Loss
from core.named import by_name
from core.network import Network
from core.optimizers import OPTIMIZERS, Optimizer
from core.regularization import Regularization
from core.schedules import ConstantRate
from core.steps import Steps
from core.training import Plan, Training
from core.workspace import CHUNK


@dataclass(frozen=True)
class Estimate:
    """What a training will take.

    Attributes:
        n_parameters: of one network.
        steps: of all epochs.
        flops: floating-point operations of the matrix products of a step, all networks together: 2 for each weight and
            sample on the way forward, 4 on the way back, and 2 for the first layer's, whose x̄ isn't computed.
        peak_bytes: the most that arrays on the host take at a time: the network's and its training's, with what is
            converted of the samples, but without x and y as the caller has them.
    """

    n_parameters: int
    steps: int
    flops: int
    peak_bytes: int


def estimate(
    n_inputs: int,
    layers: Sequence[Layer[Any]],
    *,
    n_samples: int,
    loss: str | Loss,
    optimizer: str | Optimizer = "adam",
    epochs: int = 100,
    batch_size: int | None = None,
    n_validation: int = 0,
    networks: int | None = None,
    dtype: str = "float32",
    data_dtype: str | None = None,
    regularization: Regularization | None = None,
    average: float | None = None,
    early_stopping: EarlyStopping | None = None,
) -> Estimate:
    """Return what it takes to make a network on NumPy and to train it; no array of its size is made.

    The memory is that of the arrays which the very same classes make that train. What Python and its libraries take for
    themselves is not in it, nor what metrics or a listener to training do.

    Args:
        n_inputs, layers: as `Network` has them.
        n_samples: to train on; their targets are int64 where the loss takes labels, else float64.
        loss, optimizer, epochs, batch_size, average, early_stopping: as `train` has them.
        n_validation: samples that are held out.
        networks: of a fleet; None for one network.
        dtype: of the network.
        data_dtype: of the samples; the network's where not given.
        regularization: what `train` has under l1, l2, clip_value, clip_norm and max_norm.

    Raises:
        ValueError: for an argument that isn't allowed; the message names it.

    >>> from core import Dense
    >>> estimate(4, [Dense(16, "tanh"), Dense(3)], n_samples=150, loss="squared_error", batch_size=32, epochs=10)
    Estimate(n_parameters=131, steps=50, flops=17408, peak_bytes=...)
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype: {dtype!r} is not allowed; it must be one of {', '.join(DTYPES)}")
    if np.dtype(data_dtype or dtype).kind not in "fiub":
        raise ValueError(f"data_dtype: {data_dtype!r} is not allowed; it must be numbers, such as float16 or int8")
    arguments.integer("n_samples", n_samples, 1)
    arguments.integer("n_validation", n_validation, 0)
    arguments.integer("epochs", epochs, 1)
    rate = by_name("optimizer", optimizer, {name: make() for name, make in OPTIMIZERS.items()}, Optimizer)
    size = batch_size_for(batch_size, rate, n_samples)
    seeds = 0 if networks is None else tuple(range(arguments.integer("networks", networks, 1)))
    backend = CountingBackend(dtype)
    network = _Undrawn(n_inputs, layers, backend=backend, seed=seeds)
    rule = arguments.fitting_loss(loss, network.output_activation)

    x = _any_numbers((n_samples, network.n_inputs), data_dtype or dtype)
    y = _any_numbers((n_samples,), "int64") if rule.takes_labels else _any_numbers((n_samples, network.n_outputs), "f8")
    # Where drawn in double precision, and where what is drawn is checked.
    start = backend.bytes + max(8 * network.largest, min(x.size, arguments.PIECE))
    steps = Steps(network, rule, x, y, None, size, seeds, shuffle=True)
    plan = Plan(
        *(rule, rate, ConstantRate(), regularization or Regularization(), average, epochs, None, {}, early_stopping, {})
    )
    training = Training(network, plan, steps)
    # Where all of them go through at once, the memory stays for the next epoch.
    held_out = network.workspace(n_validation, rule, y) if 0 < n_validation <= CHUNK else None
    snapshot, fleet = training.snapshot(), networks or 1
    order = 8 * n_samples * fleet
    kept = backend.bytes + order
    # The next order is drawn beside this one, and those of a fleet one by one.
    moments = [start, kept + (order if networks is None else 2 * order)]
    converted = 0 if steps.feed.tables[0].dtype == network.backend.dtype else size * x.itemsize * network.n_inputs
    moments.append(kept + fleet * converted + rate.working * network.parameters.nbytes)
    moments.append(kept + network.parameters.size)  # whether each is finite
    if n_validation > CHUNK:
        held_out = network.workspace(CHUNK, rule, y)
        moments.append(order + backend.bytes)
    del snapshot, held_out
    return Estimate(network.n_parameters, epochs * steps.count, fleet * network.flops(size), max(moments))


class _Undrawn(Network):
    """A network whose weights nobody draws."""

    largest = 0
    """Numbers of the largest variable."""

    def _initial(self, layout: Layout) -> np.ndarray:
        self.largest = max([self.largest, *(math.prod(block.variable.shape) for block in layout.blocks)])
        return _any_numbers((*self.leading, layout.size), "f8")

    def flops(self, m: int) -> int:
        """Return the operations of the matrix products of a step of one network with m samples."""
        weights = [block for block in self._parameters.blocks if block.variable.is_weight]
        sizes = [math.prod(block.variable.shape) for block in weights]
        first_has_some = bool(weights) and weights[0].name.startswith("0.")
        return 2 * m * (3 * sum(sizes) - (sizes[0] if first_has_some else 0))


def _any_numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return np.broadcast_to(np.zeros((), dtype), shape)
