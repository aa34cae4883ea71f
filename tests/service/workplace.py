"""Tables and files of the service, without a server or a worker on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio

from service.context import Context
from service.datasets.schemas import Dataset
from service.datasets.service import upload as upload_bytes
from service.db import Database
from service.jobs.request import JobRequest
from service.jobs.schemas import Job
from service.jobs.service import post_job
from service.settings import Settings
from service.storage import Storage

PENGUINS = Path(__file__).parents[1] / "data" / "penguins.csv"


@contextmanager
def workplace(data_dir: Path, **settings: Any) -> Iterator[Context]:
    """Make tables and files in `data_dir`, and yield what the service needs to work on them."""
    chosen = Settings(data_dir=data_dir, **settings)
    database = Database(chosen.database_url)
    database.migrate()
    context = Context(chosen, database, Storage(data_dir / "files"))
    try:
        yield context
    finally:
        context.ingestion.close()
        database.close()


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
    return post_job(
        context, JobRequest.model_validate({"dataset_id": dataset.id, "target": target, "device": "cpu", **spec})
    )
