"""The queue: how workers take jobs, keep them, and write what came of them.

Every function is one short transaction. A worker loads its job with `claim`, then works with no transaction open, and
applies what came of it with the others, each guarded by the job's id and the lease token that `claim` gave it. Where
no row answers to both, the lease has gone to another worker, or the job has ended: the function raises `Stale` and has
written nothing, and the worker stops and discards its files. Whatever happens to a worker, the lease runs out and the
next `claim`, of any worker, puts the job back.

While the database is in trouble a function tries again, for `PATIENCE_SECONDS`, and then raises `DatabaseTrouble`. The
answer to a commit may have been lost, so that the change was made and is tried once more. None is made twice: `claim`
finds the job that it took by worker and moment, `append` the last event that it wrote, `keep_checkpoint` and `succeed`
the rows of their folders, `succeed_without_model` the job's own. The others find that the job isn't theirs any more and
raise `Stale`, which comes to the same: nothing is left to do. Whoever gets `DatabaseTrouble` doesn't know whether the
change was made, and leaves the files alone; `files.sweep` removes them where no row shows them.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from sqlalchemy import Select, insert, select, update
from sqlalchemy.orm import Session

from service import tallies
from service.db import Database, DatabaseTrouble
from service.ids import new_id
from service.jobs import checkpoints, files
from service.jobs.epochs import pack
from service.jobs.order import first_in_line
from service.jobs.schemas import Spec
from service.jobs.split import Part, datasets_of
from service.jobs.states import Stale, move
from service.problems import plain
from service.tables import ApiKey, Checkpoint, Dataset, Event, Job, Model, Prediction

PATIENCE_SECONDS, PAUSE_SECONDS = 60.0, 0.5
Kind = Literal["metrics", "checkpoint", "log", "progress"]
P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger(__name__)


def _insistent(function: Callable[Concatenate[Database, P], T]) -> Callable[Concatenate[Database, P], T]:
    """Let `function` try again while the database is in trouble."""

    @functools.wraps(function)
    def insist(database: Database, *args: P.args, **options: P.kwargs) -> T:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return function(database, *args, **options)
            except DatabaseTrouble as trouble:
                if time.monotonic() > deadline:
                    raise
                log.warning("%s: %s, it is tried again (%s)", function.__name__, trouble.code, trouble)
                time.sleep(PAUSE_SECONDS)

    return insist


@dataclass(frozen=True)
class Lease:
    """A job that is ours for now: what to do, and the fencing token to write with.

    Attributes:
        kind: the job's.
        held_out: the data sets to validate and to test on, by which, where the spec names some.
        checkpoint: what to go on from.
        init_from: storage key of the model or checkpoint to start with, where there is no checkpoint; of a prediction,
            that of its model.
        start: the id of that model or checkpoint.
        ends_at: when its deadline will have passed, if it has one.
        estimated_bytes: the memory that it was thought to need when it was posted.
    """

    job_id: str
    kind: str
    token: int
    attempt: int
    spec: dict[str, Any]
    dataset: Dataset
    held_out: Mapping[Part, Dataset] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    init_from: str | None = None
    start: str | None = None
    ends_at: float | None = None
    estimated_bytes: int | None = None

    @property
    def folder(self) -> str:
        """Storage key of this attempt's files; no other attempt of any job has the same."""
        return files.folder(self.job_id, self.token)


@dataclass(frozen=True)
class News:
    """Something that happened in a job, on its way to becoming an event; but of "progress", which the row alone has."""

    kind: Kind
    data: dict[str, Any]
    at: float


def claim(
    database: Database, *, lease_seconds: float, worker_id: str | None = None, not_on: Collection[str] = ()
) -> Lease | None:
    """Take the job that `order` says, after those whose worker fell silent have been put back; None when none waits.

    Jobs that name a device `not_on` which to train are left to others.
    """
    now = time.time()
    with database.read() as session:  # looking takes no lock, so that idle workers don't hold up writers
        looks = (first_in_line(select(Job.id), not_on), _silent(Job.id, now))
        waiting = (session.scalars(look.limit(1)).first() for look in looks)
        if not any(waiting):
            return None
    return _claim(database, now, lease_seconds, worker_id, not_on)


