"""What users do with jobs that are there: pause, resume, cancel, retry and delete them; and which of it a job allows.

Each action says what is to hold: a job for which it holds already stays as it is, so that asking twice is no error.

A worker that has been asked to pause or to cancel its job answers in a transaction of its own, which reads the wish
once more. So there is no moment at which a wish that was withdrawn or changed is still followed: either the wish goes
first, and the worker finds what it has become, or the worker does, and the action finds the state that it left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service import tables
from service.context import Context
from service.jobs import files
from service.jobs.schemas import Job, Spec, State
from service.jobs.split import datasets_of
from service.jobs.starting import check_that_none_starts_with, source_of
from service.jobs.states import move
from service.problems import Problem, not_found
from service.schemas import FieldError

Action = Literal["pause", "resume", "cancel", "retry", "delete"]
Situation = State | Literal["pausing", "cancelling"]
"""A job's state; of a running job also what it has been asked to do."""


@dataclass(frozen=True)
class Move:
    """Bring the job to this state."""

    to: State


@dataclass(frozen=True)
class Ask:
    """Tell the worker of the running job this wish, or withdraw the one that was told."""

    wish: Literal["pause", "cancel"] | None


STAY, DELETE = None, "delete"
Step = Move | Ask | Literal["delete"] | None

ACTIONS: Mapping[Action, Mapping[Situation, Step]] = {
    "pause": {"queued": Move("paused"), "running": Ask("pause"), "pausing": STAY, "paused": STAY},
    "resume": {"queued": STAY, "running": STAY, "pausing": Ask(None), "paused": Move("queued")},
    "cancel": {
        "queued": Move("cancelled"),
        "running": Ask("cancel"),
        "pausing": Ask("cancel"),
        "cancelling": STAY,
        "paused": Move("cancelled"),
        "cancelled": STAY,
    },
    "retry": {"queued": STAY, "running": STAY, "failed": Move("queued"), "cancelled": Move("queued")},
    "delete": {"succeeded": DELETE, "failed": DELETE, "cancelled": DELETE},
}
"""For each action, the situations that allow it and what it does there."""

_SAID: Mapping[Situation, str] = {
    "queued": "is queued",
    "running": "is running",
    "pausing": "is running, and about to pause",
    "cancelling": "is running, and about to be cancelled",
    "paused": "is paused",
    "succeeded": "has succeeded",
    "failed": "has failed",
    "cancelled": "is cancelled",
}
_DONE: Mapping[Action, str] = {
    "pause": "paused",
    "resume": "resumed",
    "cancel": "cancelled",
    "retry": "retried",
    "delete": "deleted",
}


@dataclass(frozen=True)
class Resource:
    """The jobs of a kind, as the API has them.

    Attributes:
        table: of their rows.
        name: of one.
        actions: what can be done with one.
    """

    table: type[tables.Job]
    name: str
    actions: Collection[Action]

    @property
    def kind(self) -> str:
        """What the column `kind` of their rows says."""
        return str(self.table.__mapper__.polymorphic_identity)


TRAININGS = Resource(tables.Training, "job", get_args(Action))
PREDICTIONS = Resource(tables.Prediction, "prediction", ("cancel", "retry", "delete"))
"""One that is stopped begins anew, so there is nothing to pause."""


def allowed(situation: Situation, of: Resource = TRAININGS) -> list[Action]:
    """Return the actions that change something of a job in this situation."""
    return [action for action, steps in ACTIONS.items() if steps.get(situation) and action in of.actions]


def situation_of(job: tables.Job | Job) -> Situation:
    """Return the job's state, with what its worker has been asked to do."""
    match job.requested:
        case "pause":
            return "pausing"
        case "cancel":
            return "cancelling"
        case _:
            return job.state  # type: ignore[return-value] -- the column has states only


def pause(context: Context, job_id: str) -> None:
    """Let a queued job wait, and a running one stop at its next step and keep where it is."""
    with context.database.write() as session:
        _apply(session, job_id, "pause")


def resume(context: Context, job_id: str) -> None:
    """Queue a paused job again, or let a running one run on that was about to pause."""
    with context.database.write() as session:
        _apply(session, job_id, "resume")


def cancel(context: Context, job_id: str, of: Resource = TRAININGS) -> None:
    """End a job that hasn't ended: at once where it doesn't run, else by way of its worker."""
    with context.database.write() as session:
        _apply(session, job_id, "cancel", of)


