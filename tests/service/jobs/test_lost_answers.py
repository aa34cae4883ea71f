"""The server dies while a worker commits, just before or just after: no change is lost or doubled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, select

from service import tables
from service.context import Context
from service.jobs import held, queue
from service.jobs.held import News
from service.jobs.queue import Lease
from service.jobs.schemas import Job
from service.jobs.states import Stale
from tests.service.history import history_of, row_of, states_of
from tests.service.news import of_epoch
from tests.service.postgresql import Server
from tests.service.workplace import post, upload, workplace

NEWS = [of_epoch({"epoch": n, "step": n, "seconds": 0.1, "loss": 1.0}, 1000.0 + n) for n in (1, 2, 3)]


@pytest.fixture
def context(tmp_path: Path, fragile: Server) -> Iterator[Context]:
    with fragile.database() as url, workplace(tmp_path, database_url=url) as context:
        yield context


@pytest.fixture
def job(context: Context) -> Job:
    return post(context, upload(context))


@pytest.fixture(params=["before", "after"])
def dying(request: pytest.FixtureRequest, context: Context, fragile: Server) -> Any:
    """While this is entered, the server dies once, before or after it has committed, and is started again."""

    @contextmanager
    def die_once() -> Iterator[None]:
        died = []

        def die(connection: Connection) -> None:
            if connection.get_isolation_level() != "READ COMMITTED" or died:
                return
            died.append(True)
            if request.param == "after":
                driver = connection.connection.driver_connection
                assert driver is not None
                driver.commit()
            fragile.stop("immediate")
            fragile.start()

        event.listen(context.database.engine, "commit", die)
        yield
        event.remove(context.database.engine, "commit", die)
        assert died

    return die_once


def claimed(context: Context) -> Lease:
    lease = queue.claim(context.database, lease_seconds=30, worker_id="worker_1")
    assert lease is not None
    return lease


def test_a_claim(context: Context, job: Job, dying: Any):
    with dying():
        lease = claimed(context)
    row = row_of(context, job.id)
    assert (lease.job_id, lease.token, lease.attempt) == (job.id, row["lease_token"], row["attempts"]) == (job.id, 1, 1)
    held.append(context.database, lease, [], lease_seconds=30)
    assert states_of(context, job) == ["queued", "running"]


def test_events(context: Context, job: Job, dying: Any):
    lease = claimed(context)
    with dying():
        held.append(context.database, lease, NEWS, lease_seconds=30)
    held.append(context.database, lease, [News("log", {"message": "next"}, time.time())], lease_seconds=30)
    assert [kind for _, kind, _ in history_of(context, job.id)] == ["state", "state", "metrics", "log"]
    assert row_of(context, job.id)["steps_done"] == 3


def test_a_checkpoint(context: Context, job: Job, dying: Any):
    lease = claimed(context)
    data = {"epoch": 3, "step": 3, "attempt": 1}
    with dying():
        held.keep_checkpoint(context.database, lease, NEWS, "checkpoints/here", data, lease_seconds=30)
    assert [kind for _, kind, _ in history_of(context, job.id)] == ["state", "state", "metrics", "checkpoint"]
    with context.database.read() as session:
        assert session.scalars(select(tables.Checkpoint.id)).all() == [row_of(context, job.id)["checkpoint_id"]]


def test_success(context: Context, job: Job, dying: Any):
    lease = claimed(context)
    with dying():
        model_id = held.succeed(context.database, lease, NEWS, result={}, card={})
    with context.database.read() as session:
        assert session.scalars(select(tables.Model.id)).all() == [model_id] == [row_of(context, job.id)["model_id"]]
    assert states_of(context, job) == ["queued", "running", "succeeded"]


def test_failure(context: Context, job: Job, dying: Any, request: pytest.FixtureRequest):
    lease = claimed(context)
    made = request.node.callspec.params["dying"] == "after"
    with dying():
        try:
            held.fail(context.database, lease, "code", "message", NEWS)
        except Stale:
            assert made
    assert states_of(context, job) == ["queued", "running", "failed"]
    assert [kind for _, kind, _ in history_of(context, job.id)] == ["state", "state", "metrics", "state"]
