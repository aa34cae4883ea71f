"""The columns whose texts are few different ones, again and again: read, kept and counted by their numbers.

polars finds a text's number as fast as it would keep the text, and refuses one that has none. What it has read by number
needs no look at blanks or at the words for a missing value, as no known text has any; and takes a byte or two a row.
"""

from __future__ import annotations

import polars as pl

from service.datasets import values

MOST = 1000
ROWS_EACH = 16
"""Rows for each different text, at least; every part of a table that is kept has these texts once again."""
LONGEST = 1000
"""Bytes."""


class Labels:
    """The texts of such columns. It is the first batch that tells: a column that has others later is read as text."""

    def __init__(self) -> None:
        self.types: dict[str, pl.Enum] = {}
        """Of the columns that are read by number."""
        self._met: set[str] = set()

    def learn(self, raw: pl.DataFrame, settled: pl.DataFrame) -> None:
        """Look at columns as they are spelt and as values, after polars has refused to read them by number.

        Args:
            raw: all columns, as texts or as labels.
            settled: the same rows; only what is text here is looked at.
        """
        for name, dtype in settled.schema.items():
            if dtype != pl.String or settled[name].null_count() == settled.height:
                continue
            if name not in self._met:
                if (found := _few(raw[name])) is not None:
                    self.types[name] = pl.Enum(found)
            elif (known := self.types.get(name)) is not None and not raw[name].drop_nulls().is_in(known.categories).all():
                del self.types[name]
            self._met.add(name)


def _few(texts: pl.Series) -> pl.Series | None:
    """Return the different texts of a column, if they are labels; None if not."""
    found = texts.unique().drop_nulls().sort()
    few = len(found) <= min(MOST, len(texts) // ROWS_EACH)
    return found if few and all(values.text(each) == each and len(each.encode()) <= LONGEST for each in found) else None
