"""The methods below `client.datasets`: tables to learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from service.client.files import saved
from service.client.methods import Resource, T, method
from service.client.steps import Ask, Steps
from service.client.tables import upload_of
from service.datasets.schemas import ChosenKind, Dataset, Preview
from service.schemas import Page

if TYPE_CHECKING:
    from service.client.tables import Table

UPLOAD_TIMEOUT = 600.0


class Reading(TypedDict, total=False):
    """How the bytes of a file are to be read where "auto" doesn't find it out; most of it is about CSV."""

    format: Literal["auto", "csv", "parquet", "jsonl", "json", "npy", "npz"]
    delimiter: Literal["auto", "comma", "semicolon", "tab", "pipe"]
    quote: Literal["double", "single", "none"]
    header: Literal["auto", "yes", "no"]
    encoding: Literal["auto", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"]
    decimal: Literal["auto", "point", "comma"]
    dates: Literal["auto", "ymd", "dmy", "mdy"]


class Datasets(Resource[T]):
    """Tables to learn from."""

    @method
    def upload(
        self,
        table: Table,
        name: str | None = None,
        *,
        kinds: Mapping[str, ChosenKind] | None = None,
        progress: Callable[[int, int], None] | None = None,
        **reading: Unpack[Reading],
    ) -> Steps[Dataset]:
        """Send a table in pieces; bytes that the service has already give the data set that it has.

        Args:
            table: the path of a file; a frame of pandas (whose index is left out) or polars; an array; or a pair of
                arrays (x, y).
            name: what to call it; the file's own name where not given.
            kinds: what columns are to count as, such as `{"zip": "categorical"}`.
            progress: called with the bytes sent so far and how many there are.
            reading: how the file is to be read, such as `delimiter="semicolon"`.
        """
        said = [f"{column}:{kind}" for column, kind in (kinds or {}).items()]
        with upload_of(table) as upload:
            answer = yield Ask(
                "POST",
                "/v1/datasets",
                params={"name": name or upload.name, "kind": said, **reading},
                content=upload.pieces(progress),
                headers={"Content-Length": str(upload.size)},
                wait=UPLOAD_TIMEOUT,
            )
        return Dataset.model_validate_json(answer.content)

    @method
    def get(self, dataset_id: str) -> Steps[Dataset]:
        """Return a data set: its columns, and what their values are like."""
        answer = yield Ask("GET", f"/v1/datasets/{dataset_id}")
        return Dataset.model_validate_json(answer.content)

    @method
    def preview(self, dataset_id: str, rows: int = 10) -> Steps[Preview]:
        """Return the first rows of a data set."""
        answer = yield Ask("GET", f"/v1/datasets/{dataset_id}/preview", params={"rows": rows})
        return Preview.model_validate_json(answer.content)

    @method
    def download(self, dataset_id: str, path: str | Path) -> Steps[Path]:
        """Write the bytes as they were uploaded to `path`; nothing stands there until they are complete."""
        return (yield from saved(f"/v1/datasets/{dataset_id}/content", Path(path)))

    @method
    def delete(self, dataset_id: str) -> Steps[None]:
        """Delete a data set that no queued or running job uses."""
        yield Ask("DELETE", f"/v1/datasets/{dataset_id}")

    @method
    def list(self, limit: int = 20, after: str | None = None) -> Steps[Page[Dataset]]:
        """Return data sets, newest first; `after` goes on from an id."""
        params: dict[str, Any] = {"limit": limit, "after": after}
        answer = yield Ask("GET", "/v1/datasets", params=params)
        return Page[Dataset].model_validate_json(answer.content)
