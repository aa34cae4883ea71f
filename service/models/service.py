"""What can be done with models: list them, get one, predict, delete one."""

from __future__ import annotations

import asyncio
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
from anyio import to_thread
from sqlalchemy import select

from service import tables
from service.context import Context
from service.jobs.starting import check_that_none_starts_with
from service.models.card import read_card
from service.models.formats import key_of, write
from service.models.predictor import Predictor
from service.models.rows import table_of_columns, table_of_rows
from service.models.schemas import Model, ModelCard, Predictions, PredictRequest, WeightsFormat
from service.pages import newest_first
from service.problems import Problem, invalid, not_found
from service.schemas import FieldError


def list_models(context: Context, limit: int, after: str | None) -> tuple[list[Model], bool]:
    """Return up to `limit` models, newest first, and whether more follow."""
    with context.database.read() as session:
        rows, has_more = newest_first(session, select(tables.Model), tables.Model.id, limit, after)
    return [_shape(row) for row in rows], has_more


def get_model(context: Context, model_id: str) -> Model:
    """Return the model; 404 when there is none."""
    return _shape(_row(context, model_id))


def get_card(context: Context, model_id: str) -> ModelCard:
    """Return all that is known of the model; 404 when there is none, or it was trained before there were cards."""
    row = _row(context, model_id)
    card = read_card(_folder(context, row))
    if card is None:
        if not _folder(context, row).is_dir():  # its job was deleted in between
            raise not_found("model", model_id)
        raise Problem(404, "card_not_found", f"The model {model_id} was trained by a version that wrote no cards.")
    return ModelCard.model_validate({**_identity(row), **card})


def delete_model(context: Context, model_id: str) -> None:
    """Delete the model and its files; 404 when there is none, 409 while a job that isn't over starts with it."""
    with context.database.write() as session:
        known = session.get(tables.Model, model_id)
        # The job first, as whoever deletes a job does.
        job = session.get(tables.Job, known.job_id, with_for_update=True) if known else None
        row = session.get(tables.Model, model_id, with_for_update=True, populate_existing=True)
        if row is None:
            raise not_found("model", model_id)
        check_that_none_starts_with(session, [model_id])
        if job is not None:
            job.model_id = None
        session.delete(row)
    context.storage.delete(row.folder)  # rows first: a file without a row is invisible, and swept by the next worker


async def weights(context: Context, model_id: str, format: WeightsFormat = "safetensors") -> Path:
    """Return the path of the model's weights in `format`; the file is made first where it isn't there yet."""
    row = await to_thread.run_sync(_row, context, model_id)
    path = context.storage.path(key_of(row.folder, format))
    if not path.is_file() and format != "safetensors":
        metadata = await to_thread.run_sync(_metadata, context, row)
        try:
            await asyncio.wrap_future(context.exporter.submit(write, context.storage, row.folder, format, metadata))
        except ValueError as error:
            raise invalid([FieldError(field="query.format", value=format, message=str(error))]) from error
        except FileNotFoundError as error:
            raise not_found("model", model_id) from error
    if not path.is_file():  # its job was deleted in between
        raise not_found("model", model_id)
    return path


def _metadata(context: Context, row: tables.Model) -> dict[str, str]:
    """Return what an exported file tells of itself; without the data set's hash where the data set is gone."""
    with context.database.read() as session:
        dataset = session.get(tables.Dataset, row.dataset_id)
    told = {"model_id": row.id, "job_id": row.job_id, "dataset_id": row.dataset_id}
    if dataset is not None:
        told["dataset_sha256"] = dataset.sha256
    if (classes := row.card["classes"]) is not None:
        told["classes"] = json.dumps(classes, ensure_ascii=False)
    return told | {"task": row.card["task"], "deltabar_version": version("deltabar")}


def predict(context: Context, model_id: str, request: PredictRequest) -> Predictions:
    """Return one prediction a row; 422 for rows that the model can't take."""
    model, predictor = loaded(context, model_id)
    table = _table(context, request, model)
    return Predictions.model_validate({"model_id": model_id, "data": predictor.predict(table)})


def loaded(context: Context, model_id: str) -> tuple[Model, Predictor]:
    """Return the model, ready to predict; 404 when there is none."""
    row = _row(context, model_id)
    try:
        return _shape(row), context.predictors.get(_folder(context, row))
    except FileNotFoundError as error:  # its job was deleted in between
        raise not_found("model", row.id) from error


def check_rows(context: Context, rows: int, field: str) -> None:
    """Raise `Problem` (422) at `field` where a call has more rows than the settings allow."""
    most = context.settings.max_predict_rows
    if rows > most:
        allowed = f"from 1 to {most} rows a call (the setting DELTABAR_MAX_PREDICT_ROWS)"
        raise invalid([FieldError(field=field, value=rows, message="too many rows", allowed=allowed)])


def _table(context: Context, request: PredictRequest, model: Model) -> pl.DataFrame:
    if request.rows is not None and request.columns is None:
        check_rows(context, len(request.rows), "rows")
        return table_of_rows(request.rows, model.features, model.target)
    if request.columns is not None and request.rows is None:
        check_rows(context, max(map(len, request.columns.values())), "columns")
        return table_of_columns(request.columns, model.features, model.target)
    message = "rows are given as objects in rows, or column by column in columns"
    raise invalid([FieldError(field="rows", message=message, allowed="either rows or columns")])


def _row(context: Context, model_id: str) -> tables.Model:
    with context.database.read() as session:
        row = session.get(tables.Model, model_id)
    if row is None:
        raise not_found("model", model_id)
    return row


def _folder(context: Context, row: tables.Model) -> Path:
    return context.storage.path(row.folder)


def _shape(row: tables.Model) -> Model:
    return Model(**_identity(row), **row.card)


def _identity(row: tables.Model) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("id", "owner", "job_id", "dataset_id", "created_at")}
