"""What lists show of a job's curve: a few points of it, the first and the last among them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service import tables
from service.caller import Caller
from service.context import Context
from service.db import Database
from service.ids import new_id
from service.jobs.epochs import pack
from service.jobs.glance import POINTS, glances
from service.settings import Settings
from service.storage import Storage
from tests.service.conftest import NewDatabase


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory, new_database: NewDatabase) -> Iterator[Context]:
    folder = tmp_path_factory.mktemp("glances")
    with new_database() as chosen:
        settings = Settings(data_dir=folder, **chosen)
        database = Database(settings.database_url)
        database.migrate()
        yield Context(settings, database, Storage(folder / "files"))
        database.close()


def add(context: Context, events: list[tuple[str, list[float]]]) -> str:
    """Add a job whose events are of these kinds, and tell of epochs with these losses."""
    job_id, epoch = new_id("job"), 0
    with context.database.write() as session:
        session.add(
            tables.Training(id=job_id, owner="ann", dataset_id=new_id("ds"), spec={"epochs": 1}, last_event=len(events))
        )
        for sequence, (kind, losses) in enumerate(events, 1):
            records = [{"epoch": epoch + k, "loss": loss, "validation_loss": None} for k, loss in enumerate(losses, 1)]
            epoch += len(losses)
            packed = {"data": records[-1], "epochs": pack(records)} if records else {"data": {"state": "running"}}
            session.add(tables.Event(job_id=job_id, sequence=sequence, kind=kind, **packed))
    return job_id


def test_a_long_curve_is_told_in_a_few_points(context: Context):
    job = add(context, [("state", []), *(("metrics", [1.0 / k]) for k in range(1, 1001)), ("state", [])])
    glance = glances(context, [job])[job]
    assert POINTS // 2 < len(glance.losses) <= POINTS + 4
    assert glance.losses == sorted(glance.losses, reverse=True)  # type: ignore[type-var]
    assert glance.losses[-1] == glance.last["loss"] == 1 / 1000
    assert set(glance.validation_losses) == {None}


def test_of_a_short_job_the_epochs_within_its_events_are_looked_at(context: Context):
    job = add(context, [("state", []), ("metrics", [4.0, 3.0, 2.0]), ("metrics", [1.5, 1.0]), ("state", [])])
    glance = glances(context, [job])[job]
    assert glance.losses == [4.0, 3.0, 2.0, 1.5, 1.0]
    assert glance.last["epoch"] == 5


def test_a_job_without_epochs_and_one_that_is_not_there(context: Context):
    job = add(context, [("state", [])])
    nobody = new_id("job")
    found = glances(context, [job, nobody])
    assert found[job].losses == []
    assert nobody not in found
    assert glances(context.of(Caller("bob", frozenset())), [job]) == {}
