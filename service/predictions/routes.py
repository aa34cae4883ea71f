"""Routes below /v1/predictions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response, status
from fastapi.responses import StreamingResponse

from service.context import ReadContext, WriteContext
from service.download import Download
from service.ids import DatasetId, ModelId
from service.jobs import actions, events
from service.jobs.actions import PREDICTIONS
from service.jobs.idempotency import KeyHeader
from service.jobs.routes import STREAMED, EventLimit, LastEventId, Sequence, Wait
from service.jobs.schemas import Event, State
from service.pages import After, Limit, page
from service.predictions import service
from service.predictions.schemas import Prediction, PredictionRequest
from service.problems import RESPONSES
from service.schemas import Page

router = APIRouter(prefix="/v1/predictions", tags=["predictions"], responses=RESPONSES)

MEDIA_TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {each: {"schema": {"type": "string", "format": "binary"}} for each in MEDIA_TYPES.values()}}
}


@router.post("", status_code=status.HTTP_202_ACCEPTED)
def post_prediction(
    context: WriteContext, request: PredictionRequest, response: Response, idempotency_key: KeyHeader = None
) -> Prediction:
    """Queue a job that predicts the target of every row of a data set; whatever is wrong with it is said at once.

    Missing values and unknown categories count as in a predict call. Every column of the model must be in the data
    set; those that it doesn't read are left out. An `Idempotency-Key` does what it does for POST /v1/jobs.
    """
    made, replayed = service.post_prediction(context, request, idempotency_key)
    response.headers["Location"] = f"{router.prefix}/{made.id}"
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return made


@router.get("")
def list_predictions(
    context: ReadContext,
    limit: Limit = 20,
    after: After = None,
    state: Annotated[list[State] | None, Query(description="Only those in this state, or one of these")] = None,
    model_id: Annotated[ModelId | None, Query(description="Only those of this model")] = None,
    dataset_id: Annotated[DatasetId | None, Query(description="Only those on this data set")] = None,
) -> Page[Prediction]:
    """List the predictions, newest first."""
    found = service.list_predictions(
        context, limit, after, states=state or [], model_id=model_id, dataset_id=dataset_id
    )
    return page(*found)


@router.get("/{prediction_id}")
async def get_prediction(context: ReadContext, prediction_id: str, wait: Wait = 0.0) -> Prediction:
    """Return one prediction; with `wait`, once it has ended."""
    return await service.wait_for(context, prediction_id, wait)


@router.get("/{prediction_id}/events")
def list_prediction_events(
    context: ReadContext, prediction_id: str, limit: EventLimit = 100, after: Sequence = 0
) -> Page[Event]:
    """List the prediction's events, oldest first: its states, and how many rows are done."""
    return events.read_page(context, prediction_id, after=after, limit=limit, of=PREDICTIONS)


@router.get("/{prediction_id}/events/stream", responses=STREAMED, response_class=StreamingResponse)
async def stream_prediction_events(
    context: ReadContext, prediction_id: str, last_event_id: LastEventId = None, after: Sequence = 0
) -> Response:
    """Follow the prediction's events as Server-Sent Events; ends after the event that ends it.

    When the prediction has ended and no event follows, the answer is 204, at which an `EventSource` stops coming back.
    """
    start = after if last_event_id is None else last_event_id
    return await events.stream(context, prediction_id, after=start, of=PREDICTIONS)


@router.get("/{prediction_id}/content", response_class=Download, responses=_FILE)
def get_prediction_content(context: ReadContext, prediction_id: str) -> Download:
    """Download the file: a row for each of the data set's, in their order. 409 while it hasn't succeeded.

    The columns are the target, with the label or the number, and for labels `probability_…` of each class; a target
    that has the name of one of these gets an underscore behind it.
    """
    path, found = service.content(context, prediction_id)
    return Download(path, media_type=MEDIA_TYPES[found.format], filename=f"{found.id}.{found.format}")


@router.post("/{prediction_id}/cancel", status_code=status.HTTP_202_ACCEPTED)
def cancel_prediction(context: WriteContext, prediction_id: str) -> Prediction:
    """Cancel a prediction: at once while it is queued, within half a second while it runs."""
    actions.cancel(context, prediction_id, PREDICTIONS)
    return service.get(context, prediction_id)


@router.post("/{prediction_id}/retry", status_code=status.HTTP_202_ACCEPTED)
def retry_prediction(context: WriteContext, prediction_id: str) -> Prediction:
    """Queue a failed or cancelled prediction again, to begin anew, with its attempts counted anew."""
    actions.retry(context, prediction_id, PREDICTIONS, from_start=True)
    return service.get(context, prediction_id)


@router.delete("/{prediction_id}", status_code=status.HTTP_204_NO_CONTENT)
def delete_prediction(context: WriteContext, prediction_id: str) -> None:
    """Delete an ended prediction and its file."""
    actions.delete_job(context, prediction_id, PREDICTIONS)
