"""What tables and files say about jobs, and waiting until they say so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import select

from service import tables
from service.context import Context
from service.jobs import files
from service.jobs.schemas import Job
from service.jobs.service import get_job
from service.jobs.states import ENDED
from tests.service.processes import PATIENCE, eventually


def row_of(context: Context, job_id: str) -> dict[str, Any]:
    """Return the job's row, column by column."""
    with context.database.read() as session:
        row = session.get_one(tables.Job, job_id)
        return {column.name: getattr(row, column.name) for column in tables.Job.__table__.columns}


def history_of(context: Context, job_id: str) -> list[tuple[int, str, dict[str, Any]]]:
    """Return sequence, kind and data of all the job's events."""
    query = select(tables.Event).where(tables.Event.job_id == job_id).order_by(tables.Event.sequence)
    with context.database.read() as session:
        return [(event.sequence, event.kind, event.data) for event in session.scalars(query)]


def ended(context: Context, job: Job, seconds: float = PATIENCE) -> Job:
    """Return the job once it has ended."""
    assert eventually(lambda: get_job(context, job.id).state in ENDED, seconds), history_of(context, job.id)[-5:]
    return get_job(context, job.id)


def training(context: Context, job: Job) -> Job:
    """Return the job once an epoch of it is done."""
    assert eventually(lambda: get_job(context, job.id).progress.epoch > 0), history_of(context, job.id)[-5:]
    return get_job(context, job.id)


def states_of(context: Context, job: Job) -> list[str]:
    """Return the states that the job has been in."""
    return [data["state"] for _, kind, data in history_of(context, job.id) if kind == "state"]


def checkpoints_of(context: Context, job: Job) -> list[tables.Checkpoint]:
    """Return the rows of the job's checkpoints, oldest first."""
    query = select(tables.Checkpoint).where(tables.Checkpoint.job_id == job.id).order_by(tables.Checkpoint.id)
    with context.database.read() as session:
        return list(session.scalars(query))


def files_below(folder: Path) -> set[str]:
    """Return every file below `folder`; others may remove some meanwhile, for which `Path.rglob` would break off."""
    return {str(Path(at, name).relative_to(folder)) for at, _, names in os.walk(folder) for name in names}


def published(context: Context) -> list[str]:
    """Return the names of all folders of attempts, drafts too."""
    folder = context.storage.path(files.MODELS)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []
