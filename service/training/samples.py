"""From a data set's file to what `core` trains on: the rows that have a target, encoded, and which are held out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

import core
from service.datasets.arrays import rows_of
from service.datasets.encoding import Encoding, fit_encoding
from service.datasets.kinds import in_use
from service.datasets.readers import read_table
from service.datasets.schemas import Format
from service.jobs.split import column_of
from service.protocol import Assignment
from service.training.cannot_train import CannotTrain
from service.training.dividing import divide

KEPT_BYTES = 64 * 2**20
"""Up to this size, a table is kept for the next job, which often is on the same."""


@dataclass(frozen=True)
class Part:
    """Some of the rows: x, (n_samples, n_inputs) float64, and y as the loss takes it."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Samples:
    """What there is to train on.

    Attributes:
        encoding: of the table.
        train: the rows that are trained on.
        validation: those that every epoch is measured on, if there are any.
        test: those that the model is measured on once, if there are any.
        n_dropped: rows of the table that have no target.
    """

    encoding: Encoding
    train: Part
    validation: Part | None
    test: Part | None
    n_dropped: int


class Tables:
    """Reads tables, and keeps the last one if it is small. A data set never changes, so its file tells it."""

    def __init__(self) -> None:
        self._file: tuple[Path, int, int] | None = None
        self._table = pl.DataFrame()

    def read(self, path: Path, format: Format) -> pl.DataFrame:
        """Return the table in the file `path`."""
        found = path.stat()
        file = (path, found.st_mtime_ns, found.st_size)
        if file != self._file:
            self._file, self._table = None, pl.DataFrame()  # not two of them at a time
            table = read_table(path, format)
            if table.estimated_size() > KEPT_BYTES:
                return table
            self._file, self._table = file, table
        return self._table


def samples_of(
    assignment: Assignment, table: pl.DataFrame, loss: core.Loss, encoding: Encoding | None = None
) -> Samples:
    """Return the samples in `table`; without an `encoding`, one is learned on the training rows.

    Raises:
        CannotTrain: when there is nothing to learn from, or the encoding isn't one of this table.
    """
    spec = assignment.spec
    with_target = _with(spec.target, table)
    rows = divide(spec, with_target)
    encoding = encoding or fit_encoding(
        with_target,
        in_use(assignment.columns, spec.target, spec.kinds, column_of(spec.split)),
        spec.target,
        spec.task,
        rows.train,
        spec.encoding,
        margin=loss.tells_classes and loss.output_activation is None,
        positive=loss.output_activation is not None,
    )
    if encoding.n_inputs == 0:
        raise CannotTrain("no_features", "no feature has a value in the training rows; give more rows or columns")

    def part(table: pl.DataFrame) -> Part | None:
        if table.height == 0:
            return None
        x, y = encoding.features_of(table), encoding.target_of(table)
        # Two classes are encoded for one output; a user may have asked for softmax over both instead.
        return Part(x, y.astype(np.int64).ravel() if loss.takes_labels else y)

    train, validation, test = (part(rows_of(with_target, each)) for each in (rows.train, rows.validation, rows.test))
    assert train is not None, "resolved with rows to train on"
    held_out = {"validation": validation, "test": test}
    for name, other in assignment.held_out.items():
        there = read_table(other.table, other.format)
        held_out[name] = part(_with(spec.target, there))
    return Samples(encoding, train, held_out["validation"], held_out["test"], len(table) - len(with_target))


def _with(target: str, table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that have a target."""
    return table.filter(pl.col(target).is_not_null()) if table[target].null_count() else table
