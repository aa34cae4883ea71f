"""Which of the queued jobs a worker takes next.

The one of the highest priority, and among equals the oldest; jobs of an API key that has as many running as it may are
passed over, so that they hold nobody up. Age is that of the first post: a job that was put back, resumed or retried
goes before those that were posted after it. Within a priority nobody starves, then, as long as jobs end. Between
priorities the order is strict: a job waits for as long as there are jobs of a higher priority, and no waiting raises
it. Jobs that run are never interrupted for others.

All queued jobs stand in the index `ix_jobs_queue` in just this order, with their keys, so that a claim reads no row but
the one it takes, however many jobs are queued or have ended.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, func, or_, select

from service.tables import ApiKey, Job


def first_in_line(columns: Select[Any], not_on: Collection[str] = ()) -> Select[Any]:
    """Return `columns`, a selection from `Job`, for the next job to be claimed.

    Args:
        columns: what to select.
        not_on: devices whose jobs, those that name one of them, are for others.
    """
    if not_on:
        columns = columns.where(Job.spec["device"].as_string().not_in(not_on))
    at_its_limit = (
        select(Job.key_id)
        .join(ApiKey, ApiKey.id == Job.key_id)
        .where(Job.state == "running")
        .group_by(Job.key_id, ApiKey.max_running)
        .having(func.count() >= ApiKey.max_running)
    )
    return (
        columns.where(Job.state == "queued", or_(Job.key_id.is_(None), Job.key_id.not_in(at_its_limit)))
        .order_by(Job.priority.desc(), Job.id)
        .limit(1)
    )
