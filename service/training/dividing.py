"""Which rows of a table are trained on, validated on and tested on: drawn from the seed, the same in every attempt."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

import core
from service.datasets.arrays import floats
from service.datasets.features import seconds_of
from service.datasets.summary import labels
from service.jobs.schemas import Spec
from service.jobs.split import ByColumn, ByGroup, ByTime, fractions_of, is_stratified
from service.training.cannot_train import CannotTrain


@dataclass(frozen=True)
class Rows:
    """Indices of the rows, each in ascending order: no row is in two parts."""

    train: np.ndarray
    validation: np.ndarray = field(default_factory=lambda: np.arange(0))
    test: np.ndarray = field(default_factory=lambda: np.arange(0))


def divide(spec: Spec, table: pl.DataFrame) -> Rows:
    """Return the rows of `table`, all of which have a target, as the job's split divides them.

    Raises:
        CannotTrain: `unfit_rows`, where there are too few of a kind; what can be told of a data set's columns has been
            told when the job was posted.
    """
    split, fractions = spec.split, fractions_of(spec.split)
    if isinstance(split, ByColumn):
        marks = labels(table[split.column])
        rows = Rows(*((marks == mark).arg_true().to_numpy() for mark in (split.train, split.validation, split.test)))
        if not len(rows.train):
            raise _unfit(f"no row that has a target has the value {split.train!r} in {split.column!r}")
        return rows
    if not fractions:
        return Rows(np.arange(len(table)))
    if isinstance(split, ByTime):
        wanted = {part: round(share * len(table)) for part, share in fractions.items()}
        return _by_time(table[split.column], wanted.get("validation", 0), wanted.get("test", 0))
    stratified = spec.task == "classification" and is_stratified(split)
    try:
        train, *held_out = core.split(
            len(table),
            list(fractions.values()),
            seed=spec.seed,
            labels=table[spec.target].to_numpy() if stratified else None,
            groups=_numbered(table[split.column]) if isinstance(split, ByGroup) else None,
        )
    except ValueError as error:
        raise _unfit(str(error)) from error
    return Rows(train, **dict(zip(fractions, held_out, strict=True)))


def _numbered(column: pl.Series) -> np.ndarray:
    """Return a number for each value of a column, the same for equal ones; missing ones are equal too."""
    return labels(column).rank("dense").fill_null(0).to_numpy()


def _by_time(column: pl.Series, n_validation: int, n_test: int) -> Rows:
    times = floats(column) if column.dtype.is_numeric() else seconds_of(column)
    known = np.flatnonzero(~np.isnan(times))
    if len(known) < n_validation + n_test:
        raise _unfit(f"{len(known)} rows that have a target have a value in {column.name!r}")
    latest = known[np.argsort(times[known], kind="stable")]
    end = len(latest) - n_test
    validation, test = np.sort(latest[end - n_validation : end]), np.sort(latest[end:])
    train = np.setdiff1d(np.arange(len(times)), np.concatenate([validation, test]), assume_unique=True)
    return Rows(train, validation, test)


def _unfit(why: str) -> CannotTrain:
    return CannotTrain("unfit_rows", f"the rows can't be divided as split says: {why}")