@_insistent
def _claim(
    database: Database, now: float, lease_seconds: float, worker_id: str | None, not_on: Collection[str]
) -> Lease | None:
    with database.write() as session:
        mine = select(Job).where(Job.state == "running", Job.worker_id == worker_id, Job.claimed_at == now)
        if job := session.scalars(mine).first():  # the answer to an earlier try was lost
            checkpoint = session.get(Checkpoint, job.checkpoint_id) if job.checkpoint_id else None
            return _lease(session, job, job.lease_token, job.attempts, checkpoint, now)
        _take_back_silent_jobs(session, now)
        job = _next(session, not_on)
        if job is None:
            return None
        attempt, token = job.attempts + 1, job.lease_token + 1
        checkpoint = session.get(Checkpoint, job.checkpoint_id) if job.checkpoint_id else None
        epoch, step = (checkpoint.epoch, checkpoint.step) if checkpoint else (0, 0)
        move(
            session,
            job.id,
            "running",
            token=job.lease_token,
            event={"attempt": attempt, "epoch": epoch},
            lease_token=token,
            lease_expires_at=now + lease_seconds,
            attempts=attempt,
            started_at=job.started_at or now,
            claimed_at=now,
            worker_id=worker_id,
            epochs_done=epoch,
            steps_done=step,
        )
        return _lease(session, job, token, attempt, checkpoint, now)


def _lease(session: Session, job: Job, token: int, attempt: int, checkpoint: Checkpoint | None, now: float) -> Lease:
    held_out = {} if isinstance(job, Prediction) else datasets_of(Spec.model_validate(job.spec).split)
    return Lease(
        job.id,
        job.kind,
        token,
        attempt,
        job.spec,
        session.get_one(Dataset, job.dataset_id),
        {part: session.get_one(Dataset, dataset_id) for part, dataset_id in held_out.items()},
        checkpoint,
        checkpoints.start_of(session, job.init_from) if job.init_from and not checkpoint else None,
        job.init_from,
        None if job.deadline_seconds is None else now + job.deadline_seconds - job.run_seconds,
        job.estimate["peak_bytes"] if job.estimate else None,
    )


@_insistent
def requested(database: Database, lease: Lease) -> str | None:
    """Return what the user wants of the running job: "pause", "cancel" or None. Takes no lock."""
    with database.read() as session:
        row = session.execute(_ours(select(Job.requested), lease)).one_or_none()
    if row is None:
        raise Stale(f"{lease.job_id} is not ours under the lease token {lease.token}")
    return row[0]


@_insistent
def append(database: Database, lease: Lease, news: Sequence[News], *, lease_seconds: float) -> None:
    """Append events, which may be none, and say how far the job has come; renews the lease too.

    Epochs that follow each other become one event, that of the last; `service.jobs.epochs` says why.
    """
    with database.write() as session:
        if _is_told(session, lease, news):
            news = ()
        _append(session, lease, news, lease_expires_at=time.time() + lease_seconds)


@_insistent
def keep_checkpoint(
    database: Database, lease: Lease, news: Sequence[News], folder: str, data: dict[str, Any], *, lease_seconds: float
) -> list[str]:
    """Make the files under `folder` visible as the checkpoint that the next attempt goes on from.

    Args:
        database: the tables.
        lease: the job's.
        news: what happened before.
        folder: storage key.
        data: "epoch" and "step", and what else there is to tell.
        lease_seconds: for how long the lease is renewed.

    Returns:
        The storage keys of earlier checkpoints that are no longer there, whose files can go.
    """
    with database.write() as session:
        if session.scalar(select(Checkpoint.id).where(Checkpoint.job_id == lease.job_id, Checkpoint.folder == folder)):
            _append(session, lease, (), lease_expires_at=time.time() + lease_seconds)
            return []  # an earlier try, whose answer was lost, has made it; the sweep removes the files of others
        _append(session, lease, news, lease_expires_at=time.time() + lease_seconds)
        checkpoint_id, gone = checkpoints.add(session, lease.job_id, folder, plain(data))
        event = {"checkpoint_id": checkpoint_id, "epoch": data["epoch"], "step": data["step"]}
        last = _touch(session, lease, last_event=Job.last_event + 1, checkpoint_id=checkpoint_id)
        [row] = _rows("checkpoint", [News("checkpoint", event, time.time())])
        session.execute(insert(Event), [{"job_id": lease.job_id, "sequence": last, **row}])
        tallies.count(session, tallies.EVENTS, "checkpoint")
    return gone


