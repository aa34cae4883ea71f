"""What a cell may hold. Every column becomes one of Boolean, Int64, Float64, Datetime, String; null is a missing value.

- Blanks around a text are no part of it. The empty text, NA, N/A, NaN, nan and null are missing values.
- A column of texts is boolean if all its values are true or false (in any case), numeric if all are numbers, of dates
  if all are dates written in one way, else text.
- NaN is a missing value. Infinite numbers, and those beyond ±1e100, are refused: the sums of their squares may leave
  the range of float64, and there would be no standard deviation.
- Whole numbers are Int64 however they were written (181.0 is 181), so that they can be class labels.
- A column without any value is text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import polars as pl

from service.datasets.unreadable import MOST_FAULTS, fault, unreadable
from service.problems import echo
from service.schemas import FieldError

MISSING = ("", "NA", "N/A", "NaN", "nan", "null")
BLANKS = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What Unicode calls White_Space, as polars does; Python's own are four more."""
LARGEST = 1e100
BLOCK = 64
_EXACT = 2.0**53  # up to here every whole number is a float64


def texts(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table, its texts without blanks around them, and null for the spellings of a missing value.

    >>> texts(pl.DataFrame({"sex": [" male", "NA", None]}))["sex"].to_list()
    ['male', None, None]
    """
    bare = table.select(pl.col(pl.String).str.strip_chars())  # for itself: polars strips for each mention of it
    return replaced(table, bare.select(pl.when(~pl.all().is_in(MISSING)).then(pl.all())))


def text(cell: str) -> str | None:
    """Return one text as `texts` would have it: to make a query of a few cells takes far longer than to read them.

    >>> text(" male"), text("NA")
    ('male', None)
    """
    bare = cell.strip(BLANKS)
    return None if bare in MISSING else bare


def numbers(table: pl.DataFrame, first_row: int = 0, fractional: Collection[str] = ()) -> pl.DataFrame:
    """Return the numeric columns of `table` as Int64 where every number is whole, else as Float64 with null for NaN.

    Args:
        table: with columns of any type.
        first_row: how many rows come before these, for the message.
        fractional: columns that are known to have fractions elsewhere, and stay Float64.

    Raises the `Problem` that names, for each column, the first number which is infinite or beyond ±1e100.
    """
    others = {name: dtype for name, dtype in table.schema.items() if dtype.is_numeric() and dtype != pl.Int64}
    integers = _cast(table, [name for name, dtype in others.items() if dtype.is_integer()], pl.Int64)
    fitting = [column.name for column in integers if column.null_count() == table[column.name].null_count()]
    table = replaced(table, integers[:, fitting])
    left = [name for name in others if name not in fitting]
    if not left:
        return table
    unlike = [name for name in left if others[name] != pl.Float64]
    floats = replaced(table[:, left], _cast(table, unlike, pl.Float64))
    with_nan = [column.name for column in floats if math.isnan(column.sum())]
    if with_nan:
        floats = replaced(floats, floats[:, with_nan].select(pl.all().fill_nan(None)))
    beyond = (column for column in floats if any(abs(end or 0.0) > LARGEST for end in ends(column)))
    if faults := [_too_large(column, first_row) for column in beyond]:
        raise unreadable(*faults[:MOST_FAULTS])
    if unknown := [name for name in floats.columns if name not in fractional]:
        found = floats[:, unknown].select(((pl.all() == pl.all().floor()) & (pl.all().abs() <= _EXACT)).all())
        whole = [name for name, is_whole in found.row(0, named=True).items() if is_whole]
        floats = replaced(floats, floats[:, whole].select(pl.all().cast(pl.Int64)))
    return replaced(table, floats)


def _cast(table: pl.DataFrame, names: list[str], dtype: type[pl.DataType]) -> pl.DataFrame:
    """Return those columns in another type, null for what has no place there."""
    if not names:  # even a query of nothing takes time
        return table[:, names]
    return table[:, names].select(pl.all().cast(dtype, strict=False))


def ends(column: pl.Series) -> tuple[Any, Any]:
    """Return the least and the greatest value of a column, None where it has none; polars can't tell their type."""
    return column.min(), column.max()


def replaced(table: pl.DataFrame, columns: pl.DataFrame) -> pl.DataFrame:
    """Return the table with those of its columns that `columns` has taken from there, in the order they had.

    `DataFrame.with_columns` makes an expression of each, which takes a second where there are thousands.

    >>> replaced(pl.DataFrame({"a": [1], "b": [2]}), pl.DataFrame({"a": ["x"]})).rows()
    [('x', 2)]
    """
    if not columns.width:
        return table
    new = set(columns.columns)
    others = [name for name in table.columns if name not in new]
    return (
        pl.concat([table[:, others], columns], how="horizontal")[:, table.columns]
        if others
        else columns[:, table.columns]
    )


def _too_large(column: pl.Series, first_row: int) -> FieldError:
    row = (column.abs() > LARGEST).arg_true()[0]
    message = (
        f"column {echo(column.name)!r} has the number {column[row]} in row {first_row + row + 1} (counted from 1), "
        "which is infinite or too large to compute with"
    )
    allowed = f"numbers within ±{LARGEST:g}; leave the field empty, or write NaN, where there is no value"
    return fault(column[row], message, allowed)


def in_blocks(table: pl.DataFrame, settle: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """Return `settle(table)`, computed for a few columns at a time to bound the memory that it takes."""
    starts = range(0, table.width, BLOCK)
    return pl.concat([settle(table[:, start : start + BLOCK]) for start in starts], how="horizontal")
