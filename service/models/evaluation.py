"""A model on another data set than its own.

It is computed in a thread of the web process, one data set at a time, in batches; so data sets are bounded in rows, in
cells and in bytes, and rows times parameters in what takes a few seconds. Larger ones are for a job.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from service.context import Context
from service.datasets import service as datasets
from service.datasets.encoding import Encoding
from service.datasets.files import table_key
from service.datasets.kinds import is_of
from service.datasets.readers import read_table
from service.datasets.schemas import Dataset
from service.datasets.summary import labels
from service.datasets.targets import LabelTarget
from service.models import service
from service.models.predictor import Predictor
from service.models.schemas import Evaluation
from service.models.scores import scores_of
from service.problems import echo, invalid, not_found
from service.schemas import FieldError

MOST_CELLS, MOST_BYTES = 20_000_000, 256 * 2**20
MOST_PRODUCTS = 2 * 10**11
"""Rows times parameters: about ten seconds of two cores."""
BATCH = 4096
MOST_ERRORS, MOST_LABELS = 100, 5


def evaluate(context: Context, model_id: str, dataset_id: str) -> Evaluation:
    """Return how well the model predicts the data set's targets; rows without a target are left out.

    Raises `Problem`: 404 where there is no such model or data set, 422 with every reason why they don't go together.
    """
    _, predictor = service.loaded(context, model_id)
    dataset = datasets.get_dataset(context, dataset_id)
    _check_size(context, dataset, predictor)
    try:
        table = read_table(context.storage.path(table_key(dataset_id)), dataset.format)
    except FileNotFoundError as error:  # it was deleted in between
        raise not_found("data set", dataset_id) from error
    encoding = predictor.encoding
    if errors := _misfits(encoding, table):
        raise invalid(errors[:MOST_ERRORS])
    table = table.filter(pl.col(encoding.target.name).is_not_null())
    scores = scores_of(encoding.target)
    for start in range(0, table.height, BATCH):
        batch = table[start : start + BATCH]
        with np.errstate(over="ignore", invalid="ignore"):  # as in a predict call
            scores.add(encoding.target_of(batch), predictor.network.predict(encoding.features_of(batch)))
    return Evaluation(model_id=model_id, dataset_id=dataset_id, rows=table.height, **scores.result())


def _check_size(context: Context, dataset: Dataset, predictor: Predictor) -> None:
    most_rows = context.settings.max_evaluate_rows
    rows = f"up to {most_rows} rows (the setting DELTABAR_MAX_EVALUATE_ROWS)"
    if (most := MOST_PRODUCTS // predictor.network.n_parameters) < most_rows:
        most_rows, rows = most, f"up to {most} rows for a model with {predictor.network.n_parameters} parameters"
    cells = dataset.rows * len(dataset.columns)
    limits = (
        (dataset.rows, "rows", most_rows, rows),
        (cells, "cells", MOST_CELLS, f"up to {MOST_CELLS} cells"),
        (dataset.bytes, "bytes", MOST_BYTES, f"up to {MOST_BYTES} bytes"),
    )
    errors = [
        FieldError(field="dataset_id", value=size, message=f"the data set has {size} {what}, too many", allowed=allowed)
        for size, what, most, allowed in limits
        if size > most
    ]
    if errors:
        raise invalid(errors)


def _misfits(encoding: Encoding, table: pl.DataFrame) -> list[FieldError]:
    """Return what of the model's columns the table hasn't, or has as something else."""
    target = encoding.target
    wanted = {feature.name: feature.kind for feature in encoding.features}
    wanted[target.name] = "categorical" if isinstance(target, LabelTarget) else "numeric"
    errors: list[FieldError] = []
    for name, kind in wanted.items():
        field = f"dataset.{echo(name)}"
        if name not in table.columns:
            errors.append(
                FieldError(field=field, message="the data set has no such column", allowed=f"a {kind} column")
            )
        elif not is_of(kind, table[name]):
            message = f"the model was trained on {kind} values in this column, and the data set has {table[name].dtype}"
            errors.append(FieldError(field=field, message=message, allowed=f"a {kind} column"))
    if not errors:
        errors += _misfits_of_target(target, table[target.name]) if isinstance(target, LabelTarget) else []
        if table[target.name].null_count() == table.height:
            message = "no row has a value to compare predictions with"
            errors.append(FieldError(field=f"dataset.{echo(target.name)}", message=message, allowed="a value in a row"))
    return errors


def _misfits_of_target(target: LabelTarget, column: pl.Series) -> list[FieldError]:
    found = labels(column.drop_nulls()).unique()
    unknown = found.filter(~found.is_in(target.classes)).sort().to_list()
    if not unknown:
        return []
    named = ", ".join(repr(echo(label)) for label in unknown[:MOST_LABELS])
    message = f"the model has no such class: {named}{', …' if len(unknown) > MOST_LABELS else ''}"
    allowed = echo(f"one of: {', '.join(target.classes)}")
    return [FieldError(field=f"dataset.{echo(target.name)}", message=message, allowed=allowed)]
