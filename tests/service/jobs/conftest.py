from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.context import Context
from service.datasets.schemas import Dataset
from service.jobs.schemas import Job
from tests.service.conftest import NewDatabase
from tests.service.workplace import post, upload, workplace


@pytest.fixture
def context(tmp_path: Path, new_database: NewDatabase) -> Iterator[Context]:
    """Fresh tables and files, with nothing running on them."""
    with new_database() as database, workplace(tmp_path, **database) as context:
        yield context


@pytest.fixture
def dataset(context: Context) -> Dataset:
    """The penguins."""
    return upload(context)


@pytest.fixture
def job(context: Context, dataset: Dataset) -> Job:
    """A queued job."""
    return post(context, dataset)
