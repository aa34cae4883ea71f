from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from service import tables
from service.context import Context
from tests.service.conftest import NewDatabase
from tests.service.history import files_below
from tests.service.live import live

MAX_BYTES = 3 * 2**20
MAX_COLUMNS = 20
LIMITS = {"max_upload_bytes": MAX_BYTES, "max_expanded_bytes": MAX_BYTES, "max_columns": MAX_COLUMNS}


@dataclass(frozen=True)
class App:
    """The application on a socket, and a look at what it keeps."""

    http: httpx.Client
    context: Context

    def post(
        self, body: Any, name: str | None = None, options: dict[str, Any] | None = None, **headers: str
    ) -> httpx.Response:
        params = (options or {}) | ({} if name is None else {"name": name})
        return self.http.post("/v1/datasets", content=body, params=params, headers=headers)

    def kept(self) -> tuple[set[str], set[str]]:
        """The ids in the table, and every file below the storage folder."""
        files = self.context.settings.data_dir / "files"
        with self.context.database.read() as session:
            ids = set(session.scalars(select(tables.Dataset.id)))
        return ids, files_below(files)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, new_database: NewDatabase) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("datasets")
    with new_database() as database, live(folder, **LIMITS, **database) as (http, context):
        yield App(http, context)
