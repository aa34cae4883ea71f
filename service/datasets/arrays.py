"""Columns of a table as NumPy arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

FEW = 64
"""Values that are looked up one by one: polars' own ways hand over to its threads, which a busy machine lets wait."""


def floats(column: pl.Series) -> np.ndarray:
    """Return the numbers of a column, (n_samples,) float64; NaN where they are missing."""
    return column.cast(pl.Float64).to_numpy()


def rows_of(table: pl.DataFrame, rows: np.ndarray) -> pl.DataFrame:
    """Return some rows of a table, by their different indices in ascending order, (n,) int.

    >>> rows_of(pl.DataFrame({"a": [7, 8, 9]}), np.array([0, 2]))["a"].to_list()
    [7, 9]
    """
    return table if len(rows) == len(table) else table[rows]  # polars would copy all of them, in its other threads


def index_of(column: pl.Series, among: Sequence[str | None]) -> np.ndarray:
    """Return where each text of a column stands in `among`, (n_samples,) int64; −1 for one that doesn't.

    >>> index_of(pl.Series(["b", None, "z"]), ["a", "b", None]).tolist()
    [1, 2, -1]
    """
    if len(column) <= FEW:
        places = {text: place for place, text in enumerate(among)}
        return np.array([places.get(text, -1) for text in column.to_list()], np.int64)
    known = [text for text in among if text is not None]
    codes = column.cast(pl.Enum(known), strict=False).to_physical()
    index = np.nan_to_num(codes.cast(pl.Float64).to_numpy(), nan=-1).astype(np.int64)
    if None in among and column.null_count():
        index[column.is_null().to_numpy()] = among.index(None)
    return index
