"""Jobs at a glance: a few points of the losses of each, at a cost that doesn't grow with the length of the curves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import null, select

from service.context import Context
from service.jobs.epochs import unpack
from service.tables import Event, Job

POINTS = 48
FEW = 12
"""Events up to which the epochs within them are looked at: a short job tells all of its epochs in a few."""


@dataclass
class Glance:
    """Of a job, some epochs of its curve, the first ones and the last ones among them.

    Attributes:
        losses: training losses, in order; None where one isn't finite.
        validation_losses: the same of the validation rows; None where there are none.
        last: what the last epoch told; empty where there is no epoch yet.
    """

    losses: list[float | None] = field(default_factory=list)
    validation_losses: list[float | None] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)


def glances(context: Context, job_ids: Iterable[str]) -> dict[str, Glance]:
    """Return a glance at each of the jobs that there are."""
    with context.database.read() as session:
        known = session.execute(select(Job.id, Job.last_event).where(Job.id.in_(list(job_ids)))).all()
        found: dict[str, Glance] = {}
        for job_id, last_event in known:
            # The sequence has no gaps, so that a few of its numbers are a few of the events.
            places = {1 + round(i * (last_event - 1) / (POINTS - 1)) for i in range(POINTS)}
            places |= set(range(max(1, last_event - 3), last_event + 1))  # of the last ones some tell of other things
            query = select(Event.data, Event.epochs if last_event <= FEW else null()).where(
                Event.job_id == job_id, Event.sequence.in_(places), Event.kind == "metrics"
            )
            glance = found[job_id] = Glance()
            for data, packed in session.execute(query.order_by(Event.sequence)):
                told = _some(packed) if packed else [data]
                glance.losses += [epoch.get("loss") for epoch in told]
                glance.validation_losses += [epoch.get("validation_loss") for epoch in told]
                glance.last = data
    return found


def _some(packed: bytes) -> list[dict[str, float | None]]:
    """Return a few of the epochs that an event stands for."""
    names, numbers = unpack(packed)
    places = np.unique(np.linspace(0, len(numbers) - 1, POINTS).astype(int))
    return [
        {name: None if math.isnan(value) else value for name, value in zip(names, row, strict=True)}
        for row in numbers[places].tolist()
    ]
