"""Posting a job of any kind: looked at first, then queued; with an `Idempotency-Key` once, however often it comes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service import tables
from service.context import Context
from service.jobs.history import add_events
from service.jobs.idempotency import Asking, gone
from service.jobs.schemas import Queueing

Found = TypeVar("Found")
Row = TypeVar("Row", bound=tables.Job)
Shape = TypeVar("Shape")


@dataclass(frozen=True)
class Posting(Generic[Found, Row, Shape]):
    """A job as it is posted, and what makes a row of it.

    Attributes:
        request: what was posted.
        table: of the row.
        find: what the row takes that is in the tables, in a session that reads, so that nobody who writes is held up;
            raises `Problem` with everything that is wrong.
        row: the row, in a session that writes; sees to it that what it needs, which may have gone since, stays.
        shape: what the API has of a row.
    """

    request: Queueing
    table: type[Row]
    find: Callable[[Session], Found]
    row: Callable[[Session, Found], Row]
    shape: Callable[[Session, Row], Shape]


def post(context: Context, posting: Posting[Found, Row, Shape], key: str | None) -> tuple[Shape, bool]:
    """Queue the job unless it was queued with this idempotency key before; return it, and whether it was.

    Raises `Problem`: 422 with everything that is wrong with the job, and 409, 410 or 422 where the key is in use, its
    job deleted, or another's.
    """
    if key is None:
        return _post(context, posting, None)
    asking = Asking.of(context.caller.owner, key, posting.request)
    with context.in_flight.hold(asking):
        with suppress(IntegrityError):  # another process was faster, and by now has its job in the tables
            return _post(context, posting, asking)
        return _post(context, posting, asking)


def _post(context: Context, posting: Posting[Found, Row, Shape], asking: Asking | None) -> tuple[Shape, bool]:
    with context.database.read() as session:
        is_known = asking is not None and asking.is_known(session)
        found = None if is_known else posting.find(session)
    with context.database.write() as session:
        if asking and is_known and (job_id := asking.answer(session)):
            known = session.get(posting.table, job_id)
            if known is None:
                raise gone(job_id)
            return posting.shape(session, known), True
        row = posting.row(session, posting.find(session) if found is None else found)
        row.state, row.last_event = "queued", 1
        session.add(row)
        session.flush()
        told = {"kind": "state", "data": {"state": row.state}, "created_at": row.created_at, "epochs": None}
        add_events(session, row.id, row.last_event, [told])
        if asking:
            asking.keep(session, row.id)
        return posting.shape(session, row), False
