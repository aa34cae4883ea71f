"""What is allowed in a job, and may not be meant."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from service import tables
from service.datasets import remarks
from service.datasets.kinds import for_a_job
from service.datasets.schemas import Column, Remark
from service.jobs.estimate import rows_of
from service.jobs.schemas import Spec
from service.jobs.split import column_of
from service.jobs.splitting import Others
from service.problems import echo
from service.schemas import FieldError

FEW_ROWS = 10
FROM_VALUES = ("leaks_target", "rare_class")
MOST_NAMES = 5


def warnings(spec: Spec, dataset: tables.Dataset, others: Others) -> list[FieldError]:
    """Return what a person would point out about a valid job."""
    columns = _columns(spec, dataset)
    return [*_of_columns(spec, columns, dataset.rows), *_of_rows(spec, dataset, others)]


def _columns(spec: Spec, dataset: tables.Dataset) -> list[Column]:
    columns = [Column.model_validate(column) for column in dataset.columns]
    return for_a_job(columns, spec.target, spec.kinds, column_of(spec.split))


def of_sample(spec: Spec, dataset: tables.Dataset, sample: pl.DataFrame) -> list[FieldError]:
    """Return what only values can tell, as some rows of the data set have them: a column that gives the target away."""
    columns = _columns(spec, dataset)
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
    features = [column for column in columns if column.name not in (spec.target, column_of(spec.split))]
    texts = [column for column in features if column.kind == "categorical" and column.missing < rows]
    left_out = [column for column in features if column.kind in ("identifier", "text")]
    unique = [c for c in texts if c.distinct == rows - c.missing > 1]
    most = spec.encoding.max_categories
    many = [c for c in texts if c.distinct > most and c not in unique]
    for found, says in (
        ([c for c in features if c.missing == rows], "columns without any value, which are left out"),
        (left_out, "columns of identifiers or free text, which are left out unless `kinds` says otherwise"),
        (
            unique,
            "columns whose texts are all different, as names are: nothing can be learned from them for other rows",
        ),
        (
            many,
            f"columns of more than {most} categories, of which the {most} most frequent count",
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


def _of_rows(spec: Spec, dataset: tables.Dataset, others: Others) -> Iterator[FieldError]:
    n_train, *held_out = rows_of(spec, dataset, others)
    for part, rows in zip(("validation", "test"), held_out, strict=True):
        if 0 < rows < FEW_ROWS:
            message = f"{rows} rows are held out, so few that the numbers measured on them say little"
            yield FieldError(field=f"split.{part}", value=getattr(spec.split, part), message=message)
    if spec.batch_size != "all" and spec.batch_size > n_train:
        message = f"there are only {n_train} rows to train on, so each epoch is one step"
        yield FieldError(field="batch_size", value=spec.batch_size, message=message, allowed=f"up to {n_train}, or all")