@_insistent
def succeed(
    database: Database, lease: Lease, news: Sequence[News] = (), *, result: dict[str, Any], card: dict[str, Any]
) -> str:
    """Make the files under `lease.folder` visible as a model, end the job, and return the model's id."""
    model_id = new_id("model")
    with database.write() as session:
        known = session.scalar(select(Model.id).where(Model.job_id == lease.job_id, Model.folder == lease.folder))
        if known:  # made by an earlier try, whose answer was lost
            return known
        _append(session, lease, news)
        move(
            session,
            lease.job_id,
            "succeeded",
            token=lease.token,
            event={"model_id": model_id},
            result=plain(result),
            model_id=model_id,
        )
        owner = select(Job.owner).where(Job.id == lease.job_id).scalar_subquery()
        model = {"id": model_id, "owner": owner, "job_id": lease.job_id, "dataset_id": lease.dataset.id}
        session.execute(insert(Model).values(**model, folder=lease.folder, card=plain(card), created_at=time.time()))
    return model_id


@_insistent
def succeed_without_model(
    database: Database, lease: Lease, news: Sequence[News] = (), *, result: dict[str, Any]
) -> None:
    """End the job, whose row then makes the files under `lease.folder` visible: predictions, say."""
    with database.write() as session:
        done = (Job.id == lease.job_id, Job.lease_token == lease.token, Job.state == "succeeded")
        if session.scalar(select(Job.id).where(*done)):  # by an earlier try, whose answer was lost
            return
        _append(session, lease, news)
        move(session, lease.job_id, "succeeded", token=lease.token, event={}, result=plain(result))


@_insistent
def fail(database: Database, lease: Lease, code: str, message: str, news: Sequence[News] = ()) -> None:
    """End the job: no further attempt would go better."""
    with database.write() as session:
        _append(session, lease, news)
        _fail(session, lease.job_id, lease.token, code, message)


@_insistent
def cancel(database: Database, lease: Lease, news: Sequence[News] = ()) -> None:
    """End the job as its user wished."""
    with database.write() as session:
        _append(session, lease, news)  # the table would let a queued job be cancelled too, which isn't ours any more
        move(session, lease.job_id, "cancelled", token=lease.token, event={})


@_insistent
def pause(database: Database, lease: Lease, news: Sequence[News] = ()) -> None:
    """Let the job rest if that is still what its user wishes, its attempt given back.

    The worker has asked before it stopped the child, and the wish may have changed since: a job that was resumed
    meanwhile is queued again, and one that was cancelled ends.
    """
    with database.write() as session:
        _append(session, lease, news)
        _requeue(session, _load(session, lease), "its worker was asked to pause it", attempts=lease.attempt - 1)


@_insistent
def put_back(database: Database, lease: Lease, code: str, message: str, news: Sequence[News] = ()) -> None:
    """Queue the job for another attempt, or end it as failed with `code` where it has had all its attempts."""
    with database.write() as session:
        _append(session, lease, news)
        _put_back(session, _load(session, lease), code, message)


@_insistent
def hand_back(database: Database, lease: Lease, message: str, news: Sequence[News] = ()) -> None:
    """Queue the job again with its attempt given back: the worker has to go, and the job can't help it."""
    with database.write() as session:
        _append(session, lease, news)
        _requeue(session, _load(session, lease), message, attempts=lease.attempt - 1)


def _rows(kind: str, news: list[News]) -> list[dict[str, Any]]:
    """Return the events that tell these `news`, all of one kind."""
    if kind != "metrics":
        return [{"kind": kind, "data": plain(n.data), "created_at": n.at, "epochs": None} for n in news]
    first, last = news[0].data["epoch"], news[-1]
    told = {"first_epoch": first, **plain(last.data)}
    records = [{name: value for name, value in n.data.items() if name != "epochs"} for n in news]
    return [{"kind": kind, "data": told, "created_at": last.at, "epochs": pack(records)}]


