"""What a worker writes of a job that it holds, under its lease.

Every function is one short transaction, guarded by the job's id and the lease token. Where no row answers to both, the
lease has gone to another worker, or the job has ended: the function raises `Stale` and has written nothing, and the
worker stops and discards its files.

While the database is in trouble a function tries again (`insistence`), and then raises `DatabaseTrouble`. No change is
made twice: `append` finds the last event that a try before it wrote, `keep_checkpoint` and `succeed` the rows of their
folders. The others find that the job isn't theirs any more and raise `Stale`, which comes to the same: nothing is left
to do. Whoever gets `DatabaseTrouble` doesn't know whether the change was made, and leaves the files alone;
`files.sweep` removes them where no row shows them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any, Literal

from sqlalchemy import Integer, bindparam, insert, select, update
from sqlalchemy.orm import Session

from service import tallies
from service.ids import new_id
from service.jobs import checkpoints, queue
from service.jobs.epochs import joined, unpack
from service.jobs.history import add_events
from service.jobs.insistence import Try, insistent
from service.jobs.queue import Lease
from service.jobs.states import Stale, move
from service.problems import plain
from service.tables import Checkpoint, Event, Job, Model, table_of

Kind = Literal["metrics", "rows", "checkpoint", "log", "progress"]


@dataclass(frozen=True)
class News:
    """Something that happened in a job, on its way to becoming an event; but of "progress", which the row alone has.

    Attributes:
        kind, data, at: what, and when; of "metrics" what the last epoch reported.
        epochs: of "metrics", what all the epochs have reported that ended, packed.
    """

    kind: Kind
    data: dict[str, Any]
    at: float
    epochs: bytes = b""


@insistent
def requested(this: Try, lease: Lease) -> str | None:
    """Return what the user wants of the running job: "pause", "cancel" or None. Takes no lock."""
    with this.database.read() as session:
        row = session.execute(_REQUESTED, _named(lease)).one_or_none()
    if row is None:
        raise _stale(lease)
    return row[0]


@insistent
def append(this: Try, lease: Lease, news: Sequence[News], *, lease_seconds: float) -> None:
    """Append events, which may be none, and say how far the job has come; renews the lease too.

    Epochs that follow each other become one event, that of the last; `service.jobs.epochs` says why.
    """
    with this.database.write() as session:
        if this.again and _is_told(session, lease, news):
            news = ()
        _append(session, lease, news, lease_seconds)


@insistent
def keep_checkpoint(
    this: Try, lease: Lease, news: Sequence[News], folder: str, data: dict[str, Any], *, lease_seconds: float
) -> list[str]:
    """Make the files under `folder` visible as the checkpoint that the next attempt goes on from.

    Args:
        this: the tables; callers give the database.
        lease: the job's.
        news: what happened before.
        folder: storage key.
        data: "epoch" and "step", and what else there is to tell.
        lease_seconds: for how long the lease is renewed.

    Returns:
        The storage keys of earlier checkpoints that are no longer there, whose files can go.
    """
    kept = select(Checkpoint.id).where(Checkpoint.job_id == lease.job_id, Checkpoint.folder == folder)
    with this.database.write() as session:
        if this.again and session.scalar(kept):
            _append(session, lease, (), lease_seconds)
            return []  # the sweep removes the files of earlier ones
        _load(session, lease)
        checkpoint_id, gone = checkpoints.add(session, lease.job_id, folder, plain(data))
        event = {"checkpoint_id": checkpoint_id, "epoch": data["epoch"], "step": data["step"]}
        _append(
            session, lease, [*news, News("checkpoint", event, time.time())], lease_seconds, checkpoint_id=checkpoint_id
        )
    return gone


@insistent
def succeed(this: Try, lease: Lease, news: Sequence[News] = (), *, result: dict[str, Any], card: dict[str, Any]) -> str:
    """Make the files under `lease.folder` visible as a model, end the job, and return the model's id."""
    model_id, now = new_id("model"), time.time()
    with this.database.write() as session:
        if this.again and (made := session.scalar(_KNOWN_MODEL, {"job_id": lease.job_id, "folder": lease.folder})):
            return made
        before, reached = _told(session, lease, news)
        changes = {"result": plain(result), "model_id": model_id} | reached
        event = {"model_id": model_id}
        move(session, lease.job_id, "succeeded", token=lease.token, event=event, before=before, **changes)
        model = {"id": model_id, "owner": lease.owner, "job_id": lease.job_id, "dataset_id": lease.dataset.id}
        session.execute(_ADD_MODEL, {**model, "folder": lease.folder, "card": plain(card), "created_at": now})
    return model_id


@insistent
def succeed_without_model(this: Try, lease: Lease, news: Sequence[News] = (), *, result: dict[str, Any]) -> None:
    """End the job, whose row then makes the files under `lease.folder` visible: predictions, say."""
    done = select(Job.id).where(Job.id == lease.job_id, Job.lease_token == lease.token, Job.state == "succeeded")
    with this.database.write() as session:
        if this.again and session.scalar(done):
            return
        before, reached = _told(session, lease, news)
        changes = {"result": plain(result)} | reached
        move(session, lease.job_id, "succeeded", token=lease.token, event={}, before=before, **changes)


@insistent
def fail(this: Try, lease: Lease, code: str, message: str, news: Sequence[News] = ()) -> None:
    """End the job: no further attempt would go better."""
    error = {"code": code, "message": message}
    with this.database.write() as session:
        before, reached = _told(session, lease, news)
        event = {"error": error}
        move(session, lease.job_id, "failed", token=lease.token, event=event, before=before, error=error, **reached)


