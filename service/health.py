"""Operations: `/healthz` says that the process answers, `/readyz` that it can do its work, `/metrics` how it goes.

Ready is a process that can take what is posted and give back what there is: its tables can be read and written, and so
can its storage. A process without a worker is ready: jobs wait for one, everything else works, and taking the process
out of service would bring no worker back. So workers are told of, here and in `deltabar_workers`, and fail nothing; but
for those on this machine that `deltabar serve` has beside it: when every device of each of them is lost, what helps is
another machine, or this one's restart.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Literal

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import func, select, update
from sqlalchemy.exc import SQLAlchemyError

from service import roster
from service.context import Context, MetricsContext, OpenContext
from service.db import DatabaseTrouble
from service.problems import RESPONSES, Problem
from service.schemas import FieldError, ProblemDocument
from service.tables import Job, Worker

CHECK_SECONDS = 5.0
TEXT = "text/plain"
router = APIRouter(tags=["health"])
log = logging.getLogger(__name__)


class Health(BaseModel):
    """The answer of a process that lives."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """The answer of a process that can do its work."""

    status: Literal["ok"] = "ok"
    checks: dict[str, str] = Field(description="What was looked at, and how it is: `tables`, `storage`, `workers`")


@router.get("/healthz")
def healthz() -> Health:
    """Answer as long as the process lives."""
    return Health()


@router.get("/readyz", responses={503: {**RESPONSES["4XX"], "model": ProblemDocument}})
async def readyz(context: OpenContext) -> Readiness:
    """Answer while tables and storage can be read and written; 503, with what is wrong, while they can't.

    Each has 5 s for it. Whether there are workers is told of only: without them jobs wait, and all else works. It is
    503 too while no device of the workers beside this process computes: a GPU that was lost, say.
    """
    checks: dict[str, Callable[[Context], str]] = {"tables": _tables, "storage": _storage, "workers": _workers}
    # Threads of its own: a database that is stuck may have taken all others.
    found = await _within(CapacityLimiter(len(checks)), context, checks)
    errors = [
        FieldError(field=name, message=str(fault)) for name, fault in found.items() if isinstance(fault, Exception)
    ]
    if errors:
        log.error("not ready: %s", "; ".join(f"{error.field}: {error.message}" for error in errors))
        detail = "; ".join(f"{error.field}: {error.message}" for error in errors)
        raise Problem(503, "not_ready", f"The service can't do its work. {detail}.", errors)
    return Readiness(checks={name: str(said) for name, said in found.items()})


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {TEXT: {"schema": {"type": "string"}}}}, **RESPONSES},
)
def metrics(context: MetricsContext, request: Request) -> Response:
    """Return the metrics for Prometheus, in its text format or OpenMetrics, as the header `Accept` asks."""
    content, media_type = context.telemetry.exposition(request.headers.get("accept", ""))
    return Response(content, headers={"Content-Type": media_type})


class NotReady(Exception):  # noqa: N818 -- what the service is
    """A check failed; the message says how, and is fit to be shown to anyone."""


async def _within(
    threads: CapacityLimiter, context: Context, checks: dict[str, Callable[[Context], str]]
) -> dict[str, str | Exception]:
    found: dict[str, str | Exception] = {}

    async def check(name: str, look: Callable[[Context], str]) -> None:
        found[name] = NotReady(f"no answer within {CHECK_SECONDS:g} s")
        with anyio.move_on_after(CHECK_SECONDS):
            try:
                found[name] = await anyio.to_thread.run_sync(look, context, limiter=threads, abandon_on_cancel=True)
            except NotReady as fault:
                found[name] = fault

    async with anyio.create_task_group() as group:
        for name, look in checks.items():
            group.start_soon(check, name, look)
    return found


def _tables(context: Context) -> str:
    # A write that changes nothing takes the same locks, and fails on the same read-only disk, as any other.
    try:
        with context.database.write() as session:
            session.execute(select(Job.id).limit(1))
            session.execute(update(Worker).where(Worker.id == "").values(seen_at=0.0))
    except (SQLAlchemyError, DatabaseTrouble) as error:
        log.error("the tables can't be written: %s", error)
        raise NotReady("the database can't be read or written; the service's log says why") from error
    return "can be read and written"


def _storage(context: Context) -> str:
    try:
        with context.storage.draft() as path:
            path.write_bytes(b"ready")
    except OSError as error:
        log.error("the storage can't be written: %s", error)
        raise NotReady(f"files can't be written: {error.strerror}") from error
    return "can be written"


def _workers(context: Context) -> str:
    try:
        with context.database.read() as session:
            alive = roster.alive(session, context.settings.lease_seconds)
            last = session.scalar(select(func.max(Worker.seen_at)))
    except (SQLAlchemyError, DatabaseTrouble):
        return "not known while the tables can't be read"
    if not alive:
        ago = "none was ever seen" if last is None else f"the last was seen {time.time() - last:.0f} s ago"
        return f"none, so that jobs wait; {ago}"
    lost = [worker for worker in alive if roster.is_lost(worker)]
    beside = roster.here(alive) if context.settings.workers else []
    if beside and all(map(roster.is_lost, beside)):
        devices = ", ".join(sorted({device for worker in beside for device in worker.faults}))
        log.error("no device computes: %s", "; ".join(str(worker.faults) for worker in beside))
        raise NotReady(f"no job can be trained: {devices} can't be used; the worker's log says why")
    broken = f", and {len(lost)} whose devices can't be used" if lost else ""
    return f"{len(alive) - len(lost)} at work{broken}"
