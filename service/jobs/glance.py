"""Jobs at a glance: a few points of the losses of each, at a cost that doesn't grow with the length of the curves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from service.context import Context
from service.tables import Event, Job

POINTS = 48


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
            query = select(Event.data).where(
                Event.job_id == job_id, Event.sequence.in_(places), Event.kind == "metrics"
            )
            glance = found[job_id] = Glance()
            for data in session.scalars(query.order_by(Event.sequence)):
                glance.losses.append(data.get("loss"))
                glance.validation_losses.append(data.get("validation_loss"))
                glance.last = data
    return found
