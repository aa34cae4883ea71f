"""From a job as posted to its resolved spec: what "auto" becomes, and everything that this data set can't give."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

import core
from service.datasets.kinds import for_a_job, takes
from service.datasets.schemas import Column
from service.datasets.summary import MOST_CLASSES
from service.jobs.auto_optimizer import AutoOptimizer
from service.jobs.choices import LOSS, OPTIMIZER, SCHEDULE
from service.jobs.request import JobRequest
from service.jobs.schemas import Choice, Output, Spec, Task
from service.jobs.split import column_of
from service.jobs.splitting import UPLOADED, Others, Splitting
from service.jobs.starting import Source, differences
from service.problems import echo, invalid
from service.schemas import FieldError
from service.settings import Settings
from service.tables import Dataset

FEWEST_NUMBERS = 21
"""A target of whole numbers is a quantity, rather than a label, from so many different ones on."""
USUAL_BATCH_SIZE = 32
NUMBER_LOSSES = ", ".join(["auto", *(loss.name for loss in core.LOSSES.values() if not loss.tells_classes)])


def resolve(
    request: JobRequest,
    dataset: Dataset | None,
    start: Source | None,
    settings: Settings,
    others: Others = MappingProxyType({}),
) -> Spec:
    """Return the spec in which everything is settled but the device, which is the worker's to find.

    Args:
        request: the job as posted.
        dataset: the data set that it names; None where there is none.
        start: what `init_from` names; None where there is nothing.
        settings: what the operator allows.
        others: the data sets that its split names, those that are there.

    Raises `Problem` (422) with one error for each thing that is wrong.
    """
    unknown: list[FieldError] = []
    if request.init_from and start is None:
        allowed = "the id of a model, from GET /v1/models, or of a checkpoint, from GET /v1/jobs/…/checkpoints"
        unknown.append(_error("init_from", request.init_from, "there is nothing with this id", allowed))
    if dataset is None:
        missing = _error("dataset_id", request.dataset_id, "there is no data set with this id", UPLOADED)
        raise invalid([missing, *unknown])
    columns = [Column.model_validate(column) for column in dataset.columns]
    target = next((column for column in columns if column.name == request.target), None)
    if target is None:
        names = ", ".join(column.name for column in columns)
        missing = _error("target", request.target, "the data set has no such column", f"one of: {names}")
        raise invalid([missing, *unknown])
    unfit = list(_kind_errors(request, columns))
    columns = for_a_job(columns, request.target, request.kinds, column_of(request.split))
    target = next(column for column in columns if column.name == request.target)
    loss = LOSS.choose(_fitting_loss(target)) if request.loss == "auto" else request.loss
    features = [
        column for column in columns if column is not target and column.feature and column.missing < dataset.rows
    ]
    case = _Case(request, columns, target, loss, features, dataset.rows, others, settings.max_parameters)
    unlike = differences(start, request, case.task, case.output, columns) if start else ()
    if errors := [*unfit, *case.errors(), *unknown, *unlike]:
        raise invalid(errors)
    given = request.model_dump(include=set(Spec.model_fields) - {"loss", "optimizer", "batch_size"})
    if start:
        given["encoding"] = start.encoding
    settled = {"loss": loss, "optimizer": case.optimizer, "batch_size": case.batch_size}
    return Spec(**given, **settled, task=case.task, output=case.output)


def _kind_errors(request: JobRequest, columns: list[Column]) -> Iterator[FieldError]:
    by_name = {column.name: column for column in columns}
    for name, kind in request.kinds.items():
        field = f"kinds.{echo(name)}"
        if name not in by_name:
            yield _error(field, kind, "the data set has no such column", f"one of: {', '.join(by_name)}")
        elif not takes(by_name[name], kind):
            message = f"the column was read as {by_name[name].values}"
            allowed = f"categorical, text, identifier; or upload the file again with ?kind={name}:{kind}"
            yield _error(field, kind, message, allowed)


def _fitting_loss(target: Column) -> str:
    if target.kind == "numeric" and not (target.integer and target.distinct < FEWEST_NUMBERS):
        return "squared_error"
    return "binary_cross_entropy" if target.distinct == 2 else "softmax_cross_entropy"


@dataclass(frozen=True)
class _Case:
    """A job on its data set, of `rows` rows."""

    request: JobRequest
    columns: list[Column]
    target: Column
    loss: Choice
    features: list[Column]
    rows: int
    others: Others
    max_parameters: int

    @cached_property
    def splitting(self) -> Splitting:
        """The rows, divided."""
        return Splitting(self.request.split, self.columns, self.target, self.rows, self.task, self.others)

    @property
    def n_rows(self) -> int:
        """Rows that have a target."""
        return self.splitting.n_rows

    @cached_property
    def rule(self) -> core.Loss:
        """The loss itself."""
        return LOSS.make(self.loss)

    @property
    def task(self) -> Task:
        return "classification" if self.rule.tells_classes else "regression"

    @property
    def output(self) -> Output:
        units = self.target.distinct if self.rule.takes_labels else 1
        return Output(units=units, activation=self.rule.output_activation or "identity")

    @property
    def batch_size(self) -> int | Literal["all"]:
        if self.request.batch_size == "auto":
            return "all" if self.takes_all_rows else USUAL_BATCH_SIZE
        return self.request.batch_size

    @property
    def takes_all_rows(self) -> bool:
        """Whether the optimizer takes all training rows in each step."""
        optimizer = core.OPTIMIZERS.get(self.request.optimizer.name)
        return optimizer is not None and optimizer.full_batch

    @property
    def optimizer(self) -> Choice:
        optimizer = OPTIMIZER.make(self.request.optimizer)
        if not isinstance(optimizer, AutoOptimizer):
            return self.request.optimizer
        rows = max(1, self.splitting.divided().train)
        batch = rows if self.batch_size == "all" else self.batch_size
        return OPTIMIZER.choose(optimizer.settled(self.request.epochs * math.ceil(rows / batch)))

    def errors(self) -> Iterator[FieldError]:
        if self.n_rows == 0:
            yield self._of_target("the column has no value in any row", "a column with values")
        else:
            yield from self._regression_errors() if self.task == "regression" else self._class_errors()
            yield from self.splitting.errors()
            yield from self._early_stopping_errors()
            yield from self._class_weight_errors()
        if not self.features:
            message = "no other column of the data set has a value, so there is nothing to predict the target from"
            yield self._of_target(message, "a target that leaves at least one column with values")
        yield from self._size_errors()
        yield from self._batch_errors()
        yield from self._optimizer_errors()

    def _regression_errors(self) -> Iterator[FieldError]:
        name = self.loss.name
        if self.target.kind != "numeric":
            message = f"{name} needs numbers, and the target {self.target.name!r} is {self.target.kind}"
            yield self._of_loss(message, self._losses_for_classes())
            return
        for extreme in (self.target.minimum, self.target.maximum):
            try:
                self.rule.targets(np.array([[extreme]], np.float64), 1)
            except ValueError as error:  # as in "y: gamma takes finite numbers > 0, but row 0 is [-1.0]"
                takes = str(error).removeprefix("y: ").partition(", but")[0]
                yield self._of_loss(f"{takes}, and the target {self.target.name!r} has {extreme}", NUMBER_LOSSES)
                return
        if self.rule.output_activation and not self.target.maximum:
            message = f"{name} needs numbers above 0, and the target {self.target.name!r} is 0 in every row"
            yield self._of_target(message, "a column with numbers above 0")

    def _losses_for_classes(self) -> str:
        there = [loss for loss in core.LOSSES.values() if loss.tells_classes]
        return ", ".join(["auto", *(loss.name for loss in there if loss.takes_labels or self.target.distinct == 2)])

    def _class_errors(self) -> Iterator[FieldError]:
        n_classes, name = self.target.distinct, self.loss.name
        if self.target.kind == "numeric" and not self.target.integer:
            message = f"{name} needs classes, and the target {self.target.name!r} has fractional numbers"
            yield self._of_loss(message, NUMBER_LOSSES)
            return
        if n_classes < 2:
            only = next(iter(self.target.classes or {}), "")
            yield self._of_target(f"every row has the same class, {echo(only)!r}", "a column with at least two classes")
        elif n_classes > MOST_CLASSES:
            yield self._of_target(f"the column has {n_classes} classes", f"from 2 to {MOST_CLASSES} classes")
        elif not self.rule.takes_labels and n_classes != 2:
            message = f"{name} needs two classes, and the target {self.target.name!r} has {n_classes}"
            yield self._of_loss(message, self._losses_for_classes())

    def _early_stopping_errors(self) -> Iterator[FieldError]:
        stopping = self.request.early_stopping
        metrics = ["accuracy"] if self.task == "classification" else ["rmse", "mae", "r2"]
        validates = self.splitting.divided().validation > 0
        there = ["loss", "validation_loss", *metrics] if validates else ["loss"]
        if stopping and stopping.monitor not in there:
            why = f"in a {self.task}" if validates else "without validation rows"
            message = f"{stopping.monitor} isn't measured {why}"
            yield _error("early_stopping.monitor", stopping.monitor, message, f"one of: {', '.join(there)}")

    def _class_weight_errors(self) -> Iterator[FieldError]:
        weights, classes = self.request.class_weight, self.target.classes or {}
        if weights is None:
            return
        if self.task == "regression":
            message = f"{self.loss.name} has no classes to weigh"
            yield _error("class_weight", weights, message, "null, or a loss for classes")
        elif isinstance(weights, dict):
            for label in weights.keys() - classes.keys():
                message = f"the target {self.target.name!r} has no such class"
                yield _error(f"class_weight.{echo(label)}", weights[label], message, f"one of: {', '.join(classes)}")
            if not any(weights.get(label, 1) for label in classes):
                message = "every class has the weight 0, which leaves nothing to learn from"
                yield _error("class_weight", weights, message, "a weight above 0 for one class at least")

    def _size_errors(self) -> Iterator[FieldError]:
        # Each feature is at least one input. How many exactly is known only once the training rows are drawn.
        widths = [len(self.features), *(layer.units for layer in self.request.network.layers), self.output.units]
        least = sum((n_in + 1) * n_out for n_in, n_out in pairwise(widths))
        least += sum(2 * layer.units for layer in self.request.network.layers if layer.normalization)
        if least > self.max_parameters:
            message = f"the network has {least} parameters or more, which is more than this service trains"
            allowed = f"up to {self.max_parameters} parameters (the setting DELTABAR_MAX_PARAMETERS)"
            yield _error("network.layers", widths[1:-1], message, allowed)

    def _batch_errors(self) -> Iterator[FieldError]:
        normalizations = [layer.normalization for layer in self.request.network.layers if layer.normalization]
        if self.request.batch_size == 1 and any(each.name == core.BatchNorm.kind for each in normalizations):
            message = "batch_norm takes the mean of each batch off, which leaves nothing of a single sample"
            yield _error("batch_size", 1, message, "≥ 2; or the normalization layer_norm")

    def _optimizer_errors(self) -> Iterator[FieldError]:
        name = self.optimizer.name
        if self.takes_all_rows and isinstance(self.batch_size, int) and self.batch_size < self.n_rows:
            message = f"{name} takes all training rows in each step"
            yield _error("batch_size", self.batch_size, message, "auto, all")
        schedule = self.request.schedule.model_dump_json()
        yield from _refused(name, schedule, tuple(self.request.regularization.items()))

    def _of_loss(self, message: str, allowed: str) -> FieldError:
        return _error("loss", self.loss.name, message, allowed)

    def _of_target(self, message: str, allowed: str) -> FieldError:
        return _error("target", self.target.name, message, allowed)


@lru_cache(maxsize=256)
def _refused(optimizer: str, schedule: str, regularization: tuple[tuple[str, float | None], ...]) -> list[FieldError]:
    """Ask core, on two samples, whether the optimizer goes with all else; what is at fault is left out then."""
    chosen = Choice.model_validate_json(schedule)
    network = core.Network(1, [core.Dense(1)], backend=core.get_backend("numpy", compiled=False))
    choices: dict[str, Any] = {**dict(regularization), "schedule": SCHEDULE.make(chosen)}
    given = {**dict(regularization), "schedule": chosen.name}
    found: list[FieldError] = []
    while True:
        try:
            core.train(network, [[0], [1]], [0, 1], loss="squared_error", optimizer=optimizer, **choices)
        except ValueError as error:
            fault, _, rest = str(error).partition(": ")
            message, _, allowed = rest.partition("; ")
            field = fault if fault == "schedule" else f"regularization.{fault}"
            found.append(_error(field, given[fault], message, allowed or "constant"))
            choices[fault] = "constant" if fault == "schedule" else None
        else:
            return found


def _error(field: str, value: object, message: str, allowed: str) -> FieldError:
    return FieldError(field=field, value=echo(value), message=message, allowed=echo(allowed))
