"""What a job will take, told beforehand: from its resolved spec, and what the data set's columns are like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

from sqlalchemy import select
from sqlalchemy.orm import Session

import core
from core.backend import COPIED
from core.estimate import estimate as estimated
from core.regularization import Regularization
from service import tables
from service.datasets.features import CYCLES
from service.datasets.kinds import in_use
from service.datasets.schemas import Column
from service.jobs.choices import LOSS, OPTIMIZER
from service.jobs.duration import Calibration, Work, seconds
from service.jobs.layers import layers_of
from service.jobs.schemas import Bounds, Estimate, Spec
from service.jobs.split import ByGroup, column_of
from service.jobs.splitting import Divided, Others, splitting_of

RESIDENT_BYTES = 150 * 2**20
"""Of a child that waits for a job, where none has said."""
READING = 3
"""Times the bytes of its file that a table takes while it is read: as bytes, as texts, as numbers."""
CELL = 8
LINE_SEARCH = 1.25
"""How often a step of an optimizer with a line search asks for the loss and its gradient, in the mean."""
NORMALIZATION_PASSES, DROPOUT_PASSES = 3, 2
"""Passes over the units' numbers that these layers add."""
_estimated = lru_cache(maxsize=256)(estimated)
"""Core builds the training to see what it takes; jobs that come in hundreds are much alike."""
_CALIBRATION = (
    select(tables.Worker.calibration)
    .where(tables.Worker.calibration.is_not(None))
    .order_by(tables.Worker.seen_at.desc())
    .limit(1)
)


def calibration_of(session: Session) -> Calibration | None:
    """Return what the worker that was seen last has measured; None where none has."""
    found = session.scalars(_CALIBRATION).first()
    return None if found is None else Calibration.model_validate(found)


def estimate(spec: Spec, dataset: tables.Dataset, calibration: Calibration | None, others: Others) -> Estimate:
    """Return what the job will take; the seconds only where a worker has measured its machine, and for the CPU."""
    return _Job(spec, dataset, calibration, others).estimate()


def rows_of(spec: Spec, dataset: tables.Dataset, others: Others) -> tuple[int, int, int]:
    """Return on how many rows the job will train, validate and test."""
    job = _Job(spec, dataset, None, others)
    return job.n_train, job.divided.validation, job.divided.test


