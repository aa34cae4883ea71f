"""Parquet, read by polars batch by batch. What the file claims to hold is checked before any of it is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from service.datasets.expanding import check_expansion
from service.datasets.limits import Limits, up_to
from service.datasets.reading import Reading
from service.datasets.typed import Typed, check_names
from service.datasets.unreadable import fault, unreadable
from service.problems import Problem

CELLS = 2**21
"""Of a batch: 16 MiB of numbers."""


class ParquetFile:
    """A Parquet file."""

    belied = False

    def __init__(self, path: Path, reading: Reading, limits: Limits) -> None:
        self._path, self._reading, self._limits = path, reading, limits
        self.found: dict[str, str] = {}

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield the rows, typed; raises the `Problem` that says what is wrong."""
        try:
            scan = pl.scan_parquet(self._path, glob=False, low_memory=True)
            names = scan.collect_schema().names()
            check_names(names, self._limits)
            rows = scan.select(pl.len()).collect().item()
            if rows > self._limits.max_rows:
                allowed = up_to(self._limits.max_rows, "rows", "max_rows")
                raise unreadable(fault(rows, f"there are {rows} rows", allowed))
            # A number takes 8 bytes in a table, whatever its encoding has made of it.
            check_expansion(8 * rows * len(names), self._path.stat().st_size, self._limits)
            typed, size = Typed(self._reading, self._limits), max(1, CELLS // max(1, len(names)))
            for batch in scan.collect_batches(chunk_size=size, maintain_order=True):
                for start in range(0, batch.height, size):
                    yield typed.settled(batch[start : start + size])
        except Problem:
            raise
        except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as error:
            message = f"the Parquet file is damaged or cut off ({str(error).partition(chr(10))[0]})"
            raise unreadable(fault(None, message, "a file as written by polars, pandas or Arrow")) from error
