"""What ends a job in time, what it may have, what it starts with, and how many a worker trains at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from service import tables
from service.context import Context
from service.datasets.schemas import Dataset
from service.jobs.service import get_job
from service.training.memory_limit import LINUX
from tests.service.history import ended, history_of, row_of, training
from tests.service.processes import eventually
from tests.service.test_worker import in_thread
from tests.service.workplace import post, upload, workplace

ENDLESS: dict[str, Any] = {"epochs": 1_000_000}
MIB = 2**20


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    folder: Path = tmp_path_factory.mktemp("limits")
    with workplace(folder, slots=2, threads=2, job_memory_bytes=700 * MIB) as context, in_thread(context):
        yield context


@pytest.fixture(scope="module")
def dataset(context: Context) -> Dataset:
    return upload(context)


def error_of(context: Context, dataset: Dataset, **spec: Any) -> tuple[str, int, str]:
    job = ended(context, post(context, dataset, **spec))
    assert job.error is not None, job
    return job.error.code, job.attempts, job.error.message


def test_a_deadline_ends_a_job(context: Context, dataset: Dataset):
    code, attempts, _ = error_of(context, dataset, deadline_seconds=1, **ENDLESS)
    assert (code, attempts) == ("deadline_exceeded", 1)


@pytest.mark.skipif(not LINUX, reason="the limit is one of Linux")
def test_a_job_that_needs_more_memory_than_it_may_have_fails_without_another_attempt(
    context: Context, dataset: Dataset
):
    wide = {"network": {"layers": [{"units": 9000}, {"units": 9000}]}}  # 81 million weights, four arrays of them
    code, attempts, message = error_of(context, dataset, **wide)
    assert (code, attempts) == ("out_of_memory", 1)
    assert str(700 * MIB) in message
    assert re.search(r"it was estimated to need \d{10} bytes$", message)
    assert ended(context, post(context, dataset, epochs=1)).state == "succeeded"


def test_two_slots_train_two_jobs_at_a_time(context: Context, dataset: Dataset):
    jobs = [post(context, dataset, **ENDLESS) for _ in range(2)]
    for job in jobs:
        training(context, job)
    assert {get_job(context, job.id).state for job in jobs} == {"running"}
    with context.database.read() as session:
        [worker] = session.scalars(select(tables.Worker)).all()
    assert worker.devices == ["cpu", "cpu"]
    assert {row_of(context, job.id)["worker_id"] for job in jobs} == {worker.id}
    for job in jobs:
        with context.database.write() as session:
            session.get_one(tables.Job, job.id).requested = "cancel"
        assert ended(context, job).state == "cancelled"


def test_a_job_starts_with_the_weights_of_a_model(context: Context, dataset: Dataset):
    first = ended(context, post(context, dataset, epochs=30))
    again = ended(context, post(context, dataset, epochs=1, seed=5, init_from=first.model_id))
    fresh = ended(context, post(context, dataset, epochs=1, seed=5))
    assert first.result and again.result and fresh.result  # noqa: PT018 -- all three, for the type checker
    assert again.result.loss < fresh.result.loss / 3


def test_a_job_that_cannot_start_with_what_it_names_says_why(context: Context, dataset: Dataset):
    first = ended(context, post(context, dataset, epochs=1))
    model_id = first.model_id
    job = post(context, dataset, priority=-1, epochs=1)
    assert model_id
    ended(context, job)
    with context.database.write() as session:
        session.add(_copy_with(session.get_one(tables.Job, job.id), init_from="model_" + "0" * 32))
    copy = "job_" + "f" * 32
    assert eventually(lambda: row_of(context, copy)["state"] == "failed"), history_of(context, copy)
    assert row_of(context, copy)["error"]["code"] == "cannot_init"


def _copy_with(job: tables.Job, **changes: Any) -> tables.Job:
    kept = {name: getattr(job, name) for name in ("dataset_id", "spec", "owner")}
    return tables.Training(id="job_" + "f" * 32, state="queued", **kept, **changes)
