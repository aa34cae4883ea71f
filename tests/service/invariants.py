"""What holds of every job and every file once all is quiet, whatever was killed before."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import func, select

from service import tables
from service.context import Context
from service.jobs import files
from service.jobs.metrics import Curve
from service.jobs.states import ENDED
from service.models.card import read_card
from service.models.predictor import WEIGHTS
from service.storage import DRAFTS
from tests.service.history import history_of, row_of

Result = tuple[str, dict[str, list[Any]], dict[str, Any]]


def result_of(context: Context, job_id: str) -> Result:
    """Return the sha-256 of the job's weights, its curve without the times, and its card without its data's id."""
    with context.database.read() as session:
        folder = session.scalars(select(tables.Model.folder).where(tables.Model.job_id == job_id)).one()
    weights = (context.storage.path(folder) / WEIGHTS).read_bytes()
    columns = Curve(context, job_id).columns()
    del columns["seconds"]
    card = read_card(context.storage.path(folder)) or {}
    del card["data"], card["spec"]["metadata"]  # the same table has another id elsewhere; what users note is theirs
    return hashlib.sha256(weights).hexdigest(), columns, card


def faults_of(context: Context, job_id: str, expected: Result | None = None) -> list[str]:
    """Return what is wrong with a job that nobody works on any more; `expected` is what it comes to if it succeeds."""
    row, history = row_of(context, job_id), history_of(context, job_id)
    states = [data["state"] for _, kind, data in history if kind == "state"]
    with context.database.read() as session:
        models = session.scalar(select(func.count()).where(tables.Model.job_id == job_id))
    succeeded = int(row["state"] == "succeeded")
    checks = {
        f"it is left {row['state']}": row["state"] in ENDED,
        f"its lease is left, up to {row['lease_expires_at']}": row["lease_expires_at"] is None,
        f"the wish {row['requested']} is left": row["requested"] is None,
        f"its last state is {row['state']}, and its events say {states}": states[-1] == row["state"],
        f"the sequence of its {len(history)} events has gaps, or doesn't end with {row['last_event']}": (
            [sequence for sequence, _, _ in history] == list(range(1, row["last_event"] + 1))
        ),
        f"it has succeeded {states.count('succeeded')} times": states.count("succeeded") == succeeded,
        f"it has {models} models": models == succeeded,
    }
    if succeeded and expected is not None and checks[f"it has {models} models"]:
        weights, curve, card = result_of(context, job_id)
        checks["its weights are not those of an undisturbed job"] = weights == expected[0]
        checks["its curve is not that of an undisturbed job"] = curve == expected[1]
        checks["its card is not that of an undisturbed job"] = card == expected[2]
    return [f"{job_id}: {fault}" for fault, holds in checks.items() if not holds]


def stray_files(context: Context) -> list[str]:
    """Return the storage keys that no row shows, and those that a row shows and that are not there."""
    with context.database.read() as session:
        rows = {key for table in (tables.Model, tables.Checkpoint) for key in session.scalars(select(table.folder))}
    there = {
        f"{kind}/{path.name}"
        for kind in (files.MODELS, files.CHECKPOINTS, DRAFTS)
        if context.storage.path(kind).is_dir()
        for path in context.storage.path(kind).iterdir()
    }
    return sorted(rows ^ there)
