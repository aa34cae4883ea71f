"""What is allowed in a job, and may not be meant."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from service import tables
from service.datasets import remarks
from service.datasets.features import MOST_CATEGORIES
from service.datasets.kinds import for_a_job
from service.datasets.schemas import Column, Remark
from service.jobs.estimate import rows_of
from service.jobs.schemas import Spec
from service.problems import echo
from service.schemas import FieldError

FEW_ROWS = 10
FROM_VALUES = ("leaks_target", "rare_class")
MOST_NAMES = 5


def warnings(spec: Spec, dataset: tables.Dataset) -> list[FieldError]:
    """Return what a person would point out about a valid job."""
    columns = for_a_job([Column.model_validate(column) for column in dataset.columns], spec.target, spec.kinds)
    return [*_of_columns(spec, columns, dataset.rows), *_of_rows(spec, dataset)]


def of_sample(spec: Spec, dataset: tables.Dataset, sample: pl.DataFrame) -> list[FieldError]:
    """Return what only values can tell, as some rows of the data set have them: a column that gives the target away."""
    columns = for_a_job([Column.model_validate(column) for column in dataset.columns], spec.target, spec.kinds)
    found = remarks.of_job(columns, spec.target, dataset.rows, sample)
    return [
        FieldError(
            field="target" if remark.column == spec.target else "kinds", value=remark.column, message=remark.message
        )
        for remark in found
        if remark.code in FROM_VALUES
    ]


def _field(remark: Remark, spec: Spec) -> str:
    return "target" if remark.column == spec.target else "kinds"


def _of_columns(spec: Spec, columns: list[Column], rows: int) -> Iterator[FieldError]:
    features = [column for column in columns if column.name != spec.target]
    texts = [column for column in features if column.kind == "categorical" and column.missing < rows]
    left_out = [column for column in features if column.kind in ("identifier", "text")]
    unique = [c for c in texts if c.distinct == rows - c.missing > 1]
    many = [c for c in texts if c.distinct > MOST_CATEGORIES and c not in unique]
    for found, says in (
        ([c for c in features if c.missing == rows], "columns without any value, which are left out"),
        (left_out, "columns of identifiers or free text, which are left out unless `kinds` says otherwise"),
        (
            unique,
            "columns whose texts are all different, as names are: nothing can be learned from them for other rows",
        ),
        (
            many,
            f"columns of more than {MOST_CATEGORIES} categories, of which the {MOST_CATEGORIES} most frequent count",
        ),
        ([c for c in features if c.distinct == 1], "columns with the same value in all rows that have one"),
    ):
        if found:
            names = ", ".join(column.name for column in found[:MOST_NAMES])
            more = f" and {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
            allowed = "a data set without them trains faster and is as good"
            yield FieldError(field="dataset_id", value=echo(names + more), message=says, allowed=allowed)
    target = next(column for column in columns if column.name == spec.target)
    if target.missing:
        message = f"{target.missing} of {rows} rows have no target and are left out"
        yield FieldError(field="target", value=echo(spec.target), message=message)


def _of_rows(spec: Spec, dataset: tables.Dataset) -> Iterator[FieldError]:
    n_train, n_validation = rows_of(spec, dataset)
    if spec.validation and n_validation < FEW_ROWS:
        message = f"{n_validation} rows are held out, so few that the numbers measured on them say little"
        yield FieldError(field="validation.fraction", value=spec.validation.fraction, message=message)
    if spec.batch_size != "all" and spec.batch_size > n_train:
        message = f"there are only {n_train} rows to train on, so each epoch is one step"
        yield FieldError(field="batch_size", value=spec.batch_size, message=message, allowed=f"up to {n_train}, or all")
