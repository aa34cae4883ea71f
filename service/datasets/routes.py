"""Routes below /v1/datasets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response, status
from pydantic import Field

from service.context import ReadContext, WriteContext
from service.datasets import service
from service.datasets.expanding import GZIP, ZSTD
from service.datasets.limits import up_to
from service.datasets.reading import MOST_KINDS, Options, Reading, kinds_of
from service.datasets.schemas import Dataset, Format, Preview
from service.download import Download
from service.pages import After, Limit, page
from service.problems import RESPONSES, Problem, echo
from service.schemas import FieldError, Page

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], responses=RESPONSES)

PACKED, SUFFIXES = {GZIP: "gzip", ZSTD: "zstd"}, {"gzip": ".gz", "zstd": ".zst"}
BINARY = "application/octet-stream"
MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv",
    "jsonl": "application/x-ndjson",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "npy": BINARY,
    "npz": BINARY,
}
_ANY = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in dict.fromkeys(MEDIA_TYPES.values())}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "The file's bytes: CSV, JSON lines or JSON records (plain, gzip or zstd), Parquet, NPY or NPZ",
        "content": _ANY,
    }
}
_KNOWN: dict[int | str, dict[str, Any]] = {
    200: {"model": Dataset, "description": "The service has these bytes, read in this way, already"}
}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"content": _ANY, "description": "The bytes as uploaded"},
    206: {"content": _ANY, "description": "The range of the bytes that was asked for"},
}
Rows = Annotated[int, Query(ge=1, le=1000, description="How many rows to return")]


class Upload(Options):
    """What goes with the bytes of a data set."""

    name: Annotated[str, Field(min_length=1, max_length=200, description="What people are to call it")] = "untitled"
    kind: list[str] = Field(
        default=[],
        max_length=MOST_KINDS,
        description="<column>:<kind>, as often as there are columns to say it of; the kinds are numeric, categorical, "
        "boolean, date, text, identifier. A column of texts stays as it is written: 007 isn't 7",
    )


@router.post("", status_code=status.HTTP_201_CREATED, openapi_extra=_BODY, responses=_KNOWN)
async def post_dataset(
    context: WriteContext, request: Request, response: Response, asked: Annotated[Upload, Query()]
) -> Dataset:
    """Upload a table as the raw body: CSV, JSON, Parquet, NPY (one array) or NPZ (arrays x and y).

    In texts an empty field, NA, N/A, NaN, nan and null are missing values; so is NaN among numbers. The same bytes,
    with the same options, give the same data set, with 200 instead of 201.
    """
    if (given := request.headers.get("content-type", "")).startswith("multipart/"):
        raise _multipart(given)
    announced = request.headers.get("content-length", "")
    size = int(announced) if announced.isdecimal() else None
    options = asked.model_dump(exclude={"name", "kind"})
    reading = Reading(**options, kinds=kinds_of(asked.kind))
    dataset, new = await service.upload(context, asked.name, request.stream(), size, reading)
    response.status_code = status.HTTP_201_CREATED if new else status.HTTP_200_OK
    response.headers["Location"] = f"/v1/datasets/{dataset.id}"
    return dataset


@router.get("")
def list_datasets(context: ReadContext, limit: Limit = 20, after: After = None) -> Page[Dataset]:
    """List the data sets, newest first."""
    return page(*service.list_datasets(context, limit, after))


@router.get("/{dataset_id}")
def get_dataset(context: ReadContext, dataset_id: str) -> Dataset:
    """Return one data set: its columns, and what their values are like."""
    return service.get_dataset(context, dataset_id)


@router.get("/{dataset_id}/preview")
def preview_dataset(context: ReadContext, dataset_id: str, rows: Rows = 10) -> Preview:
    """Return the first rows."""
    return service.preview(context, dataset_id, rows)


@router.get("/{dataset_id}/content", response_class=Download, responses=_CONTENT)
def get_content(
    context: ReadContext,
    dataset_id: str,
    range: Annotated[str, Header(description="Which bytes to return; up to 16 ranges, or what is set")] = "",
) -> Download:
    """Download the bytes as uploaded."""
    if range.count(",") >= (most := context.settings.max_ranges):
        raise _too_many_ranges(range, most)
    path, format, sha256 = service.content(context, dataset_id)
    with path.open("rb") as file:
        start = file.read(4)
    packed = next((name for magic, name in PACKED.items() if start.startswith(magic)), None)
    media_type = f"application/{packed}" if packed else MEDIA_TYPES[format]
    name = f"{dataset_id}.{format}{SUFFIXES[packed] if packed else ''}"
    return Download(path, media_type=media_type, filename=name, headers={"ETag": f'"{sha256}"'})


@router.delete("/{dataset_id}", status_code=status.HTTP_204_NO_CONTENT)
def delete_dataset(context: WriteContext, dataset_id: str) -> None:
    """Delete a data set that no queued or running job uses; models trained on it stay."""
    service.delete_dataset(context, dataset_id)


def _multipart(given: str) -> Problem:
    message = "the body is a form with a file in it, not the file"
    error = FieldError(field="header.content-type", value=given, message=message, allowed="the file's bytes alone")
    detail = "Send the file itself as the body: curl -T data.csv …, rather than -F file=@data.csv."
    return Problem(415, "unsupported_media_type", detail, [error])


def _too_many_ranges(given: str, most: int) -> Problem:
    message = f"{given.count(',') + 1} ranges are asked for"
    error = FieldError(
        field="header.range", value=echo(given), message=message, allowed=up_to(most, "ranges", "max_ranges")
    )
    detail = f"Ask for up to {most} ranges of the bytes at a time, or for all of them."
    return Problem(416, "too_many_ranges", detail, [error])