def _next(session: Session, not_on: Collection[str]) -> Job | None:
    """Return the first job in line, locked. Other workers don't wait for it: they take the one behind it."""
    first = first_in_line(select(Job), not_on).with_for_update(of=Job, skip_locked=True)
    counted: set[str] = set()
    while (job := session.scalars(first).first()) and job.key_id and job.key_id not in counted:
        # The key's row is a turnstile: what others are claiming under the same limit is counted when they are through.
        limited = select(ApiKey.id).where(ApiKey.id == job.key_id, ApiKey.max_running.is_not(None))
        session.execute(limited.with_for_update())
        counted.add(job.key_id)
    return job


def _silent(what: Any, now: float) -> Select[Any]:
    return select(what).where(Job.state == "running", Job.lease_expires_at < now)


def _take_back_silent_jobs(session: Session, now: float) -> None:
    # Who holds a row has heard of its worker just now, or puts it back itself.
    for job in session.scalars(_silent(Job, now).with_for_update(skip_locked=True)).all():
        _put_back(session, job, "attempts_exhausted", "the worker that had the job fell silent")


def _put_back(session: Session, job: Job, code: str, message: str) -> None:
    if job.attempts >= job.max_attempts and job.requested != "cancel":
        last = f"{message}, in attempt {job.attempts} of {job.max_attempts}; the worker's log may say why"
        _fail(session, job.id, job.lease_token, code, last)
    else:
        _requeue(session, job, message)


def _requeue(session: Session, job: Job, message: str, **changes: Any) -> None:
    # Whoever wants it to stop need not wait for another worker to be told.
    if job.requested == "cancel":
        move(session, job.id, "cancelled", token=job.lease_token, event={})
    elif job.requested == "pause":
        move(session, job.id, "paused", token=job.lease_token, event={"message": message}, **changes)
    else:
        event = {"message": message}
        move(session, job.id, "queued", token=job.lease_token, event=event, **changes)


def _fail(session: Session, job_id: str, token: int, code: str, message: str) -> None:
    error = {"code": code, "message": message}
    move(session, job_id, "failed", token=token, event={"error": error}, error=error)


def _load(session: Session, lease: Lease) -> Job:
    job = session.scalars(_ours(select(Job).with_for_update(), lease)).one_or_none()
    if job is None:
        raise Stale(f"{lease.job_id} is not ours under the lease token {lease.token}")
    return job


def _append(session: Session, lease: Lease, news: Sequence[News], **changes: Any) -> None:
    """Append the events that there are in `news`; raises `Stale` where the job isn't ours, also without any."""
    told = [each for each in news if each.kind != "progress"]
    rows = [row for kind, group in groupby(told, key=lambda each: each.kind) for row in _rows(kind, list(group))]
    reached = next((each.data for each in reversed(news) if "step" in each.data), None)
    if reached:
        if lease.kind == "training":
            before = session.scalar(_ours(select(Job.steps_done), lease))
            tallies.count(session, tallies.STEPS, amount=reached["step"] - (before or 0))
        changes |= {"epochs_done": reached["epoch"], "steps_done": reached["step"]}
    last = _touch(session, lease, last_event=Job.last_event + len(rows), **changes)
    if rows:
        first = last - len(rows) + 1
        identified = [{"job_id": lease.job_id, "sequence": n, **row} for n, row in enumerate(rows, first)]
        session.execute(insert(Event), identified)
        for row in rows:
            tallies.count(session, tallies.EVENTS, row["kind"])


def _is_told(session: Session, lease: Lease, news: Sequence[News]) -> bool:
    """Return whether an earlier try, whose answer was lost, has written `news`: then nothing has followed them."""
    told = [each for each in news if each.kind != "progress"]
    if not told:
        return False
    last = select(Event.kind, Event.created_at).join(Job, (Job.id == Event.job_id) & (Job.last_event == Event.sequence))
    row = session.execute(_ours(last, lease)).one_or_none()
    return row is not None and tuple(row) == (told[-1].kind, told[-1].at)


def _touch(session: Session, lease: Lease, **changes: Any) -> int:
    """Change columns of the job, which stays running, and return the sequence of its last event."""
    change = _ours(update(Job), lease).values(**changes).returning(Job.last_event)
    last = session.execute(change.execution_options(synchronize_session=False)).scalar_one_or_none()
    if last is None:
        raise Stale(f"{lease.job_id} is not ours under the lease token {lease.token}")
    return last


def _ours(statement: Any, lease: Lease) -> Any:
    return statement.where(Job.id == lease.job_id, Job.lease_token == lease.token, Job.state == "running")