@insistent
def cancel(this: Try, lease: Lease, news: Sequence[News] = ()) -> None:
    """End the job as its user wished."""
    with this.database.write() as session:
        _load(session, lease)  # the table would let a queued job be cancelled too, which isn't ours any more
        before, reached = _told(session, lease, news)
        move(session, lease.job_id, "cancelled", token=lease.token, event={}, before=before, **reached)


@insistent
def pause(this: Try, lease: Lease, news: Sequence[News] = ()) -> None:
    """Let the job rest if that is still what its user wishes, its attempt given back.

    The worker has asked before it stopped the child, and the wish may have changed since: a job that was resumed
    meanwhile is queued again, and one that was cancelled ends.
    """
    _give_back(this, lease, "its worker was asked to pause it", news)


@insistent
def hand_back(this: Try, lease: Lease, message: str, news: Sequence[News] = ()) -> None:
    """Queue the job again with its attempt given back: the worker has to go, and the job can't help it."""
    _give_back(this, lease, message, news)


@insistent
def put_back(this: Try, lease: Lease, code: str, message: str, news: Sequence[News] = ()) -> None:
    """Queue the job for another attempt, or end it as failed with `code` where it has had all its attempts."""
    with this.database.write() as session:
        job = _load(session, lease)
        before, reached = _told(session, lease, news)
        queue.put_back(session, job, code, message, before, **reached)


def _give_back(this: Try, lease: Lease, message: str, news: Sequence[News]) -> None:
    with this.database.write() as session:
        job = _load(session, lease)
        before, reached = _told(session, lease, news)
        queue.requeue(session, job, message, before, spent=False, **reached)


def _append(session: Session, lease: Lease, news: Sequence[News], lease_seconds: float, **changes: Any) -> None:
    """Append the events that there are in `news`, and renew the lease; raises `Stale`, also without any."""
    rows, reached = _told(session, lease, news)
    changes |= {"lease_expires_at": time.time() + lease_seconds, **reached}
    given = {f"new_{name}": value for name, value in changes.items()} | {"events": len(rows)}
    last = session.execute(_changing(frozenset(changes)), _named(lease) | given).scalar_one_or_none()
    if last is None:
        raise _stale(lease)
    add_events(session, lease.job_id, last, rows)


def _told(session: Session, lease: Lease, news: Sequence[News]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the events that `news` become, and the columns that say how far the job has come."""
    told = [each for each in news if each.kind != "progress"]
    rows = [row for kind, group in groupby(told, key=lambda each: each.kind) for row in _rows(kind, list(group))]
    predicted = next((each.data["rows_done"] for each in reversed(news) if each.kind == "rows"), None)
    if predicted is not None:
        return rows, {"steps_done": predicted}
    reached = next((each.data for each in reversed(news) if "step" in each.data), None)
    if reached is None:
        return rows, {}
    before = session.scalar(_STEPS_DONE, _named(lease))
    tallies.count(session, tallies.STEPS, amount=reached["step"] - (before or 0))
    return rows, {"epochs_done": reached["epoch"], "steps_done": reached["step"]}


def _rows(kind: str, news: list[News]) -> list[dict[str, Any]]:
    """Return the events that tell these `news`, all of one kind: of rows that are done, the last number tells all."""
    if kind == "rows":
        news = news[-1:]
    if kind != "metrics":
        return [{"kind": kind, "data": plain(n.data), "created_at": n.at, "epochs": None} for n in news]
    epochs, last = joined([n.epochs for n in news]), news[-1]
    names, numbers = unpack(epochs)
    told = {"first_epoch": int(numbers[0, names.index("epoch")]), **plain(last.data)}
    return [{"kind": kind, "data": told, "created_at": last.at, "epochs": epochs}]


def _is_told(session: Session, lease: Lease, news: Sequence[News]) -> bool:
    """Return whether an earlier try, whose answer was lost, has written `news`: then nothing has followed them."""
    told = [each for each in news if each.kind != "progress"]
    if not told:
        return False
    last = select(Event.kind, Event.created_at).join(Job, (Job.id == Event.job_id) & (Job.last_event == Event.sequence))
    row = session.execute(_ours(last), _named(lease)).one_or_none()
    return row is not None and tuple(row) == (told[-1].kind, told[-1].at)


@cache
def _changing(changed: frozenset[str]) -> Any:
    """Return the statement that changes these columns of a job that is ours, and adds events to it."""
    jobs, changes = table_of(Job), {name: bindparam(f"new_{name}") for name in changed}
    last = jobs.c.last_event + bindparam("events", type_=Integer)
    return _ours(update(jobs)).values(last_event=last, **changes).returning(jobs.c.last_event)


def _load(session: Session, lease: Lease) -> Job:
    job = session.scalars(_LOADED, _named(lease)).one_or_none()
    if job is None:
        raise _stale(lease)
    return job


def _ours(statement: Any) -> Any:
    job = table_of(Job).c
    return statement.where(job.id == bindparam("job_id"), job.lease_token == bindparam("token"), job.state == "running")


def _named(lease: Lease) -> dict[str, Any]:
    return {"job_id": lease.job_id, "token": lease.token}


def _stale(lease: Lease) -> Stale:
    return Stale(f"{lease.job_id} is not ours under the lease token {lease.token}")


# Made once, as in `queue`.
_REQUESTED, _STEPS_DONE = _ours(select(Job.requested)), _ours(select(Job.steps_done))
_LOADED = _ours(select(Job).with_for_update())
_ADD_MODEL = insert(table_of(Model))
_KNOWN_MODEL = select(Model.id).where(Model.job_id == bindparam("job_id"), Model.folder == bindparam("folder"))
