"""The service as a whole, as the page shows it: workers, devices, the queue, memory and rates.

What tells of other owners' jobs, such as the length of the whole queue, is for callers with the scope metrics; others
see the workers there are and their own jobs.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service import memory, roster, tallies
from service.caller import Scope
from service.context import Context
from service.jobs.states import STATES
from service.tables import Job, Training, Worker

RECENTLY = 600.0


@dataclass(frozen=True)
class System:
    """What the page shows.

    Attributes:
        whole: whether it tells of all owners' jobs.
        workers: those that there are, and whether each has shown signs of life within a lease.
        jobs: how many there are in each state.
        oldest: when the oldest of the queued jobs was posted.
        rates: what happened in the last minutes, by name.
        totals: what has happened since the tables are there; empty where it isn't for the caller.
        machine: of the web process, by name, in bytes.
    """

    whole: bool
    workers: list[tuple[Worker, bool]]
    jobs: dict[str, int]
    oldest: float | None
    rates: dict[str, float]
    totals: dict[str, float]
    machine: dict[str, int | None]


def look(context: Context) -> System:
    """Return how the service is now."""
    whole = context.caller.may(Scope.METRICS)
    with context.database.read() as session:
        workers = session.scalars(select(Worker).order_by(Worker.id)).all()
        counts = dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).all())
        first = select(func.min(Job.id)).where(Job.state == "queued").scalar_subquery()
        oldest = session.scalar(select(Job.created_at).where(Job.id == first))
        living = {worker.id for worker in roster.alive(session, context.settings.lease_seconds)}
        rates = _rates(session, time.time())
        totals = _totals(tallies.read(session)) if whole else {}
    return System(
        whole=whole,
        workers=[(worker, worker.id in living) for worker in workers],
        jobs={state: counts.get(state, 0) for state in STATES},
        oldest=oldest,
        rates=rates,
        totals=totals,
        machine=_machine(context),
    )


def _rates(session: Session, now: float) -> dict[str, float]:
    ended = select(func.count()).where(Job.finished_at > now - RECENTLY)
    running = session.execute(
        select(Training.steps_done, Training.run_seconds, Training.claimed_at).where(Training.state == "running")
    )
    pace = sum(steps / max(1.0, ran + now - claimed) for steps, ran, claimed in running if claimed is not None)
    return {"jobs ended in the last 10 minutes": session.scalar(ended) or 0, "steps a second, of running jobs": pace}


def _totals(values: dict[tallies.Key, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, says in ((tallies.ATTEMPTS, "attempts"), (tallies.STEPS, "steps"), (tallies.FAILURES, "failures")):
        found[says] = sum(value for key, value in values.items() if key.name == name)
    return found


def _machine(context: Context) -> dict[str, int | None]:
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    disk = shutil.disk_usage(context.settings.data_dir)
    return {
        "memory of the web process": memory.resident_bytes(),
        "memory of the machine": pages * page,
        "free on the disk of the data": disk.free,
    }
