"""How long a training takes on a machine that has measured itself: a step at a time, an epoch at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pydantic import BaseModel

FORWARD, ALL = 1, 3
"""Products of a layer: one on the way forward; two more on the way back."""
LANES = 16
"""Numbers of a vector: a row of fewer takes as long."""


class Rate(BaseModel):
    """How fast a product of two matrices of some size is computed: arithmetic operations, and as many a second."""

    flops: float
    per_second: float


class Calibration(BaseModel):
    """What a worker's machine takes for the parts of a training, in seconds unless said otherwise.

    Attributes:
        rates: of NumPy's products of matrices, by dtype, from small to large.
        compiled_rates: of the products of steps that are compiled together; none of an older version's, which has
            measured NumPy's alone.
        compiled_element: there, for each number of activations, of float32.
        compiled_step: what a step takes besides arithmetic where steps are compiled together.
        plain_step: the same where each operation is a call.
        parameter: for each byte of parameters, gradients and optimizer state that a step reads or writes.
        element: for each number of activations in a pass of its own.
        epoch: for its record, and the measurements on validation rows.
        row: of training, to draw an epoch's order.
        byte: of a data set's file, to read it.
        input: of a row, to encode it.
        start: whatever a job's size, from its beginning to its files.
        resident_bytes: of a child that waits for a job.
    """

    rates: dict[str, list[Rate]]
    compiled_rates: dict[str, list[Rate]] = {}
    compiled_element: float = 0.0
    compiled_step: float = 0.0
    plain_step: float = 0.0
    parameter: float = 0.0
    element: float = 0.0
    epoch: float = 0.0
    row: float = 0.0
    byte: float = 0.0
    input: float = 0.0
    start: float = 0.0
    resident_bytes: int | None = None


@dataclass(frozen=True)
class Work:
    """A training, as far as its time depends on it.

    Attributes:
        widths: inputs, and units of each layer.
        dtype: of the network.
        compiled: whether steps are compiled together.
        batch_size: rows of a step.
        n_train, n_validation: rows.
        epochs: how many.
        slots: arrays like the parameters that the optimizer keeps.
        evaluations: of the loss and its gradient in a step.
        passes: further reads and writes of all activations, by normalisation and dropout.
        file_bytes: of the data set.
    """

    widths: Sequence[int]
    dtype: str
    compiled: bool
    batch_size: int
    n_train: int
    n_validation: int
    epochs: int
    slots: int = 2
    evaluations: float = 1.0
    passes: int = 0
    file_bytes: int = 0

    @property
    def n_parameters(self) -> int:
        """Weights and biases."""
        return sum((n_in + 1) * n_out for n_in, n_out in pairwise(self.widths))

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return -(-self.n_train // self.batch_size)


def seconds(work: Work, calibration: Calibration) -> float:
    """Return how long the job takes once a worker has it, all in all."""
    rows = work.n_train + work.n_validation
    epoch = work.steps * step_seconds(work, calibration) + calibration.epoch + work.n_train * calibration.row
    # The loss and the metrics are measured in one pass, by NumPy.
    epoch += _products(work, work.n_validation, FORWARD, calibration.rates[work.dtype])
    epoch += work.n_validation * sum(work.widths) * calibration.element
    reading = work.file_bytes * calibration.byte + rows * work.widths[0] * calibration.input
    return calibration.start + reading + work.epochs * epoch


def step_seconds(work: Work, calibration: Calibration) -> float:
    """Return how long a step takes.

    It is the sum of what its products take, each at the rate of its size; of its passes over activations and over
    parameters, which memory bounds; and of what a step costs whatever its size.
    """
    size, item = min(work.batch_size, work.n_train), 8 if work.dtype == "float64" else 4
    if work.compiled and calibration.compiled_rates:
        known, fixed = calibration.compiled_rates[work.dtype], calibration.compiled_step
        row = sum(max(width, LANES) for width in work.widths) * calibration.compiled_element * item / 4
    else:
        known, row = calibration.rates[work.dtype], sum(work.widths) * calibration.element
        fixed = calibration.compiled_step if work.compiled else calibration.plain_step
    row += work.passes * sum(work.widths[1:-1]) * calibration.element
    once = _products(work, size, ALL, known) + size * row
    # Parameters, gradients and slots are read, parameters and slots written.
    passed = work.n_parameters * item * (3 + 2 * work.slots)
    return work.evaluations * once + fixed + passed * calibration.parameter


def _products(work: Work, rows: int, each: int, known: Sequence[Rate]) -> float:
    """Return the seconds of the products of a pass of `rows`; x̄ of the first layer's isn't computed."""
    if not rows:
        return 0.0
    total = 0.0
    for layer, (n_in, n_out) in enumerate(pairwise(work.widths)):
        flops = 2.0 * rows * n_in * n_out
        count = each - 1 if layer == 0 and each == ALL else each
        total += count * flops / rate(flops, known)
    return total


def rate(flops: float, known: Sequence[Rate]) -> float:
    """Return the operations a second for a product of so many, between those that were measured.

    Below the smallest the time stays the same, as it is that of the call; above the largest the rate does.

    >>> known = [Rate(flops=1e3, per_second=1e9), Rate(flops=1e5, per_second=1e11)]
    >>> f"{rate(1e4, known):.0e} {rate(1e2, known):.0e} {rate(1e9, known):.0e}"
    '1e+10 1e+08 1e+11'
    """
    if flops <= known[0].flops:
        return known[0].per_second * flops / known[0].flops
    for below, above in pairwise(known):
        if flops <= above.flops:
            part = math.log(flops / below.flops) / math.log(above.flops / below.flops)
            return below.per_second * (above.per_second / below.per_second) ** part
    return known[-1].per_second
