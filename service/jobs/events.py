"""Reading a job's events: in pages, and as a stream that follows the job to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
from sqlalchemy import bindparam, select

from service import tables
from service.context import Context
from service.jobs.schemas import Event
from service.jobs.states import ENDED
from service.problems import not_found
from service.schemas import Page

HEARTBEAT_SECONDS = 15.0
RETRY, HEARTBEAT = b"retry: 1000\n\n", b": still here\n\n"
_STANDING = select(tables.Training.state, tables.Training.last_event).where(tables.Training.id == bindparam("id"))


def read_page(context: Context, job_id: str, *, after: int, limit: int) -> Page[Event]:
    """Return one page of the job's events, oldest first; ask again with `after=last_id`. 404 when there is no job."""
    event = tables.Event
    query = select(event).where(event.job_id == job_id, event.sequence > after).order_by(event.sequence)
    with context.database.read() as session:
        if session.get(tables.Training, job_id) is None:
            raise not_found("job", job_id)
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
        found = session.scalar(select(tables.Training.last_event).where(tables.Training.id == job_id))
    if found is None:
        raise not_found("job", job_id)
    return found


def told_last(context: Context, job_id: str, limit: int) -> list[Event]:
    """Return the last events of the job that tell of something else than an epoch, the newest first."""
    event = tables.Event
    query = select(event).where(event.job_id == job_id, event.kind != "metrics").order_by(event.sequence.desc())
    with context.database.read() as session:
        rows = session.scalars(query.limit(limit)).all()
    return [Event.model_validate(row, from_attributes=True) for row in rows]


def is_over(context: Context, job_id: str, *, after: int) -> bool:
    """Return whether the job has ended and no event follows `after`; 404 when there is no job."""
    with context.database.read() as session:
        row = session.execute(_STANDING, {"id": job_id}).one_or_none()
    if row is None:
        raise not_found("job", job_id)
    return row.state in ENDED and after >= row.last_event


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
                with anyio.move_on_after(HEARTBEAT_SECONDS) as patience:
                    await news.wait()
                if patience.cancelled_caught:
                    yield HEARTBEAT
