"""Routes below /v1/jobs."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Body, Header, Query, Response, status
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from service.context import Context, ReadContext, WriteContext
from service.download import Download
from service.ids import DatasetId
from service.jobs import actions, events, service
from service.jobs.curve import Format
from service.jobs.idempotency import KeyHeader
from service.jobs.metrics import Curve
from service.jobs.request import JobRequest
from service.jobs.schemas import Checkpoint, Event, Job, Metrics, State, ValidationReport
from service.jobs.validation import validate
from service.pages import After, Limit, page
from service.problems import RESPONSES, Problem
from service.schemas import Page

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=RESPONSES)

MOST_SECONDS = 60.0
MOST_POINTS_UNASKED = 10_000
POINTS_OF_A_PICTURE = 4_000  # two for each of its pixels and curves
CSV, PNG, SVG = "text/csv", "image/png", "image/svg+xml"
BINARY = "application/octet-stream"
Sequence = Annotated[int, Query(ge=0, lt=2**63, description="Return the events that follow this sequence")]
EventLimit = Annotated[int, Query(ge=1, le=1000, description="How many to return")]
LastEventId = Annotated[int | None, Header(ge=0, lt=2**63, description="Goes before `after`")]
Wait = Annotated[
    float, Query(ge=0, le=MOST_SECONDS, description="Answer when the job has ended, or after so many seconds")
]

MaxPoints = Annotated[
    int | None, Query(ge=2, le=100_000, description="Most epochs to return; by default 10,000 in JSON, and all in CSV")
]


# Any document is answered, and one that is meant to be valid is a job.
_SCHEMA = {"anyOf": [{"$ref": "#/components/schemas/JobRequest"}, {}]}


def _document(given: Any) -> Any:
    if isinstance(given, bytes):  # FastAPI's way to hand on what wasn't declared as JSON
        raise PydanticCustomError("document_type", "input should be a JSON document", {"allowed": "a JSON document"})
    return given


Document = Annotated[Any, AfterValidator(_document), WithJsonSchema(_SCHEMA), Body()]


def _content(media_type: str, schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {"schema": schema}}}}


STREAMED = _content(events.EVENT_STREAM, {"type": "string"}) | {
    204: {"description": "The job has ended, and none follows"}
}


@router.post("", status_code=status.HTTP_202_ACCEPTED)
async def post_job(
    context: WriteContext, request: JobRequest, response: Response, idempotency_key: KeyHeader = None
) -> Job:
    """Queue a training job; whatever is wrong with it is said at once.

    With an `Idempotency-Key` it is queued once, however often it is asked for. 409: the key's first request is being
    worked on; 410: its job has been deleted; 422: the key was used for another job. What is refused uses no key up.
    """
    # Of a plain function FastAPI would have a thread check the answer, too.
    job, replayed = await anyio.to_thread.run_sync(service.post_job, context, request, idempotency_key)
    response.headers["Location"] = f"{router.prefix}/{job.id}"
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return job


@router.post("/validate")
def validate_job(context: ReadContext, request: Document) -> ValidationReport:
    """Say all that is wrong with a job, what its defaults become, and what it will take; nothing is queued.

    Any JSON document is answered with 200: `valid` says whether POST /v1/jobs would take it.
    """
    return validate(context, request)


@router.get("")
def list_jobs(
    context: ReadContext,
    limit: Limit = 20,
    after: After = None,
    state: Annotated[list[State] | None, Query(description="Only jobs in this state, or one of these")] = None,
    dataset_id: Annotated[DatasetId | None, Query(description="Only jobs on this data set")] = None,
) -> Page[Job]:
    """List the jobs, newest first."""
    return page(*service.list_jobs(context, limit, after, states=state or [], dataset_id=dataset_id))


@router.get("/{job_id}")
async def get_job(context: ReadContext, job_id: str, wait: Wait = 0.0) -> Job:
    """Return one job; with `wait`, once it has ended."""
    return await service.wait_for_job(context, job_id, wait)


@router.delete("/{job_id}", status_code=status.HTTP_204_NO_CONTENT)
def delete_job(context: WriteContext, job_id: str) -> None:
    """Delete an ended job, with its events, its checkpoints, its model and their files."""
    actions.delete_job(context, job_id)


@router.post("/{job_id}/pause", status_code=status.HTTP_202_ACCEPTED)
def pause_job(context: WriteContext, job_id: str) -> Job:
    """Pause a job: at once while it is queued; within half a second while it runs, after a checkpoint."""
    actions.pause(context, job_id)
    return service.get_job(context, job_id)


@router.post("/{job_id}/resume", status_code=status.HTTP_202_ACCEPTED)
def resume_job(context: WriteContext, job_id: str) -> Job:
    """Queue a paused job again, to go on where it was; one that is only about to pause runs on."""
    actions.resume(context, job_id)
    return service.get_job(context, job_id)


@router.post("/{job_id}/cancel", status_code=status.HTTP_202_ACCEPTED)
def cancel_job(context: WriteContext, job_id: str) -> Job:
    """Cancel a job: at once while it is queued or paused, within half a second while it runs."""
    actions.cancel(context, job_id)
    return service.get_job(context, job_id)


@router.post("/{job_id}/retry", status_code=status.HTTP_202_ACCEPTED)
def retry_job(
    context: WriteContext,
    job_id: str,
    from_start: Annotated[bool, Query(description="Drop its checkpoints, rather than go on from the last")] = False,
) -> Job:
    """Queue a failed or cancelled job again, to go on from its last checkpoint, with its attempts counted anew.

    One that is queued or running again stays as it is.
    """
    actions.retry(context, job_id, from_start=from_start)
    return service.get_job(context, job_id)


@router.get("/{job_id}/metrics", responses=_content(CSV, {"type": "string"}), response_model=Metrics)
def get_metrics(
    context: ReadContext,
    job_id: str,
    format: Annotated[Literal["json", "csv"] | None, Query(description="Goes before the header Accept")] = None,
    accept: Annotated[str, Header()] = "*/*",
    max_points: MaxPoints = None,
) -> Metrics | Response:
    """Return loss, validation loss and metrics of every epoch, column by column, as JSON or CSV.

    A curve with more epochs than `max_points` is thinned: it keeps the first epoch and the last, and of equal stretches
    between them those with the least and the greatest loss and validation loss.
    """
    if format == "csv" or (format is None and CSV in accept):
        return StreamingResponse(Curve(context, job_id, max_points).csv(), media_type=CSV)
    curve = Curve(context, job_id, max_points or MOST_POINTS_UNASKED)
    return Metrics(n_epochs=curve.n_epochs, columns=curve.columns())


@router.get(
    "/{job_id}/loss-curve.png", response_class=Response, responses=_content(PNG, {"type": "string", "format": "binary"})
)
async def get_loss_curve_png(context: ReadContext, job_id: str) -> Response:
    """Return the loss curve as a PNG picture."""
    return Response(await _draw(context, job_id, "png"), media_type=PNG)


@router.get("/{job_id}/loss-curve.svg", response_class=Response, responses=_content(SVG, {"type": "string"}))
async def get_loss_curve_svg(context: ReadContext, job_id: str) -> Response:
    """Return the loss curve as an SVG picture."""
    return Response(await _draw(context, job_id, "svg"), media_type=SVG)


async def _draw(context: Context, job_id: str, format: Format) -> bytes:
    columns = await anyio.to_thread.run_sync(lambda: Curve(context, job_id, POINTS_OF_A_PICTURE).columns())
    if not columns["epoch"]:
        detail = "No epoch of this job is behind it, so there is no curve to draw; ask again when progress.epoch is 1."
        raise Problem(409, "no_epoch_yet", detail)
    return await asyncio.wrap_future(context.artist.draw(columns, f"Loss of {job_id}", format))


@router.get("/{job_id}/checkpoints")
def list_checkpoints(context: ReadContext, job_id: str, limit: Limit = 20, after: After = None) -> Page[Checkpoint]:
    """List the job's checkpoints that are kept, newest first."""
    return page(*service.list_checkpoints(context, job_id, limit, after))


@router.get(
    "/{job_id}/checkpoints/{checkpoint_id}/weights",
    response_class=Download,
    responses=_content(BINARY, {"type": "string", "format": "binary"}),
)
def get_checkpoint_weights(context: ReadContext, job_id: str, checkpoint_id: str) -> Download:
    """Download the weights as they were at a checkpoint, as safetensors."""
    path = service.checkpoint_weights(context, job_id, checkpoint_id)
    return Download(path, media_type=BINARY, filename=f"{checkpoint_id}.safetensors")


@router.get("/{job_id}/events")
def list_events(context: ReadContext, job_id: str, limit: EventLimit = 100, after: Sequence = 0) -> Page[Event]:
    """List the job's events, oldest first."""
    return events.read_page(context, job_id, after=after, limit=limit)


@router.get("/{job_id}/events/stream", responses=STREAMED, response_class=StreamingResponse)
async def stream_events(
    context: ReadContext, job_id: str, last_event_id: LastEventId = None, after: Sequence = 0
) -> Response:
    """Follow the job's events as Server-Sent Events; ends after the event that ends the job.

    When the job has ended and no event follows, the answer is 204, at which an `EventSource` stops coming back.
    """
    return await events.stream(context, job_id, after=after if last_event_id is None else last_event_id)
