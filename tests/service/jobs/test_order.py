"""Which job is claimed next, and that finding it stays quick."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.dialects import sqlite

from service import tables
from service.context import Context
from service.datasets.schemas import Dataset
from service.ids import new_id
from service.jobs import held, queue
from service.jobs.order import first_in_line
from service.jobs.queue import Lease
from service.jobs.schemas import State
from tests.service.history import row_of
from tests.service.workplace import post


def claim(context: Context) -> Lease | None:
    return queue.claim(context.database, lease_seconds=30)


def claim_all(context: Context) -> list[str]:
    taken = []
    while lease := claim(context):
        taken.append(lease.job_id)
    return taken


def post_at(context: Context, dataset: Dataset, priority: int, key: str | None = None) -> str:
    job = post(context, dataset, priority=priority)
    with context.database.write() as session:
        session.execute(update(tables.Job).where(tables.Job.id == job.id).values(key_id=key))
    time.sleep(0.002)  # ids sort by the millisecond
    return job.id


def add_key(context: Context, max_running: int | None) -> str:
    key = tables.ApiKey(id=new_id("key"), owner="a", name="a", sha256=new_id("key"), scopes=[], max_running=max_running)
    with context.database.write() as session:
        session.add(key)
    return key.id


def fill(context: Context, dataset: Dataset, n: int, state: State, priorities: Iterable[int] = (0,), **columns: object):
    """Add `n` jobs without events."""
    spec, priorities = post(context, dataset).spec.model_dump(mode="json"), list(priorities)
    rows = [
        {"id": new_id("job"), "dataset_id": dataset.id, "state": state, "spec": spec, **columns}
        | {"priority": priorities[i % len(priorities)]}
        for i in range(n)
    ]
    with context.database.write() as session:
        session.execute(insert(tables.Training), rows)


def test_the_highest_priority_goes_first_and_among_equals_the_oldest(context: Context, dataset: Dataset):
    made = [(post_at(context, dataset, priority), priority) for priority in (0, 5, -100, 5, 100, 0)]
    assert claim_all(context) == [job_id for job_id, _ in sorted(made, key=lambda job: -job[1])]


def test_a_job_that_was_put_back_keeps_its_age(context: Context, dataset: Dataset):
    first, second = post_at(context, dataset, 0), post_at(context, dataset, 0)
    lease = claim(context)
    assert lease is not None
    held.put_back(context.database, lease, "child_died", "it died")
    assert claim_all(context) == [first, second]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_key_has_no_more_jobs_running_than_it_may(context: Context, dataset: Dataset, limit: int):
    key, free = add_key(context, limit), add_key(context, None)
    limited = [post_at(context, dataset, 10, key) for _ in range(4)]
    others = [post_at(context, dataset, 0, owner) for owner in (None, free, None, free)]
    leases = [lease for _ in range(8) if (lease := claim(context))]
    assert [lease.job_id for lease in leases] == limited[:limit] + others
    held.fail(context.database, leases[0], "code", "message")
    assert claim_all(context) == limited[limit : limit + 1]


def test_many_threads_at_once_keep_to_the_limit(context: Context, dataset: Dataset):
    key = add_key(context, 3)
    fill(context, dataset, 20, "queued", key_id=key)
    with ThreadPoolExecutor(8) as pool:
        taken = [job_id for part in pool.map(lambda _: claim_all(context), range(8)) for job_id in part]
    assert len(taken) == len(set(taken)) == 3 + 1  # and the one job that has no key
    assert sum(row_of(context, job_id)["key_id"] == key for job_id in taken) == 3


def test_attempts_are_counted_against_the_jobs_own_number(context: Context, dataset: Dataset):
    job = post(context, dataset, max_attempts=5)
    assert job.max_attempts == 5
    assert post(context, dataset).max_attempts == context.settings.max_attempts
    for attempt in range(1, 6):
        lease = claim(context)
        assert lease is not None
        assert (lease.job_id, lease.attempt) == (job.id, attempt)
        held.put_back(context.database, lease, "child_died", "it died")
    assert row_of(context, job.id)["state"] == "failed"


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_the_line_stands_in_the_index(context: Context, dataset: Dataset):
    """No sorting, no reading of rows: the plan says so, so that no large table is needed to see it."""
    query = first_in_line(select(tables.Job.id)).compile(
        dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
    )
    with context.database.read() as session:
        plan = [row.detail for row in session.execute(text(f"EXPLAIN QUERY PLAN {query}"))]
    assert plan[0] == "SEARCH jobs USING COVERING INDEX ix_jobs_queue (state=?)"
    assert not any("SCAN" in step or "ORDER BY" in step for step in plan), plan


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_reading_the_line_costs_no_more_with_many_jobs(context: Context, dataset: Dataset):
    """Counted in steps of SQLite's machine, which don't depend on how busy this one is."""
    key = add_key(context, 1)
    assert _steps(context) < 200
    fill(context, dataset, 2_000, "succeeded")
    fill(context, dataset, 2_000, "queued", priorities=range(-100, 101))
    few = _steps(context)
    fill(context, dataset, 1, "running", key_id=key)
    fill(context, dataset, 1_000, "queued", priorities=[100], key_id=key)
    assert few < 200
    # Those of a key at its limit have to be stepped over, which takes a few instructions each.
    assert _steps(context) < 50 * 1_000


def _steps(context: Context) -> int:
    query = first_in_line(select(tables.Job.id)).compile(
        dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
    )
    count = 0

    def step() -> None:
        nonlocal count
        count += 1

    with context.database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.set_progress_handler(step, 1)
        try:
            assert driver.execute(str(query)).fetchall() is not None
        finally:
            driver.set_progress_handler(None, 1)
    return count
