"""From a file in any format to batches of rows, whose columns are Boolean, Int64, Float64, Datetime or String."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import polars as pl

from service.datasets import parts
from service.datasets.csv_file import CsvFile
from service.datasets.json_file import JsonFile
from service.datasets.limits import Limits
from service.datasets.npy_file import NpyFile
from service.datasets.npz_file import NpzFile
from service.datasets.parquet_file import ParquetFile
from service.datasets.reading import Reading
from service.datasets.schemas import Format
from service.datasets.sniffing import format_of
from service.settings import Settings


class Source(Protocol):
    """A file that is read batch by batch, in bounded memory."""

    found: dict[str, str]
    """What "auto" became, once the first batch is there."""

    @property
    def belied(self) -> bool:
        """Whether the batches are worth nothing, and `batches` has to be asked for once more."""
        ...

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield the rows; raises the `Problem` that says what is wrong, where it is, and what is allowed."""
        ...


def source(path: Path, format: Format, reading: Reading, limits: Limits) -> Source:
    """Return the file `path`, in `format`, ready to be read."""
    match format:
        case "csv":
            return CsvFile(path, reading, limits)
        case "jsonl" | "json":
            return JsonFile(path, reading, limits, records=format == "json")
        case "parquet":
            return ParquetFile(path, reading, limits)
        case "npy":
            return NpyFile(path, reading, limits)
        case "npz":
            return NpzFile(path, reading, limits)


def read_table(path: Path, format: Format | None = None, reading: Reading | None = None) -> pl.DataFrame:
    """Return a table: the one in the folder `path`, which was read before, or the one in the file `path`, whole.

    Args:
        path: a folder that `ingest` has written, or a file.
        format: of the file; told by its bytes where it isn't given.
        reading: how a file is to be read.

    Raises:
        Problem: what is wrong with the file.
    """
    if path.is_dir():
        return parts.read_table(path)
    reading, limits = reading or Reading(), Limits.of(Settings())
    file = source(path, format or format_of(path, limits, reading.format), reading, limits)
    batches = list(file.batches())
    if file.belied:
        batches = list(file.batches())
    types = parts.Types()
    for batch in batches:
        types.add(batch)
    return pl.concat([parts.aligned(batch, types.schema()) for batch in batches])
