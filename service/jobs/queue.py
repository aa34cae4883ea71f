"""The queue: how workers take jobs, and how jobs come back to it.

A worker loads its job with `claim`, one short transaction, then works with no transaction open, and applies what came
of it with the functions of `held`, each guarded by the job's id and the lease token that `claim` gave it. Whatever
happens to a worker, the lease runs out and the next `claim`, of any worker, puts the job back.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from service.db import Database
from service.jobs import checkpoints, files
from service.jobs.insistence import Try, insistent
from service.jobs.order import first_in_line
from service.jobs.schemas import Spec, State
from service.jobs.split import Part, datasets_of
from service.jobs.states import move
from service.tables import ApiKey, Checkpoint, Dataset, Job, Prediction


@dataclass(frozen=True)
class Lease:
    """A job that is ours for now: what to do, and the fencing token to write with.

    Attributes:
        kind, owner: the job's.
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
    owner: str
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


def claim(
    database: Database,
    *,
    lease_seconds: float,
    worker_id: str | None = None,
    not_on: Iterable[str] = (),
    unlooked: bool = False,
) -> Lease | None:
    """Take the job that `order` says, after those whose worker fell silent have been put back; None when none waits.

    A claim whose answer was lost is found by worker and moment, and not made twice.

    Args:
        database: the tables.
        lease_seconds: for how long the job is ours.
        worker_id: who takes it.
        not_on: devices; jobs that name one of them to train on are left to others.
        unlooked: whether to take the lock without a look whether a job waits, as where there was one just now.
    """
    now, others = time.time(), frozenset(not_on)
    if not unlooked:
        with database.read() as session:  # looking takes no lock, so that idle workers don't hold up writers
            looks = (session.scalars(look, {"now": now}).first() for look in (_waiting(others), _SILENT_ONE))
            if not any(looks):
                return None
    return _claim(database, now, lease_seconds, worker_id, others)


@insistent
def _claim(this: Try, now: float, lease_seconds: float, worker_id: str | None, not_on: frozenset[str]) -> Lease | None:
    with this.database.write() as session:
        if this.again:
            mine = select(Job).where(Job.state == "running", Job.worker_id == worker_id, Job.claimed_at == now)
            if job := session.scalars(mine).first():
                return _lease(session, job, job.lease_token, job.attempts, _checkpoint_of(session, job), now)
        # Who holds a row has heard of its worker just now, or puts it back itself.
        for job in session.scalars(_SILENT, {"now": now}).all():
            put_back(session, job, "attempts_exhausted", "the worker that had the job fell silent")
        job = _next(session, not_on)
        if job is None:
            return None
        attempt, token, checkpoint = job.attempts + 1, job.lease_token + 1, _checkpoint_of(session, job)
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


def put_back(
    session: Session, job: Job, code: str, message: str, before: Sequence[dict[str, Any]] = (), **changes: Any
) -> None:
    """Queue a running job for another attempt, or end it as failed with `code` where it has had all its attempts.

    Args:
        session: a writing one.
        job: read for update in it.
        code, message: why.
        before: events that go before.
        changes: further columns to set.
    """
    if job.attempts >= job.max_attempts and job.requested != "cancel":
        last = f"{message}, in attempt {job.attempts} of {job.max_attempts}; the worker's log may say why"
        error = {"code": code, "message": last}
        token = job.lease_token
        move(session, job.id, "failed", token=token, event={"error": error}, before=before, error=error, **changes)
    else:
        requeue(session, job, message, before, **changes)


def requeue(
    session: Session,
    job: Job,
    message: str,
    before: Sequence[dict[str, Any]] = (),
    *,
    spent: bool = True,
    **changes: Any,
) -> None:
    """Queue a running job again, or let it rest or end where its user has asked for that.

    Args:
        session, job, message, before, changes: as `put_back` has them.
        spent: whether the attempt counts, of a job that is to have another.
    """
    # Whoever wants it to stop need not wait for another worker to be told.
    to = _WISHED[job.requested]
    if to == "cancelled":
        event = {}
    else:
        event = {"message": message}
        changes["attempts"] = job.attempts - (not spent)
    move(session, job.id, to, token=job.lease_token, event=event, before=before, **changes)


def _lease(session: Session, job: Job, token: int, attempt: int, checkpoint: Checkpoint | None, now: float) -> Lease:
    held_out = {} if isinstance(job, Prediction) else datasets_of(Spec.model_validate(job.spec).split)
    return Lease(
        job.id,
        job.kind,
        job.owner,
        token,
        attempt,
        job.spec,
        session.scalars(_DATASET, {"id": job.dataset_id}).one(),
        {part: session.scalars(_DATASET, {"id": dataset_id}).one() for part, dataset_id in held_out.items()},
        checkpoint,
        checkpoints.start_of(session, job.init_from) if job.init_from and not checkpoint else None,
        job.init_from,
        None if job.deadline_seconds is None else now + job.deadline_seconds - job.run_seconds,
        job.estimate["peak_bytes"] if job.estimate else None,
    )


def _checkpoint_of(session: Session, job: Job) -> Checkpoint | None:
    return session.get(Checkpoint, job.checkpoint_id) if job.checkpoint_id else None


def _next(session: Session, not_on: frozenset[str]) -> Job | None:
    """Return the first job in line, locked. Other workers don't wait for it: they take the one behind it."""
    first = _first(not_on)
    counted: set[str] = set()
    while (job := session.scalars(first).first()) and job.key_id and job.key_id not in counted:
        # The key's row is a turnstile: what others are claiming under the same limit is counted when they are through.
        limited = select(ApiKey.id).where(ApiKey.id == job.key_id, ApiKey.max_running.is_not(None))
        session.execute(limited.with_for_update())
        counted.add(job.key_id)
    return job


def _silent(what: Any) -> Select[Any]:
    return select(what).where(Job.state == "running", Job.lease_expires_at < bindparam("now"))


@cache
def _waiting(not_on: frozenset[str]) -> Select[Any]:
    return first_in_line(select(Job.id), not_on)


@cache
def _first(not_on: frozenset[str]) -> Select[Any]:
    return first_in_line(select(Job), not_on).with_for_update(of=Job, skip_locked=True)


_WISHED: Mapping[str | None, State] = {None: "queued", "pause": "paused", "cancel": "cancelled"}
# Made once: SQLAlchemy takes as long to put a query together as SQLite to answer it.
_DATASET = select(Dataset).where(Dataset.id == bindparam("id"))
_SILENT_ONE, _SILENT = _silent(Job.id).limit(1), _silent(Job).with_for_update(skip_locked=True)
