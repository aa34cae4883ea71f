"""The columns whose texts are few different ones, again and again: read, kept and counted by their numbers.

polars finds a text's number as fast as it would keep the text, and refuses one that has none. What it has read by
number needs no look at blanks or at the words for a missing value, as no known text has any, and is a byte or two long.
"""

from __future__ import annotations

import polars as pl

from service.datasets import values
from service.datasets.counting import LONGEST_CLASS, MOST_CLASSES

ROWS_EACH = 16
"""Rows for each different text, at least; every part of a table that is kept has these texts once again."""


class Labels:
    """The texts of such columns. It is the first batch that tells: a column that has others later is read as text."""

    def __init__(self) -> None:
        self.types: dict[str, pl.Enum] = {}
        """Of the columns that are read by number."""
        self._met: set[str] = set()

    def learn(self, raw: pl.DataFrame, settled: pl.DataFrame) -> None:
        """Look at columns that were read as texts.

        Args:
            raw: the columns as they are spelt.
            settled: the same columns as values; what isn't text here has no labels.
        """
        for name, dtype in settled.schema.items():
            if name in self.types:
                if not raw[name].drop_nulls().is_in(self.types[name].categories).all():
                    del self.types[name]
            elif name not in self._met and dtype == pl.String and settled[name].null_count() < settled.height:
                self._met.add(name)
                if (found := _few(raw[name])) is not None:
                    self.types[name] = pl.Enum(found)


def _few(texts: pl.Series) -> pl.Series | None:
    """Return the different texts of a column, if they are labels; None if not."""
    found = texts.unique().drop_nulls().sort()
    if len(found) > min(MOST_CLASSES, len(texts) // ROWS_EACH):
        return None
    clean = all(values.text(each) == each and len(each.encode()) <= LONGEST_CLASS for each in found)
    return found if clean else None
