"""From tables that have types already, as JSON, Parquet and arrays do, to the types of `values`."""

from __future__ import annotations

import polars as pl
from polars import selectors

from service.datasets import values
from service.datasets.limits import Limits, up_to
from service.datasets.reading import Reading
from service.datasets.spelling import Spelling
from service.datasets.unreadable import MOST_FAULTS, fault, unreadable
from service.problems import echo
from service.schemas import FieldError

_TIMES = selectors.date() | selectors.datetime()
_READABLE = selectors.numeric() | selectors.boolean() | selectors.string() | _TIMES
FIX = "numbers, texts, booleans or dates in every cell; nested values as columns of their own"


class Typed:
    """Brings the batches of one file to the types of `values`; texts stay texts unless the owner has named a kind."""

    def __init__(self, reading: Reading, limits: Limits) -> None:
        self._limits = limits
        self._kinds = dict(reading.kinds)
        self._order, self._comma = reading.dates, reading.decimal == "comma"
        self._spelling: Spelling | None = None
        self._fractional: set[str] = set()
        self._rows = 0

    def settled(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return `table` in our types; raises the `Problem` that names the columns which can't be."""
        check_names(table.columns, self._limits)
        table = table.with_columns(
            (selectors.categorical() | selectors.enum() | selectors.by_dtype(pl.Null)).cast(pl.String),
            selectors.decimal().cast(pl.Float64),
        )
        table = table.with_columns(_TIMES.cast(pl.Datetime("us")))
        if nested := table.select(~_READABLE).columns:
            faults = [_nested(table[name]) for name in nested[:MOST_FAULTS]]
            raise unreadable(*faults)
        strings = table.select(selectors.string())
        if strings.width:
            check_texts(strings, self._limits)
            table = values.replaced(table, values.texts(strings))
        self._spell(table)
        if self._spelling:
            named = [name for name in self._spelling.families if name in strings.columns]
            table = values.replaced(table, self._spelling.settled(table.select(named), self._rows)) if named else table
        table = values.numbers(table, self._rows, self._fractional)
        self._fractional |= {name for name, dtype in table.schema.items() if dtype == pl.Float64}
        self._rows += table.height
        return table

    def _spell(self, table: pl.DataFrame) -> None:
        if self._spelling is None and self._kinds:
            names = [name for name in self._kinds if name in table.columns]
            self._spelling = Spelling(names, self._kinds, self._order, self._comma)


def check_names(names: list[str], limits: Limits) -> None:
    """Raise for too many columns, and for those without a name."""
    if len(names) > limits.max_columns:
        allowed = up_to(limits.max_columns, "columns", "max_columns")
        raise unreadable(fault(len(names), f"there are {len(names)} columns", allowed))
    if any(not name.strip() for name in names):
        raise unreadable(fault("", "a column has no name", "a name for every column"))


def check_texts(strings: pl.DataFrame, limits: Limits) -> None:
    """Raise for texts that are too long, and for those with a NUL in them."""
    longest = strings.select(pl.all().str.len_bytes().max()).row(0, named=True)
    nul = strings.select(pl.all().str.contains("\0", literal=True).any()).row(0, named=True)
    for name in strings.columns:
        if (longest[name] or 0) > limits.max_cell_bytes:
            message = f"column {echo(name)!r} has a text of {longest[name]} bytes"
            allowed = up_to(limits.max_cell_bytes, "bytes a cell", "max_cell_bytes")
            raise unreadable(fault(longest[name], message, allowed))
        if nul[name]:
            message = f"column {echo(name)!r} has a text with a NUL, or half of a surrogate pair, in it"
            raise unreadable(fault("\\u0000", message, "texts of whole characters, without NUL"))


def _nested(column: pl.Series) -> FieldError:
    return fault(str(column.dtype), f"column {echo(column.name)!r} holds {column.dtype}", FIX)
