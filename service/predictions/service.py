"""What can be done with predictions: post, list and get one, wait for it, take its file; the rest is `jobs.actions`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio.to_thread
from sqlalchemy import select
from sqlalchemy.orm import Session

from service import tables
from service.context import Context
from service.datasets.kinds import holds
from service.datasets.schemas import Column
from service.ids import new_id
from service.jobs import files
from service.jobs.posting import Posting, post
from service.jobs.schemas import State
from service.jobs.splitting import UPLOADED
from service.jobs.states import ENDED
from service.pages import newest_first
from service.predictions.schemas import Prediction, PredictionRequest, PredictionSpec
from service.problems import Problem, echo, invalid, not_found
from service.schemas import FieldError


def post_prediction(context: Context, request: PredictionRequest, key: str | None = None) -> tuple[Prediction, bool]:
    """Queue the prediction; return it, and whether it was there already, as `posting.post` does."""
    return post(
        context,
        Posting(
            request,
            tables.Prediction,
            find=lambda session: _find(session, request),
            row=lambda session, _: _new_row(session, context, request),
            shape=lambda _, row: _shape(row),
        ),
        key,
    )


def _find(session: Session, request: PredictionRequest, *, kept: bool = False) -> tables.Dataset:
    """Return the data set; raises `Problem` (422) with everything that is wrong. `kept`: it and the model stay."""
    lock: Any = {"read": True} if kept else None
    dataset = session.get(tables.Dataset, request.dataset_id, with_for_update=lock)
    model = session.get(tables.Model, request.model_id, with_for_update=lock)
    if errors := list(_errors(request, dataset, model)):
        raise invalid(errors)
    assert dataset is not None, "which is an error"
    return dataset


def _new_row(session: Session, context: Context, request: PredictionRequest) -> tables.Prediction:
    dataset = _find(session, request, kept=True)
    return tables.Prediction(
        id=new_id("job"),
        owner=dataset.owner,
        key_id=context.caller.key_id,
        dataset_id=request.dataset_id,
        init_from=request.model_id,
        spec=PredictionSpec(format=request.format, rows=dataset.rows).model_dump(),
        priority=request.priority,
        deadline_seconds=request.deadline_seconds,
        max_attempts=request.max_attempts or context.settings.max_attempts,
    )


def _errors(
    request: PredictionRequest, dataset: tables.Dataset | None, model: tables.Model | None
) -> Iterator[FieldError]:
    if dataset is None:
        message = "there is no data set with this id"
        yield FieldError(field="dataset_id", value=request.dataset_id, message=message, allowed=UPLOADED)
    if model is None:
        message, allowed = "there is no model with this id", "the id of a model, from GET /v1/models"
        yield FieldError(field="model_id", value=request.model_id, message=message, allowed=allowed)
    if dataset is None or model is None:
        return
    if dataset.owner != model.owner:  # only a caller that sees the rows of all can have both
        message = f"the data set is {dataset.owner}'s, and the model {model.owner}'s"
        yield FieldError(field="dataset_id", value=request.dataset_id, message=message, allowed="those of one owner")
    columns = {column.name: column for column in map(Column.model_validate, dataset.columns)}
    for feature in model.card["features"]:
        name, kind = feature["name"], feature["kind"]
        column = columns.get(name)
        if column is None:
            has = "isn't in the data set"
        elif holds(kind, column.values) or column.missing == dataset.rows:
            continue
        else:
            has = f"holds {column.values} there"
        message = f"the model reads the column {name!r}, which {has}"
        allowed = f"a data set with it as a {kind} column"
        yield FieldError(field="dataset_id", value=echo(name), message=echo(message), allowed=allowed)


def list_predictions(
    context: Context,
    limit: int,
    after: str | None,
    *,
    states: Sequence[State],
    model_id: str | None,
    dataset_id: str | None,
) -> tuple[list[Prediction], bool]:
    """Return up to `limit` predictions, newest first, and whether more follow; `states` may be empty, which is all."""
    table = tables.Prediction
    query = select(table)
    if states:
        query = query.where(table.state.in_(states))
    if model_id is not None:
        query = query.where(table.init_from == model_id)
    if dataset_id is not None:
        query = query.where(table.dataset_id == dataset_id)
    with context.database.read() as session:
        rows, has_more = newest_first(session, query, table.id, limit, after)
    return [_shape(row) for row in rows], has_more


def get(context: Context, prediction_id: str) -> Prediction:
    """Return the prediction; 404 when there is none."""
    with context.database.read() as session:
        return _shape(_row(session, prediction_id))


async def wait_for(context: Context, prediction_id: str, seconds: float) -> Prediction:
    """Return the prediction once it has ended, or as it is after `seconds`."""
    found = await anyio.to_thread.run_sync(get, context, prediction_id)
    if seconds <= 0 or found.state in ENDED:
        return found
    await context.endings.wait(prediction_id, seconds)
    return await anyio.to_thread.run_sync(get, context, prediction_id)


def content(context: Context, prediction_id: str) -> tuple[Path, Prediction]:
    """Return the path of the file, and the prediction; 404 when there is none, 409 while it hasn't succeeded."""
    with context.database.read() as session:
        row = _row(session, prediction_id)
    if row.state != "succeeded":
        detail = f"The prediction is {row.state}, and its file is there once it has succeeded."
        raise Problem(409, "no_predictions_yet", detail)
    found = _shape(row)
    folder = context.storage.path(files.folder(row.id, row.lease_token))
    path = folder / PredictionSpec.model_validate(row.spec).file_name
    if not path.is_file():  # it was deleted in between
        raise not_found("prediction", prediction_id)
    return path, found


def _row(session: Session, prediction_id: str) -> tables.Prediction:
    row = session.get(tables.Prediction, prediction_id)
    if row is None:
        raise not_found("prediction", prediction_id)
    return row


def _shape(row: tables.Prediction) -> Prediction:
    kept: dict[str, Any] = {"model_id": row.init_from, "rows_done": row.steps_done, **row.spec}
    others = Prediction.model_fields.keys() - {"object", *kept}
    return Prediction.model_validate({**kept, **{name: getattr(row, name) for name in others}})
