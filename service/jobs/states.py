"""The states of a job, the table of allowed transitions, and the one function that applies a transition."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, get_args

from sqlalchemy import Double, Integer, Update, bindparam, case, func, update
from sqlalchemy.orm import Session

from service import tallies
from service.jobs.history import add_events
from service.jobs.schemas import State
from service.tables import Job, table_of

TRANSITIONS: Mapping[State, frozenset[State]] = {
    "queued": frozenset({"running", "paused", "cancelled"}),
    "running": frozenset({"queued", "paused", "succeeded", "failed", "cancelled"}),
    "paused": frozenset({"queued", "cancelled"}),
    "succeeded": frozenset(),
    "failed": frozenset({"queued"}),
    "cancelled": frozenset({"queued"}),
}
"""From each state to those that may follow it."""

STATES: tuple[State, ...] = get_args(State)
ENDED: frozenset[State] = frozenset({"succeeded", "failed", "cancelled"})
"""The states that a job leaves only when its user asks for it to be tried again, if ever."""


class Stale(Exception):  # noqa: N818 -- what the writer is, not what went wrong
    """The job is no longer in a state, or under a lease, from which this write is allowed: stop, and discard."""


def move(
    session: Session,
    job_id: str,
    to: State,
    *,
    token: int,
    event: Mapping[str, Any],
    before: Sequence[dict[str, Any]] = (),
    **changes: Any,
) -> int:
    """Bring the job to the state `to` and append the event that says so, or do neither.

    Args:
        session: a writing session; the caller's transaction makes both visible at once.
        job_id: the job.
        to: the new state.
        token: the lease token under which the caller acts; the row must still carry it.
        event: what the event tells besides the state.
        before: events to append before it, as `add_events` has them.
        changes: further columns to set.

    Returns:
        The sequence of the event.

    Raises:
        Stale: when the row has another token, or is in a state that `to` may not follow; nothing is written then.
    """
    now = time.time()
    given = {f"new_{name}": value for name, value in changes.items()}
    known = {"job_id": job_id, "token": token, "now": now, "events": len(before) + 1}
    row = session.execute(_moving(to, frozenset(changes)), known | given).one_or_none()
    if row is None:
        raise Stale(f"{job_id} can't become {to} under the lease token {token}")
    data = {"state": to, **event}
    told = {"kind": "state", "data": data, "created_at": now, "epochs": None}
    add_events(session, job_id, row.last_event, [*before, told])
    _count(session, to, data, waited=now - row.created_at, ran=row.run_seconds, claims=row.lease_token)
    return row.last_event


@cache
def _moving(to: State, changed: frozenset[str]) -> Update:
    """Return the statement that brings a job to the state `to`, and changes these columns besides."""
    jobs, now = table_of(Job), bindparam("now", type_=Double)
    job, changes = jobs.c, {name: bindparam(f"new_{name}") for name in changed}
    # Whatever was asked of the running job is answered by the state that it comes to.
    changes |= {"requested": None, "finished_at": now if to in ENDED else None}
    if to != "running":
        # A worker that fell silent is taken to have worked for as long as it held the job.
        until = case((job.lease_expires_at < now, job.lease_expires_at), else_=now)
        ran = case((job.state == "running", until - func.coalesce(job.claimed_at, now)), else_=0.0)
        changes = {"lease_expires_at": None, "run_seconds": job.run_seconds + ran} | changes
    sources = [state for state in STATES if to in TRANSITIONS[state]]
    return (
        update(jobs)
        .where(job.id == bindparam("job_id"), job.lease_token == bindparam("token"), job.state.in_(sources))
        .values(state=to, last_event=job.last_event + bindparam("events", type_=Integer), **changes)
        .returning(job.last_event, job.created_at, job.lease_token, job.run_seconds)
    )


def _count(session: Session, to: State, data: Mapping[str, Any], *, waited: float, ran: float, claims: int) -> None:
    if to == "running":
        tallies.count(session, tallies.ATTEMPTS)
        if claims == 1:
            tallies.observe(session, tallies.WAIT, waited)
    elif to in ENDED:
        tallies.observe(session, tallies.RUN, ran, to)
        if "error" in data:
            tallies.count(session, tallies.FAILURES, data["error"]["code"])
