from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from service.client import Client
from service.examples import PENGUINS
from service.jobs.schemas import Job
from tests.service.postgresql import Server, programs
from tests.service.processes import PATIENCE, Serving, serving
from tests.service.workplace import INGESTION

NewDatabase = Callable[[], AbstractContextManager[dict[str, Any]]]


def pytest_sessionfinish() -> None:
    INGESTION.close()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A real `deltabar serve`, shared by the tests that leave it standing."""
    with serving(tmp_path_factory.mktemp("service")) as running:
        yield running
        assert running.stop() == 0, running.log.read_text()


@pytest.fixture(scope="session")
def client(service: Serving) -> Iterator[Client]:
    with Client(service.url, timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="session")
def penguins_job(client: Client) -> Job:
    """The default job on the penguins, trained by the shared service."""
    dataset = client.datasets.upload(PENGUINS)
    job = client.jobs.wait(client.jobs.create(dataset_id=dataset.id, target="species").id, timeout=PATIENCE)
    assert job.state == "succeeded", job.error
    return job


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server, which stays up."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed on this machine (Debian and Ubuntu: apt-get install postgresql)")
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def fragile() -> Iterator[Server]:
    """A PostgreSQL server that tests may stop."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed on this machine (Debian and Ubuntu: apt-get install postgresql)")
    server = Server()
    yield server
    server.close()


ON_BOTH = tuple(
    f"tests.service.{name}"
    for name in (
        "jobs.test_queue",
        "jobs.test_order",
        "jobs.test_lost_answers",
        "test_addresses",
        "test_db",
        "test_trouble",
    )
)
"""Where the tables are all that is tested; what else uses them runs on PostgreSQL by `make test-postgresql`."""
EVERYTHING_ON_BOTH = "TESTS_ON_BOTH" in os.environ


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    own = any("new_database" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "new_database" in metafunc.fixturenames and not own:
        both = EVERYTHING_ON_BOTH or metafunc.function.__module__.startswith(ON_BOTH)
        on = ["sqlite", "postgresql"] if both else ["sqlite"]
        metafunc.parametrize("new_database", on, indirect=True, scope="module")


@pytest.fixture(scope="module")
def new_database(request: pytest.FixtureRequest) -> NewDatabase:
    """For each database that we work with: yields the settings of a fresh one, `with new_database() as settings`."""
    if request.param == "sqlite":
        return lambda: nullcontext({})
    server: Server = request.getfixturevalue("postgresql")

    @contextmanager
    def settings_of_one() -> Iterator[dict[str, Any]]:
        with server.database() as url:
            yield {"database_url": url}

    return settings_of_one


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'deltabar.db'}"
    else:
        server: Server = request.getfixturevalue("postgresql")
        with server.database("template0") as url:
            yield url
