"""Reading the events of a job of any kind: in pages, and as a stream that follows the job to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import anyio.to_thread
from fastapi import Response
from fastapi.responses import StreamingResponse
from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from service import tables
from service.context import Context
from service.jobs.actions import TRAININGS, Resource
from service.jobs.schemas import Event
from service.jobs.states import ENDED
from service.problems import not_found
from service.schemas import Page

RETRY, HEARTBEAT = b"retry: 1000\n\n", b": still here\n\n"
EVENT_STREAM = "text/event-stream"
_STANDING = select(tables.Job.kind, tables.Job.state, tables.Job.last_event).where(tables.Job.id == bindparam("id"))


def read_page(context: Context, job_id: str, *, after: int, limit: int, of: Resource = TRAININGS) -> Page[Event]:
    """Return one page of the job's events, oldest first; ask again with `after=last_id`. 404 when there is no job."""
    event = tables.Event
    query = select(event).where(event.job_id == job_id, event.sequence > after).order_by(event.sequence)
    with context.database.read() as session:
        _standing(session, job_id, of)
        rows = session.scalars(query.limit(limit + 1)).all()
    data = [Event.model_validate(row, from_attributes=True) for row in rows[:limit]]
    return Page(
        data=data,
        first_id=str(data[0].sequence) if data else None,
        last_id=str(data[-1].sequence) if data else None,
        has_more=len(rows) > limit,
    )


def last(context: Context, job_id: str) -> int:
    """Return the sequence of the job's last event; 404 when there is no job."""
    with context.database.read() as session:
        return _standing(session, job_id, TRAININGS).last_event


def told_last(context: Context, job_id: str, limit: int) -> list[Event]:
    """Return the last events of the job that tell of something else than an epoch, the newest first."""
    event = tables.Event
    query = select(event).where(event.job_id == job_id, event.kind != "metrics").order_by(event.sequence.desc())
    with context.database.read() as session:
        rows = session.scalars(query.limit(limit)).all()
    return [Event.model_validate(row, from_attributes=True) for row in rows]


async def stream(context: Context, job_id: str, *, after: int, of: Resource = TRAININGS) -> Response:
    """Answer with the stream of the job's events that follow `after`; 204 where none does any more, 404 for no job."""
    # A status can't be said once the stream is open.
    if await anyio.to_thread.run_sync(lambda: _is_over(context, job_id, after, of)):
        return Response(status_code=204)
    text = follow(context, job_id, after=after)
    return StreamingResponse(text, media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"})


def _is_over(context: Context, job_id: str, after: int, of: Resource) -> bool:
    with context.database.read() as session:
        job = _standing(session, job_id, of)
    return job.state in ENDED and after >= job.last_event


def _standing(session: Session, job_id: str, of: Resource) -> Row[str, str, int]:
    row = session.execute(_STANDING, {"id": job_id}).one_or_none()
    if row is None or row.kind != of.kind:
        raise not_found(of.name, job_id)
    return row


async def follow(context: Context, job_id: str, *, after: int) -> AsyncIterator[bytes]:
    """Yield the job's events that follow `after` as Server-Sent Events, up to the one that ends the job.

    (https://html.spec.whatwg.org/multipage/server-sent-events.html) Whoever loses the connection is asked to come back
    after a second. A comment goes out after 15 s without news, so that no proxy takes the connection for dead. It ends
    early when the server stops; clients then come back with `Last-Event-ID`.
    """
    yield RETRY
    with context.broadcast.watching(job_id) as channel:
        while True:
            news, frames = channel.news, channel.following(after)
            if channel.last is not None and not channel.reaches(after):
                frames = await context.broadcast.catch_up(job_id, after)
                if not frames:  # the job was deleted meanwhile
                    return
            if frames:
                yield b"".join(frame.text for frame in frames)
                after = frames[-1].sequence
            elif channel.closed or channel.ends_with(after):
                return
            else:
                beats = channel.beats
                await news.wait()
                if channel.beats != beats:
                    yield HEARTBEAT
