"""The routes of traces: `/v1/jobs/{job_id}/trace` and `/v1/example/trace`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from service.context import ReadContext
from service.problems import RESPONSES
from service.traces import service
from service.traces.schemas import Trace

router = APIRouter(prefix="/v1", tags=["traces"], responses=RESPONSES)
Rows = Annotated[
    list[Annotated[int, Query(ge=0, lt=2**63)]],
    Query(max_length=service.MOST_ROWS, description="Of the data set, from 0; the first three with a target if none"),
]


@router.get("/jobs/{job_id}/trace")
def trace_job(context: ReadContext, job_id: str, row: Rows = []) -> Trace:  # noqa: B006 -- FastAPI copies it
    """Return every number of one pass forward and back through a job's network, on rows of its data set.

    The weights are the model's, or the last checkpoint's while there is no model. 409 while there is neither.
    """
    return service.trace_of_job(context, job_id, row)


@router.get("/example/trace")
def trace_example(_: ReadContext) -> Trace:
    """Return the same of a small network whose numbers can be worked out by hand: 2-2-2, sigmoid, three samples."""
    return service.trace_of_example()
