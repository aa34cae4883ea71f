"""Reads an uploaded file once, in bounded memory: checks it, writes it as a table, and says what its columns are like.

The web process lets a process of its own do it: `ingestion` starts this module, and sends it one request a line.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel

from service.datasets import remarks
from service.datasets.ahead import ahead
from service.datasets.counting import Statistics
from service.datasets.limits import Limits
from service.datasets.parts import Parts
from service.datasets.readers import source
from service.datasets.reading import Reading
from service.datasets.sampling import Sample
from service.datasets.schemas import Column, Format, Remark
from service.datasets.sniffing import format_of
from service.datasets.summary import summaries
from service.datasets.unreadable import fault, unreadable
from service.problems import Problem

SPENDING = (MemoryError, pl.exceptions.PanicException)


class Request(BaseModel):
    """What to read, where to write its table, how, and within which limits."""

    path: Path
    folder: Path
    reading: Reading
    limits: Limits


class Table(BaseModel):
    """What was read."""

    format: Format
    rows: int
    columns: list[Column]
    options: dict[str, Any]
    warnings: list[Remark]


def ingest(request: Request) -> Table:
    """Write the file as a table into the new folder, and return what it is like.

    Raises:
        Problem: 422 `unreadable_dataset` or 413 `expands_too_far`, with all that is wrong; the folder may be there.
    """
    try:
        return _ingest(request)
    except MemoryError as error:
        allowed = "a file that takes up to the setting DELTABAR_INGEST_MEMORY_BYTES"
        raise unreadable(fault(None, "reading it takes too much memory", allowed)) from error
    except pl.exceptions.PanicException as error:  # a bug of polars that a damaged file has found
        reason = str(error).partition("\n")[0]
        raise unreadable(fault(None, f"the file is damaged ({reason})", "a whole file")) from error


def _ingest(request: Request) -> Table:
    reading, limits = request.reading, request.limits
    format = format_of(request.path, limits, reading.format)
    file = source(request.path, format, reading, limits)
    parts, statistics, sample = _read(file, request.folder, limits)
    if file.belied:
        parts, statistics, sample = _read(file, request.folder, limits)
    if parts.rows == 0:
        raise unreadable(fault(None, "there is no row", "at least one row"))
    schema = parts.schema()
    if unknown := sorted(reading.kinds.keys() - schema.keys()):
        allowed = f"one of: {', '.join(schema)}"
        raise unreadable(*(fault(name, "there is no such column to give a kind to", allowed) for name in unknown[:10]))
    rows = sample.table(schema)
    parts.close(rows)
    columns = summaries(statistics, rows, schema, reading.kinds)
    return Table(
        format=format,
        rows=parts.rows,
        columns=columns,
        options=reading.model_dump(exclude={"format"}, exclude_defaults=True) | file.found,
        warnings=remarks.of_table(columns, parts.rows, rows),
    )


def _read(file: Any, folder: Path, limits: Limits) -> tuple[Parts, Statistics, Sample]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    parts, statistics, sample = Parts(folder, limits), Statistics(), Sample()
    # A file that is belied is read to its end all the same, for the rest of what is wrong with it.
    with ahead(file.batches()) as batches, ahead(_kept(batches, file, parts)) as kept:
        for table in kept:
            statistics.add(table)
            sample.add(table)
    return parts, statistics, sample


def _kept(tables: Iterable[pl.DataFrame], file: Any, parts: Parts) -> Iterator[pl.DataFrame]:
    for table in tables:
        if not file.belied:
            parts.add(table)
            yield table


def main() -> None:
    """Answer requests, one JSON document a line, until standard input ends; the argument is the memory, in bytes."""
    most = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")  # whatever a library prints is no answer
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        print(json.dumps(_answer(line)), file=answers, flush=True)


def _answer(line: str) -> dict[str, Any]:
    """Return the table or the problem, and whether this process is `spent`: what it met may have left something behind.

    A file that is merely wrong leaves nothing, and as many of those may come as somebody likes to send.
    """
    try:
        return {"table": ingest(Request.model_validate_json(line)).model_dump(mode="json"), "spent": False}
    except Problem as problem:
        spent = problem.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or isinstance(problem.__cause__, SPENDING)
        return {"problem": problem.document(), "spent": spent}


if __name__ == "__main__":
    main()
