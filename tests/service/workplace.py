"""Tables and files of the service, without a server or a worker on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from sqlalchemy.engine import make_url

from service.context import Context
from service.datasets.ingestion import Ingestion
from service.datasets.schemas import Dataset
from service.datasets.service import upload as upload_bytes
from service.db import Database
from service.examples import PENGUINS
from service.jobs.request import JobRequest
from service.jobs.schemas import Job
from service.jobs.service import post_job
from service.settings import Settings
from service.storage import Storage

INGESTION = Ingestion()
"""Shared by the tests whose settings leave it as it is: its processes, once warm, read a file in milliseconds."""


@contextmanager
def workplace(data_dir: Path, **settings: Any) -> Iterator[Context]:
    """Make tables and files in `data_dir`, and yield what the service needs to work on them.

    The tables of another database than the folder's own are there already.
    """
    chosen = Settings(data_dir=data_dir, **settings)
    make_tables(chosen)
    database = Database(chosen.database_url)
    context = Context(chosen, database, Storage(data_dir / "files"), ingestion=ingestion_for(settings))
    try:
        yield context
    finally:
        if context.ingestion is not INGESTION:
            context.ingestion.close()
        database.close()


def make_tables(settings: Settings) -> None:
    """Put a file with the tables where SQLite's is to be, unless there is one."""
    path = Path(make_url(settings.database_url).database or "")
    if settings.database_url.startswith("sqlite:") and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    """Return a database file with this version's tables, which takes a while to make."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "migrated")
        database = Database(f"sqlite:///{path}")
        database.migrate()
        database.close()
        return path.read_bytes()


def ingestion_for(settings: dict[str, Any]) -> Ingestion:
    """Return the processes that read files: their own for those who have settings of it."""
    return Ingestion() if any(name.startswith("ingest") for name in settings) else INGESTION


def upload(context: Context, path: Path = PENGUINS) -> Dataset:
    """Store the table in the file `path`."""

    async def body() -> AsyncIterator[bytes]:
        yield path.read_bytes()

    async def send() -> Dataset:
        dataset, _ = await upload_bytes(context, path.name, body(), None)
        return dataset

    return anyio.run(send)


def post(context: Context, dataset: Dataset, target: str = "species", **spec: Any) -> Job:
    """Queue a job, on the CPU."""
    body = {"dataset_id": dataset.id, "target": target, "device": "cpu", **spec}
    job, _ = post_job(context, JobRequest.model_validate(body))
    return job
