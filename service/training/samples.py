"""From a data set's file to what `core` trains on: the rows that have a target, encoded, and which are held out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

import core
from service.datasets.encoding import Encoding, fit_encoding
from service.datasets.kinds import in_use
from service.datasets.readers import read_table
from service.datasets.schemas import Format
from service.jobs.schemas import Spec
from service.protocol import Assignment
from service.training.cannot_train import CannotTrain

KEPT_BYTES = 64 * 2**20
"""Up to this size, a table is kept for the next job, which often is on the same."""


@dataclass(frozen=True)
class Samples:
    """What there is to train on.

    Attributes:
        encoding: of the table.
        x: (n_samples, n_inputs) float64.
        y: as the loss takes it, one for each row of `x`.
        train_rows, validation_rows: indices of the rows of `x` and `y`.
        n_dropped: rows of the table that have no target.
    """

    encoding: Encoding
    x: np.ndarray
    y: np.ndarray
    train_rows: np.ndarray
    validation_rows: np.ndarray
    n_dropped: int

    @property
    def training(self) -> tuple[np.ndarray, np.ndarray]:
        """The x and y that are trained on."""
        return self.x[self.train_rows], self.y[self.train_rows]

    @property
    def validation(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The x and y that are held out, if any are."""
        return (self.x[self.validation_rows], self.y[self.validation_rows]) if len(self.validation_rows) else None


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
    with_target = table.filter(pl.col(spec.target).is_not_null())
    train_rows, validation_rows = _split(spec, with_target)
    encoding = encoding or fit_encoding(
        with_target,
        in_use(assignment.columns, spec.target, spec.kinds),
        spec.target,
        spec.task,
        train_rows,
        margin=loss.tells_classes and loss.output_activation is None,
        positive=loss.output_activation is not None,
    )
    if encoding.n_inputs == 0:
        raise CannotTrain("no_features", "no feature has a value in the training rows; give more rows or columns")
    x, y = encoding.features_of(with_target), encoding.target_of(with_target)
    # Two classes are encoded for one output; a user may have asked for softmax over both instead.
    y = y.astype(np.int64).ravel() if loss.takes_labels else y
    return Samples(encoding, x, y, train_rows, validation_rows, len(table) - len(with_target))


def _split(spec: Spec, table: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    if spec.validation is None:
        return np.arange(len(table)), np.arange(0)
    stratified = spec.task == "classification" and spec.validation.stratify
    labels = table[spec.target].to_numpy() if stratified else None
    return core.split(len(table), spec.validation.fraction, seed=spec.seed, labels=labels)
