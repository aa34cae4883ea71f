"""Training: steps, epochs, and at the end of each epoch a record; everything else listens to it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.arrays import Array
from core.checkpoint import Checkpoint
from core.descent import Descent
from core.early_stopping import EarlyStopping
from core.losses import Loss
from core.many_steps import ManySteps
from core.network import Network
from core.non_finite import NonFiniteError, first_of, first_of_parameters
from core.optimizers import Optimizer
from core.record import Metric, Record
from core.regularization import Regularization
from core.schedules import Schedule
from core.steps import Steps
from core.validation import Validation

SNAPSHOT_SECONDS = 1.0
"""How much training may have to be done again to find where a number stopped being finite, beside one epoch."""


@dataclass(frozen=True)
class Plan:
    """What `train` was asked for, checked, beside the network and the samples.

    Attributes:
        loss, optimizer, schedule, regularization, average, epochs: as `train` has them.
        validation: samples that are not trained on.
        metrics: by name.
        stopping: early stopping, where it is wanted.
        choices: the hyperparameters as plain data, for `core.resuming`.
    """

    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    regularization: Regularization
    average: float | None
    epochs: int
    validation: Validation | None
    metrics: Mapping[str, Metric]
    stopping: EarlyStopping | None
    choices: Mapping[str, Any]


class Training(Iterator[Record]):
    """A training under way: an iterator over the records of its epochs, which can also be taken step by step.

    `train` makes it. After the last record the network holds the weights that are kept.

    Attributes:
        network: what is trained.
        epoch: epochs that have ended.
        position: steps that were taken in the epoch under way.
        steps_per_epoch: how many it has.
        best: the record of the best epoch so far, with early stopping.
        ended: whether all epochs are over, or early stopping has ended them.
    """

    def __init__(self, network: Network, plan: Plan, steps: Steps) -> None:
        self.network, self._plan, self._steps = network, plan, steps
        self._descent = Descent(
            network, plan.optimizer, plan.schedule, plan.regularization, plan.average, steps, self._backpropagate
        )
        self.epoch, self.position, self.steps_per_epoch, self.best = 0, 0, steps.count, None
        self.ended, self._waited, self._seconds = False, 0, 0.0
        self._watching = False
        self._compiled = self._many_steps(plan)
        if self._compiled is None:
            steps.prepare()
        self._best_arrays: dict[str, Array] = {}
        if plan.stopping and plan.stopping.restore_best:
            self._best_arrays = _copies(network, self._own_arrays())
        self._last_arrays: dict[str, Array] = {}
        self._safe: Checkpoint | None = None
        self._safe_at = 0.0

    @property
    def step(self) -> int:
        """Optimizer steps taken so far."""
        return self._descent.state.step

    def __next__(self) -> Record:
        """Go on to the end of the epoch and return its record.

        Raises:
            NonFiniteError: where the loss or a parameter isn't finite; for a fleet, where no network's is.
        """
        if self.ended:
            raise StopIteration
        record = self.advance()
        assert record is not None, "nothing but the epoch's end ends it"
        return record

    def advance(self, *, steps: int | None = None, seconds: float | None = None) -> Record | None:
        """Go on for so many steps, or until so much time has passed, but not beyond the end of the epoch.

        Returns:
            The record where the epoch has ended, else None: then training can be left, or its checkpoint taken, in the
            midst of an epoch.

        Raises:
            NonFiniteError: as `next` does.
        """
        if self.ended:
            return None
        began, taken = time.perf_counter(), 0
        # What overflows shows in the record, or ends training with an error of its own.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self._begin(began)
            while self.position < self.steps_per_epoch:
                most = self._compiled.most if self._compiled and not self._watching else 1
                taken += self._take_steps(
                    min(most, self.steps_per_epoch - self.position, steps - taken if steps else most)
                )
                if taken == steps or (seconds is not None and time.perf_counter() - began >= seconds):
                    break
            record = self._end_epoch(began) if self.position == self.steps_per_epoch else None
        self._seconds += time.perf_counter() - began
        return record

    def _begin(self, now: float) -> None:
        """Make ready for the next step: of a new epoch, or of one that was left."""
        if not self._watching and (self._safe is None or now - self._safe_at > SNAPSHOT_SECONDS):
            self._safe, self._safe_at = self.snapshot(self._safe.arrays if self._safe else None), now
        if self.position == 0:
            self._steps.total[...] = 0.0
            self._descent.begin_epoch()
        self._steps.draw(self.epoch + 1)

    def _many_steps(self, plan: Plan) -> ManySteps | None:
        """Return many steps in one call, where there are such for what is asked for."""
        steps, plain = self._steps, plan.regularization == Regularization() and plan.average is None
        kind = steps.backend.many_steps
        if kind is None or not (plain and steps.is_plain):
            return None
        x, y = steps.feed.tables
        data = (x, y, steps.batch_size, steps.gradients, self._descent.state, steps.seeds)
        return kind.where_they_suit(self.network, plan.loss, plan.optimizer, *data)

    def _take_steps(self, count: int) -> int:
        """Take up to `count` steps; return how many."""
        if self._compiled is None:
            self._take_step()
            return 1
        passed = [(self.epoch * self.steps_per_epoch + self.position + k) / self.steps_per_epoch for k in range(count)]
        before = _copies(self.network, {"": self.network.parameters}) if self._watching else {}
        first = self.step + 1
        numbers = self._descent.numbers(passed, self._plan.epochs)
        self._compiled.run(
            *(self._steps.feed.order, self.position, first, numbers, self._steps.total), watched=self._watching
        )
        if self._watching:
            found = first_of(self.network, self._compiled.trail()) or first_of_parameters(self.network)
            if found:
                self.network.parameters[...] = before[""]
                raise NonFiniteError(self.epoch + 1, self.step, *found)
        self.position += count
        return count

    def _take_step(self) -> None:
        before = _copies(self.network, {"": self.network.parameters}) if self._watching else {}
        self._steps.take(self.position, self.step + 1)
        try:
            passed = (self.epoch * self.steps_per_epoch + self.position) / self.steps_per_epoch
            self._descent.step(passed, self._plan.epochs)
            if self._watching and (found := first_of_parameters(self.network)):
                raise NonFiniteError(self.epoch + 1, self.step, *found)
        except NonFiniteError:
            self.network.parameters[...] = before[""]
            raise
        self.position += 1

    def _backpropagate(self) -> None:
        self._steps.backpropagate()
        if self._watching and self._steps.evaluations == 1 and (found := first_of(self.network, self._steps.trail())):
            raise NonFiniteError(self.epoch + 1, self.step + 1, *found)

    def _end_epoch(self, began: float) -> Record:
        plan, losses = self._plan, self._steps.mean_loss()
        if not np.isfinite(losses).any():
            self._find_non_finite()
        self._descent.end_epoch()
        validation_loss, values = None, {}
        if plan.validation is not None:
            loss, values = plan.validation.measured(plan.metrics, self._compiled.threads if self._compiled else 1)
            validation_loss = _number(loss)
        self.epoch, self.position = self.epoch + 1, 0
        seconds = self._seconds + time.perf_counter() - began
        record = Record(
            *(self.epoch, plan.epochs, self.step, _number(losses), validation_loss, values, seconds),
            self._descent.learning_rate,
        )
        if plan.schedule.listens:
            self._descent.listen(float(record.loss if validation_loss is None else validation_loss))
        self._judge(record)
        self._end_where_it_is_over()
        return record

    def _judge(self, record: Record) -> None:
        """Note whether the epoch was the best."""
        stopping = self._plan.stopping
        if stopping and stopping.is_better(record, self.best):
            self.best, self._waited = record, 0
            _write(self._best_arrays, self._own_arrays())
        elif stopping:
            self._waited += 1

    def _end_where_it_is_over(self) -> None:
        stopping, own = self._plan.stopping, self._own_arrays()
        self.ended = self.epoch >= self._plan.epochs or bool(stopping and self._waited >= stopping.patience)
        if self.ended and self._best_arrays and self.best:
            self._last_arrays = _copies(self.network, own)
            _write(own, self._best_arrays)

    def _find_non_finite(self) -> None:
        """Go back to the last snapshot, take the same steps again with open eyes, and raise what they meet."""
        assert self._safe is not None, "a snapshot is taken before the first step"
        self._restore(self._safe)
        self._watching = True
        try:
            while True:
                self.advance()
        finally:
            self._watching = False

    def checkpoint(self) -> Checkpoint:
        """Return the state of training between two steps, on the host, to go on from with `train(…, resume=…)`."""
        taken = self.snapshot()
        arrays = {name: self.network.backend.to_host(array) for name, array in taken.arrays.items()}
        data = {"choices": dict(self._plan.choices), "samples": self._steps.fingerprint()}
        return Checkpoint(taken.data | data, arrays)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Take over the state of a checkpoint, whose hyperparameters were found to fit."""
        self._restore(checkpoint)
        if self.position == 0:
            self._end_where_it_is_over()

    def _own_arrays(self) -> dict[str, Array]:
        return {"parameters": self.network.parameters, "state": self.network.state}

    def _live(self) -> dict[str, Array]:
        """Return the arrays that a training changes, by name."""
        own = self._last_arrays or self._own_arrays()
        best = {f"best.{name}": array for name, array in self._best_arrays.items()}
        return {**own, "total": self._steps.total, **self._descent.arrays, **best}

    def snapshot(self, into: dict[str, Array] | None = None) -> Checkpoint:
        """Return the state between two steps, on the device; `into` is where its arrays may go, of an earlier one."""
        descent = self._descent
        data = {
            "epoch": self.epoch,
            "position": self.position,
            "step": descent.state.step,
            "optimizer": dict(descent.state.numbers),
            "schedule": dict(descent.schedule_state),
            "waited": self._waited,
            "best": asdict(self.best) if self.best else None,
            "seconds": self._seconds,
        }
        live = self._live()
        if into is None:
            return Checkpoint(data, _copies(self.network, live))
        _write(into, live)
        return Checkpoint(data, into)

    def _restore(self, checkpoint: Checkpoint) -> None:
        data, descent, backend = checkpoint.data, self._descent, self.network.backend
        self.epoch, self.position = data["epoch"], data["position"]
        descent.state.step, descent.state.numbers = data["step"], dict(data["optimizer"])
        descent.schedule_state = dict(data["schedule"])
        self._waited, self._seconds = data["waited"], data["seconds"]
        self.best = Record(**data["best"]) if data["best"] else None
        self._last_arrays = {}
        for name, array in self._live().items():
            given = checkpoint.arrays[name]
            if isinstance(given, np.ndarray):
                given = backend.asarray(given, _dtype(name))
            array[...] = given


def _copies(network: Network, arrays: Mapping[str, Array]) -> dict[str, Array]:
    copies = {name: network.backend.empty(array.shape, _dtype(name)) for name, array in arrays.items()}
    _write(copies, arrays)
    return copies


def _dtype(name: str) -> str | None:
    """Return the dtype of an array of a snapshot: sums over an epoch are in double precision."""
    return "float64" if name == "total" else None


def _write(to: Mapping[str, Array], arrays: Mapping[str, Array]) -> None:
    for name, array in to.items():
        array[...] = arrays[name]


def _number(value: np.ndarray) -> float | np.ndarray:
    return value if value.ndim else value.item()
