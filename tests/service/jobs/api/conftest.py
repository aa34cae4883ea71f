from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from service.context import Context
from service.jobs import held, queue
from service.jobs.queue import Lease
from tests.service.conftest import NewDatabase
from tests.service.jobs.api.asking import post
from tests.service.live import live
from tests.service.workplace import PENGUINS


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, new_database: NewDatabase) -> Iterator[tuple[httpx.Client, Context]]:
    folder = tmp_path_factory.mktemp("jobs")
    with new_database() as database, live(folder, poll_seconds=0.02, **database) as running:
        yield running


@pytest.fixture(scope="module")
def http(app: tuple[httpx.Client, Context]) -> httpx.Client:
    return app[0]


@pytest.fixture(scope="module")
def context(app: tuple[httpx.Client, Context]) -> Context:
    return app[1]


@pytest.fixture(scope="module")
def dataset_id(http: httpx.Client) -> str:
    return http.post("/v1/datasets", params={"name": "penguins"}, content=PENGUINS.read_bytes()).json()["id"]


@pytest.fixture(autouse=True)
def empty_queue(context: Context) -> Iterator[None]:
    yield
    while lease := queue.claim(context.database, lease_seconds=30):
        held.cancel(context.database, lease)


@pytest.fixture
def job_id(http: httpx.Client, dataset_id: str) -> str:
    return post(http, dataset_id)["id"]


@pytest.fixture
def lease(context: Context, job_id: str) -> Lease:
    """The job in the hands of a worker, which is the test."""
    lease = queue.claim(context.database, lease_seconds=30)
    assert lease is not None
    assert lease.job_id == job_id
    return lease
