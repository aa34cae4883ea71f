"""Posting jobs, listing them, looking at them and waiting for them; what else is done with them: `actions`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from service import tables
from service.context import Context
from service.ids import new_id
from service.jobs.estimate import calibration_of, estimate
from service.jobs.posting import Posting, post
from service.jobs.request import JobRequest
from service.jobs.resolve import resolve
from service.jobs.schemas import Checkpoint, Estimate, Job, Progress, Spec, State, Took
from service.jobs.split import datasets_of
from service.jobs.splitting import others_of
from service.jobs.starting import source_of
from service.jobs.states import ENDED
from service.models.predictor import WEIGHTS
from service.pages import newest_first
from service.problems import not_found


def post_job(context: Context, request: JobRequest, key: str | None = None) -> tuple[Job, bool]:
    """Queue the job; return it, and whether it was there already, as `posting.post` does."""
    return post(
        context,
        Posting(
            request,
            tables.Training,
            find=lambda session: _settle(session, context, request),
            row=lambda session, settled: _row(session, context, request, settled),
            shape=_shape,
        ),
        key,
    )


_DATASET = select(tables.Dataset).where(tables.Dataset.id == bindparam("id"))
_KEPT = select(tables.Dataset.owner).where(tables.Dataset.id == bindparam("id")).with_for_update(read=True)


@dataclass(frozen=True)
class _Settled:
    """What a job is to be, found without holding up those who write."""

    spec: Spec
    estimate: Estimate


def _settle(session: Session, context: Context, request: JobRequest) -> _Settled:
    dataset = session.scalar(_DATASET, {"id": request.dataset_id})
    start = source_of(session, request.init_from) if request.init_from else None
    others = others_of(session, request.split)
    spec = resolve(request, dataset, start, context.settings, others)
    assert dataset is not None, "resolve refuses a job without one"
    return _Settled(spec, estimate(spec, dataset, calibration_of(session), others))


def _row(session: Session, context: Context, request: JobRequest, settled: _Settled) -> tables.Training:
    # Neither ever changes, but they may have gone since. From here on they can't, until the job that needs them is in.
    owner = session.scalar(_KEPT, {"id": request.dataset_id})
    start = source_of(session, request.init_from, kept=True) if request.init_from else None
    others = others_of(session, request.split, kept=True)
    if owner is None or (request.init_from and start is None) or others.keys() < {*datasets_of(request.split).values()}:
        resolve(request, session.get(tables.Dataset, request.dataset_id), start, context.settings, others)  # says so
    assert owner is not None, "resolve refuses a job without a data set"
    return tables.Training(
        id=new_id("job"),
        owner=owner,
        key_id=context.caller.key_id,
        dataset_id=request.dataset_id,
        spec=settled.spec.model_dump(mode="json"),
        init_from=request.init_from,
        priority=request.priority,
        deadline_seconds=request.deadline_seconds,
        max_attempts=request.max_attempts or context.settings.max_attempts,
        estimate=settled.estimate.model_dump(),
    )


def list_jobs(
    context: Context, limit: int, after: str | None, *, states: Sequence[State], dataset_id: str | None
) -> tuple[list[Job], bool]:
    """Return up to `limit` jobs, newest first, and whether more follow; `states` may be empty, which is all."""
    query = select(tables.Training)
    if states:
        query = query.where(tables.Training.state.in_(states))
    if dataset_id is not None:
        query = query.where(tables.Training.dataset_id == dataset_id)
    with context.database.read() as session:
        rows, has_more = newest_first(session, query, tables.Training.id, limit, after)
        return [_shape(session, row) for row in rows], has_more


def get_job(context: Context, job_id: str) -> Job:
    """Return the job; 404 when there is none."""
    with context.database.read() as session:
        row = session.scalar(_TRAINING, {"id": job_id})
        if row is None:
            raise not_found("job", job_id)
        return _shape(session, row)


# Made once, as in `queue`.
_TRAINING = select(tables.Training).where(tables.Training.id == bindparam("id"))


async def wait_for_job(context: Context, job_id: str, seconds: float) -> Job:
    """Return the job once it has ended, or as it is after `seconds`; holds neither session nor thread meanwhile."""
    if seconds > 0 and not await anyio.to_thread.run_sync(_has_ended, context, job_id):
        await context.endings.wait(job_id, seconds)
    return await anyio.to_thread.run_sync(get_job, context, job_id)


_STATE = select(tables.Training.state).where(tables.Training.id == bindparam("id"))


def _has_ended(context: Context, job_id: str) -> bool:
    with context.database.read() as session:
        state = session.scalar(_STATE, {"id": job_id})
    if state is None:
        raise not_found("job", job_id)
    return state in ENDED


def list_checkpoints(context: Context, job_id: str, limit: int, after: str | None) -> tuple[list[Checkpoint], bool]:
    """Return up to `limit` checkpoints of the job, newest first, and whether more follow; 404 when there is no job."""
    query = select(tables.Checkpoint).where(tables.Checkpoint.job_id == job_id)
    with context.database.read() as session:
        if session.get(tables.Training, job_id) is None:
            raise not_found("job", job_id)
        rows, has_more = newest_first(session, query, tables.Checkpoint.id, limit, after)
    return [_checkpoint(row) for row in rows], has_more


def checkpoint_weights(context: Context, job_id: str, checkpoint_id: str) -> Path:
    """Return the path of the weights of the job's checkpoint; 404 when there is none."""
    with context.database.read() as session:
        row = session.get(tables.Checkpoint, checkpoint_id)
    if row is None or row.job_id != job_id:
        raise not_found("checkpoint", checkpoint_id)
    path = context.storage.path(row.folder) / WEIGHTS
    if not path.is_file():  # a newer one has taken its place in between
        raise not_found("checkpoint", checkpoint_id)
    return path


def _checkpoint(row: tables.Checkpoint) -> Checkpoint:
    of_progress = ("epoch", "epochs", "step", "steps", "seconds")
    return Checkpoint(
        id=row.id,
        job_id=row.job_id,
        epoch=row.epoch,
        step=row.step,
        metrics={name: value for name, value in row.data.items() if name not in of_progress},
        created_at=row.created_at,
    )


def _shape(session: Session, row: tables.Training) -> Job:
    result = row.result
    if result and row.estimate:
        result = {**result, "estimated": {name: row.estimate[name] for name in Took.model_fields}}
    return Job.model_validate(
        {
            **{name: getattr(row, name) for name in Job.model_fields if name not in ("object", "progress")},
            "result": result,
            "progress": _progress(session, row),
        }
    )


def _progress(session: Session, row: tables.Training) -> Progress:
    epochs: int = row.spec["epochs"]
    steps = row.estimate["steps"] if row.estimate else None
    seconds_left = None
    if row.state == "running":
        event = tables.Event
        told = select(event.data).where(event.job_id == row.id, event.kind == "metrics")
        last = session.scalars(told.order_by(event.sequence.desc()).limit(1)).first()
        if last:  # by an earlier attempt, perhaps, whose pace is as good to know
            steps = last["step"] * epochs // last["epoch"]
            seconds_left = last["seconds"] / last["step"] * max(0, steps - row.steps_done)
    return Progress(epoch=row.epochs_done, epochs=epochs, step=row.steps_done, steps=steps, seconds_left=seconds_left)
