"""Adding to a job's history, which every viewer reads: events, in one sequence without gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from service import tallies
from service.tables import Event, table_of


def add_events(session: Session, job_id: str, last: int, rows: Sequence[dict[str, Any]]) -> None:
    """Add events of the job, and count them.

    Args:
        session: a writing one, in which `Job.last_event` has just been raised by as many.
        job_id: the job.
        last: the sequence of the last of them.
        rows: each with "kind", "data", "created_at" and "epochs".
    """
    if rows:
        first = last - len(rows) + 1
        session.execute(_ADD, [{"job_id": job_id, "sequence": n, **row} for n, row in enumerate(rows, first)])
    for row in rows:
        tallies.count(session, tallies.EVENTS, row["kind"])


_ADD = insert(table_of(Event))
