"""Records of a CSV file, split into fields by polars, which makes them values of given types or refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from service.datasets import values
from service.datasets.csv_dialect import Dialect
from service.datasets.csv_scan import Records


@dataclass(frozen=True)
class How:
    """How polars is to read some records.

    Attributes:
        types: of the columns.
        words: whether values may be missing in words, as in NA; polars looks for these in all fields.
    """

    types: Mapping[str, pl.DataType | type[pl.DataType]]
    words: bool = False


@dataclass(frozen=True)
class Guess:
    """Some records, and what polars made of them; None where it refused, or where it wasn't known how to read them."""

    records: Records
    how: How | None
    table: pl.DataFrame | None


def guess(records: Records, how: How | None, dialect: Dialect) -> Guess:
    """Return the records, read in this way, if there is one."""
    return Guess(records, how, None if how is None else attempt(records, how, dialect))


def attempt(records: Records, how: How, dialect: Dialect) -> pl.DataFrame | None:
    """Return what `split` does, None where polars refuses."""
    try:
        return split(records, how, dialect)
    except pl.exceptions.PolarsError:
        return None


def split(records: Records, how: How, dialect: Dialect, rows: int | None = None) -> pl.DataFrame:
    """Return the fields of the records, or of the first `rows`; raises `PolarsError` for what isn't of its type."""
    quoted = dialect.quote is not None and dialect.quote.encode() in records.text
    table = pl.read_csv(
        records.text,
        has_header=False,
        schema=how.types,
        n_rows=rows,
        separator=dialect.delimiter,
        quote_char=dialect.quote if quoted else None,  # to look for quotes takes time
        decimal_comma=dialect.decimal_comma,
        null_values=list(values.MISSING) if how.words else None,
    )
    return table.rechunk()  # all that comes after takes less time then
