"""The files of a job's attempts: where they lie, and how those of dead attempts are found and removed.

An attempt writes to draft folders of its own and publishes them under names of its own, all of which carry the job's
id and the attempt's lease token. Tokens only grow, so a token that isn't the job's present one, or whose job doesn't
run, belongs to an attempt that will never come to life again: what it has left behind without a row can be removed at
any time, also while other workers are at work.
"""

from __future__ import annotations

import logging
from pathlib import Path

from sqlalchemy import select

from service.db import Database
from service.jobs.insistence import Try, insistent
from service.storage import Storage
from service.tables import Checkpoint, Job, Model, Prediction

MODELS, CHECKPOINTS = "models", "checkpoints"
DRAFT = ".draft"
log = logging.getLogger(__name__)


def folder(job_id: str, token: int) -> str:
    """Return the storage key of what the attempt with `token` publishes: a model, or predictions."""
    return f"{MODELS}/{job_id}-{token}"


def checkpoints(job_id: str, token: int) -> str:
    """Return the storage key of the drafts of the attempt's checkpoints, one a step."""
    return f"{CHECKPOINTS}/{job_id}-{token}{DRAFT}"


def checkpoint(job_id: str, token: int, step: int) -> str:
    """Return the storage key of the checkpoint that the attempt publishes after `step` steps."""
    return f"{CHECKPOINTS}/{job_id}-{token}-{step}"


def draft(storage: Storage, key: str) -> Path:
    """Return where the attempt that publishes under `key` writes its files first."""
    return storage.path(key + DRAFT)


def discard(storage: Storage, key: str) -> None:
    """Remove what the attempt that publishes under `key` has written and published."""
    storage.delete(key + DRAFT)
    storage.delete(key)


def sweep(database: Database, storage: Storage) -> None:
    """Remove the files of all dead attempts, such as those that a killed worker left behind."""
    # Listed before the rows are read: whoever has a folder by now has a row that says so.
    keys = {
        f"{kind}/{path.name}"
        for kind in (MODELS, CHECKPOINTS)
        if storage.path(kind).is_dir()
        for path in storage.path(kind).iterdir()
    }
    if not keys:
        return
    attempts, rows = _shown(database)
    for key in keys - rows:
        if "-".join(Path(key.removesuffix(DRAFT)).name.split("-")[:2]) not in attempts:
            try:
                storage.delete(key)
            except OSError:  # the child of a worker that is frozen may be writing there still
                log.warning("%s can't be removed yet", key, exc_info=True)


@insistent
def _shown(this: Try) -> tuple[set[str], set[str]]:
    """Return the attempts that are alive, and the keys that rows show."""
    with this.database.read() as session:
        running = session.execute(select(Job.id, Job.lease_token).where(Job.state == "running"))
        attempts = {f"{job_id}-{token}" for job_id, token in running}
        rows = {key for table in (Model, Checkpoint) for key in session.scalars(select(table.folder))}
        made = select(Prediction.id, Prediction.lease_token).where(Prediction.state == "succeeded")
        rows |= {folder(job_id, token) for job_id, token in session.execute(made)}
    return attempts, rows