def retry(context: Context, job_id: str, of: Resource = TRAININGS, *, from_start: bool) -> None:
    """Queue a failed or cancelled job again, with all its attempts and its whole deadline before it.

    It goes on from its last checkpoint; `from_start` drops all that it has. Raises `Problem` (409) also where what it
    needs is no longer there.
    """
    with context.database.write() as session:
        job, step = _allowed(session, job_id, "retry", of)
        if not isinstance(step, Move):
            return
        dropped = _drop_checkpoints(session, job) if from_start else []
        checkpoint = session.get(tables.Checkpoint, job.checkpoint_id) if job.checkpoint_id else None
        if from_start:
            checkpoint = None
        _check_that_it_can_start(session, job, checkpoint)
        where = f"its checkpoint after {checkpoint.step} steps" if checkpoint else "the start"
        move(
            session,
            job_id,
            step.to,
            token=job.lease_token,
            event={"message": f"tried again, from {where}"},
            attempts=0,
            run_seconds=0.0,
            error=None,
            checkpoint_id=checkpoint.id if checkpoint else None,
            epochs_done=checkpoint.epoch if checkpoint else 0,
            steps_done=checkpoint.step if checkpoint else 0,
        )
    for folder in dropped:
        context.storage.delete(folder)


def delete_job(context: Context, job_id: str, of: Resource = TRAININGS) -> None:
    """Delete an ended job with its events, its checkpoints, its model or predictions, and all their files."""
    with context.database.write() as session:
        job, _ = _allowed(session, job_id, "delete", of)
        models = select(tables.Model).where(tables.Model.job_id == job_id)
        for model in session.scalars(models.with_for_update()).all():
            check_that_none_starts_with(session, [model.id])
            session.delete(model)
        dropped = _drop_checkpoints(session, job)
        session.execute(delete(tables.Event).where(tables.Event.job_id == job_id))
        session.delete(job)
    # Rows first: a file without a row is invisible, and swept by the next worker that starts.
    files.discard(context.storage, files.folder(job_id, job.lease_token))
    for folder in dropped:
        context.storage.delete(folder)


def _apply(session: Session, job_id: str, action: Action, of: Resource = TRAININGS) -> None:
    job, step = _allowed(session, job_id, action, of)
    if isinstance(step, Move):
        move(session, job_id, step.to, token=job.lease_token, event={})
    elif isinstance(step, Ask):
        job.requested = step.wish


def _allowed(session: Session, job_id: str, action: Action, of: Resource) -> tuple[tables.Job, Step]:
    """Return the job, which stays as it is until the session ends, and what the action does to it; 404, or 409."""
    job = session.get(of.table, job_id, with_for_update=True)
    if job is None:
        raise not_found(of.name, job_id)
    situation = situation_of(job)
    if situation in ACTIONS[action]:
        return job, ACTIONS[action][situation]
    others = allowed(situation, of)
    path, refusal = f"{job.path}/{job_id}", f"can't be {_DONE[action]}"
    ways = " or ".join(f"DELETE {path}" if other == "delete" else f"POST {path}/{other}" for other in others)
    does = f"What it allows: {ways}." if ways else "Wait for that."
    error = FieldError(field="state", value=situation, message=refusal, allowed=", ".join(others))
    raise Problem(409, "action_not_allowed", f"The {of.name} {_SAID[situation]} and {refusal}. {does}", [error])


def _check_that_it_can_start(session: Session, job: tables.Job, checkpoint: tables.Checkpoint | None) -> None:
    needed = [job.dataset_id]
    if isinstance(job, tables.Training):
        needed += datasets_of(Spec.model_validate(job.spec).split).values()
    for dataset_id in sorted(set(needed)):
        if session.get(tables.Dataset, dataset_id, with_for_update={"read": True}) is None:
            detail = f"The data set {dataset_id} of this job was deleted. Upload it again and post a new job."
            raise Problem(409, "dataset_gone", detail)
    if isinstance(job, tables.Prediction):
        start: object = session.get(tables.Model, job.init_from, with_for_update={"read": True})
    else:
        start = source_of(session, job.init_from, kept=True) if job.init_from and not checkpoint else None
    if job.init_from and not checkpoint and start is None:
        detail = f"What this job starts with, {job.init_from}, was deleted. Post a new job that starts without it."
        raise Problem(409, "start_gone", detail)


def _drop_checkpoints(session: Session, job: tables.Job) -> list[str]:
    """Delete the rows of the job's checkpoints, and return the storage keys of their files."""
    query = select(tables.Checkpoint).where(tables.Checkpoint.job_id == job.id).order_by(tables.Checkpoint.id)
    rows = session.scalars(query.with_for_update()).all()
    check_that_none_starts_with(session, [row.id for row in rows])
    for row in rows:
        session.delete(row)
    return [row.folder for row in rows]