@dataclass(frozen=True)
class _Job:
    spec: Spec
    dataset: tables.Dataset
    calibration: Calibration | None
    others: Others

    @cached_property
    def columns(self) -> dict[str, Column]:
        return {column.name: column for column in map(Column.model_validate, self.dataset.columns)}

    @cached_property
    def n_rows(self) -> int:
        """Rows that have a target."""
        return self.dataset.rows - self.columns[self.spec.target].missing

    @cached_property
    def divided(self) -> Divided:
        spec, columns = self.spec, list(self.columns.values())
        return splitting_of(spec.split, columns, spec.target, self.dataset.rows, spec.task, self.others).divided()

    @cached_property
    def n_train(self) -> int:
        """Rows to train on; those of a class that weighs nothing aren't."""
        rows, weights = self.divided.train, self.spec.class_weight
        if not isinstance(weights, dict):
            return rows
        classes = self.columns[self.spec.target].classes or {}
        unused = sum(count for label, count in classes.items() if weights.get(label) == 0)
        return max(1, rows - round(unused * rows / self.n_rows))

    @property
    def inputs(self) -> Bounds:
        """Return the inputs that the encoding may have, which learns from rows that are yet to be drawn."""
        # Which groups are held out, and so how many rows, isn't known either.
        out = self.dataset.rows - (1 if isinstance(self.spec.split, ByGroup) else self.divided.train)
        used = in_use(list(self.columns.values()), self.spec.target, self.spec.kinds, column_of(self.spec.split))
        features = [column for column in used if column.name != self.spec.target]
        bounds = [_inputs_of(column, self.dataset.rows, out, self.spec.encoding.max_categories) for column in features]
        return Bounds(least=sum(b.least for b in bounds), most=sum(b.most for b in bounds))

    def estimate(self) -> Estimate:
        spec, inputs = self.spec, self.inputs
        n_inputs = max(1, inputs.most)
        batch_size = self.n_train if spec.batch_size == "all" else min(spec.batch_size, self.n_train)
        found = _estimated(
            n_inputs,
            tuple(layers_of(spec)),
            n_samples=self.n_train,
            loss=LOSS.make(spec.loss),
            optimizer=OPTIMIZER.make(spec.optimizer),
            epochs=spec.epochs,
            batch_size=batch_size,
            n_validation=self.divided.validation,
            dtype=spec.dtype,
            data_dtype="float64",
            regularization=Regularization(**spec.regularization),
            average=spec.average,
            early_stopping=core.EarlyStopping(**spec.early_stopping.model_dump()) if spec.early_stopping else None,
        )
        widths = [n_inputs, *(layer.units for layer in spec.network.layers), spec.output.units]
        fewest = found.n_parameters - (n_inputs - max(1, inputs.least)) * widths[1]
        return Estimate(
            inputs=inputs,
            parameters=Bounds(least=fewest, most=found.n_parameters),
            steps=found.steps,
            flops=found.flops * found.steps,
            peak_bytes=self._resident_bytes() + self._table_bytes(n_inputs) + found.peak_bytes,
            seconds=self._seconds(widths, batch_size),
        )

    def _resident_bytes(self) -> int:
        return (self.calibration and self.calibration.resident_bytes) or RESIDENT_BYTES

    def _table_bytes(self, n_inputs: int) -> int:
        """Return what the table takes as it is read, or, where that is more, beside the encoded rows, all and split."""
        table = self.dataset.rows * len(self.columns) * CELL
        encoded = 2 * self.n_rows * (n_inputs + 1) * CELL
        return max(READING * self.dataset.bytes, table + encoded)

    def _seconds(self, widths: list[int], batch_size: int) -> float | None:
        spec = self.spec
        if self.calibration is None or spec.device.startswith("cuda"):
            return None
        optimizer = core.OPTIMIZERS[spec.optimizer.name]
        work = Work(
            widths=widths,
            dtype=spec.dtype,
            compiled=self._is_compiled(widths[0]),
            batch_size=batch_size,
            n_train=self.n_train,
            n_validation=self.divided.validation,
            epochs=spec.epochs,
            slots=len(getattr(optimizer, "slots", ())) + optimizer.working + (spec.average is not None),
            evaluations=LINE_SEARCH if optimizer.full_batch else 1.0,
            passes=sum(
                NORMALIZATION_PASSES * (layer.normalization is not None) + DROPOUT_PASSES * bool(layer.dropout)
                for layer in spec.network.layers
            ),
            file_bytes=self.dataset.bytes,
        )
        return seconds(work, self.calibration)

    def _is_compiled(self, n_inputs: int) -> bool:
        """Return whether core will take many steps in one call (`core.compiled_steps`), as far as it can be told."""
        spec = self.spec
        return (
            (spec.dtype == "float64" or self.n_train * n_inputs * 4 <= COPIED)
            and not any(layer.normalization for layer in spec.network.layers)
            and not any(spec.regularization.values())
            and (spec.average, spec.class_weight) == (None, None)
            and not core.OPTIMIZERS[spec.optimizer.name].full_batch
        )


def _inputs_of(column: Column, rows: int, out: int, most: int) -> Bounds:
    """Return the inputs of a column of `rows` rows, of which `out`, whichever they are, are kept from the encoding.

    Up to `most` categories have an input each; where there are more, the others share one.
    """
    present, missing = rows - column.missing, column.missing
    may_be_missing, is_missing = missing > 0, missing > out
    if present == 0:
        return Bounds(least=0, most=0)
    if column.kind == "numeric":
        return Bounds(least=1 + is_missing if present > out else 0, most=1 + may_be_missing)
    if column.kind == "date":
        return Bounds(least=1, most=1 + 2 * len(CYCLES) + may_be_missing)
    sure = max(column.distinct - out, sum(count > out for count in (column.classes or {}).values()), present > out)
    fewest = min(sure, most + 1) + (is_missing and present > out)
    return Bounds(least=fewest, most=min(column.distinct, most + 1) + may_be_missing)
