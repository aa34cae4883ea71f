"""Some rows from all over a table that comes batch by batch, every row as likely as any other."""

from __future__ import annotations

import numpy as np
import polars as pl

from service.datasets.parts import aligned

MOST_ROWS = 100_000
MOST_CELLS = 10_000_000


class Sample:
    """Up to 100,000 rows, and up to ten million cells, in their order; the whole table where it has no more.

    Each row draws a number, and those with the smallest are kept (Vitter's reservoir, by keys).
    """

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._kept: list[tuple[np.ndarray, pl.DataFrame]] = []
        self._count, self._bound = 0, 1.0

    def add(self, table: pl.DataFrame) -> None:
        """Look at some rows, and keep their share of them."""
        most = max(1, min(MOST_ROWS, MOST_CELLS // table.width))
        keys = self._random.random(table.height)
        if self._count + np.count_nonzero(keys < self._bound) > 2 * most:
            self._shrink(most, keys)
        rows = np.flatnonzero(keys < self._bound)
        if len(rows):
            # A copy: the batch itself is to go.
            self._kept.append((keys[rows], table[rows]))
            self._count += len(rows)

    def table(self, schema: dict[str, pl.DataType]) -> pl.DataFrame:
        """Return the rows, with the columns of `schema`."""
        most = max(1, min(MOST_ROWS, MOST_CELLS // max(1, len(schema))))
        if self._count > most:
            self._shrink(most, np.empty(0))
        return pl.concat([aligned(table, schema) for _, table in self._kept]).rechunk()

    def _shrink(self, most: int, coming: np.ndarray) -> None:
        """Keep the rows that are among the `most` first of all, with those whose keys are `coming`."""
        self._bound = float(np.partition(np.concatenate([coming, *(keys for keys, _ in self._kept)]), most)[most])
        kept = [(keys[keys < self._bound], table.filter(keys < self._bound)) for keys, table in self._kept]
        self._kept = [(keys, table) for keys, table in kept if len(keys)]
        self._count = sum(len(keys) for keys, _ in self._kept)
