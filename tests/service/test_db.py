"""The databases: their shape, and who may write when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, select

from service.db import Database
from service.settings import Settings
from service.tables import Base, Event, Job, Training
from tests.service.conftest import NewDatabase


@pytest.fixture
def database(tmp_path: Path, new_database: NewDatabase) -> Iterator[Database]:
    with new_database() as settings:
        database = Database(Settings(data_dir=tmp_path / "new", **settings).database_url)
        database.migrate()
        yield database
        database.close()


def test_migrations_give_the_tables_that_the_code_has(empty: str):
    database = Database(empty)
    database.migrate()
    database.migrate()  # again, which changes nothing
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _can_be_compared})
        assert compare_metadata(context, Base.metadata) == []
    database.close()


def _can_be_compared(_thing: object, name: str | None, *_: object) -> bool:
    # SQLite doesn't tell Alembic that an index descends; `test_order` shows that this one does what it is for.
    return name != "ix_jobs_queue"


def test_processes_may_migrate_at_once(empty: str):
    databases = [Database(empty) for _ in range(4)]
    errors: list[Exception] = []

    def migrate(database: Database) -> None:
        try:
            database.migrate()
        except Exception as error:
            errors.append(error)

    threads = [Thread(target=migrate, args=[database]) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in databases:
        database.close()
    assert errors == []


def test_an_exception_rolls_back(database: Database):
    def write_and_fail() -> None:
        with database.write() as session:
            session.add(Event(job_id="job_1", sequence=1, kind="log", data={}))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Event)) == 0


def test_what_a_writer_has_read_for_update_no_other_writer_changes(database: Database):
    """Ten threads read a number and write one more: none is lost."""
    with database.write() as session:
        session.add(Training(id="job_1", owner="ann", dataset_id="ds_1", spec={}))

    def add_one() -> None:
        with database.write() as session:
            job = session.get_one(Job, "job_1", with_for_update=True)
            job.epochs_done += 1

    threads = [Thread(target=add_one) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.get_one(Job, "job_1").epochs_done == 10


def test_a_reader_sees_one_moment(database: Database):
    with database.read() as session:
        assert session.get(Job, "job_1") is None
        with database.write() as writing:
            writing.add(Training(id="job_1", owner="ann", dataset_id="ds_1", spec={}))
        assert session.get(Job, "job_1") is None
    with database.read() as session:
        assert session.get(Job, "job_1") is not None
