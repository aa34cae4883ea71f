"""Checkpoints: the rows that make their files visible, how many are kept, and what a job may start with."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.ids import new_id
from service.jobs.states import ENDED
from service.tables import Checkpoint, Job, Model

KEPT = 2
"""Of each job, so many, and those that another job is to start with."""


def add(session: Session, job_id: str, folder: str, data: dict[str, Any]) -> tuple[str, list[str]]:
    """Add a checkpoint of the job, and remove those that are one too many.

    Returns:
        Its id, and the storage keys of those that were removed.
    """
    checkpoint_id = new_id("ckpt")
    session.add(
        Checkpoint(
            id=checkpoint_id,
            owner=session.execute(select(Job.owner).where(Job.id == job_id)).scalar_one(),
            job_id=job_id,
            folder=folder,
            epoch=data["epoch"],
            step=data["step"],
            data=data,
        )
    )
    session.flush()
    wanted = select(Job.init_from).where(Job.init_from.is_not(None), Job.state.not_in(ENDED))
    others = select(Checkpoint.id, Checkpoint.folder).where(
        Checkpoint.job_id == job_id, Checkpoint.id != checkpoint_id, Checkpoint.id.not_in(wanted)
    )
    gone = session.execute(others.order_by(Checkpoint.id.desc()).offset(KEPT - 1)).all()
    session.execute(delete(Checkpoint).where(Checkpoint.id.in_([row.id for row in gone])))
    return checkpoint_id, [row.folder for row in gone]


def start_of(session: Session, init_from: str) -> str:
    """Return the storage key of the model or checkpoint with the id `init_from`; of nothing where it is gone."""
    table = Model if init_from.startswith("model_") else Checkpoint
    found = session.execute(select(table.folder).where(table.id == init_from)).scalar_one_or_none()
    return found or f"gone/{init_from}"
