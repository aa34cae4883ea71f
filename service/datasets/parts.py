"""The table of a data set as a folder of Arrow files, which are read as fast as the disk gives them.

Each part has the rows of one batch as they came; `schema.json` says what the columns are in the end: a part may have
whole numbers where another has fractions, or nothing at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl

from service.datasets.limits import Limits, up_to
from service.datasets.unreadable import fault, unreadable

SCHEMA, SAMPLE = "schema.json", "sample.arrow"
MOST_ROWS, MOST_CELLS = 10_000, 1_000_000
"""Of the rows that are kept aside, for whoever wants to look at some."""
TYPES: dict[str, pl.DataType] = {
    "Boolean": pl.Boolean(),
    "Int64": pl.Int64(),
    "Float64": pl.Float64(),
    "Datetime": pl.Datetime("us"),
    "String": pl.String(),
}
_NAMES = {dtype: name for name, dtype in TYPES.items()}


class Types:
    """What the columns of a table are, of all the batches that were shown."""

    def __init__(self) -> None:
        self._seen: dict[str, set[pl.DataType]] = {}

    def add(self, table: pl.DataFrame) -> None:
        """Look at some rows."""
        for name, dtype in table.schema.items():
            seen = self._seen.setdefault(name, set())
            value = TYPES["String"] if dtype == pl.Enum else dtype
            if value not in seen and table[name].null_count() < table.height:
                seen.add(value)

    def __len__(self) -> int:
        return len(self._seen)

    def schema(self) -> dict[str, pl.DataType]:
        """Return the type in which all values of a column have their place; text where there is no value."""
        return {name: _common(seen) for name, seen in self._seen.items()}


class Parts:
    """Writes a table, batch by batch, into the folder, which must be there."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder, self._limits = folder, limits
        self._types = Types()
        self._size = 0
        self.rows = 0
        self.count = 0

    def add(self, table: pl.DataFrame) -> None:
        """Write some rows; raises `Problem` when the table gets too large."""
        self.rows += table.height
        if self.rows > self._limits.max_rows:
            message = f"there are {self.rows} rows and more"
            raise unreadable(fault(self.rows, message, up_to(self._limits.max_rows, "rows", "max_rows")))
        self._types.add(table)
        if len(self._types) > self._limits.max_columns:
            message = f"there are {len(self._types)} columns and more"
            allowed = up_to(self._limits.max_columns, "columns", "max_columns")
            raise unreadable(fault(len(self._types), message, allowed))
        path = self._folder / _name(self.count)
        table.write_ipc(path, compression="uncompressed")
        self._size += path.stat().st_size
        if self._size > self._limits.max_table_bytes:
            allowed = up_to(self._limits.max_table_bytes, "bytes", "max_table_bytes")
            message = "the table is too large once it is unpacked"
            raise unreadable(fault(None, message, allowed), code="expands_too_far")
        self.count += 1

    def schema(self) -> dict[str, pl.DataType]:
        """Return what the columns are, of all that was added."""
        return self._types.schema()

    def close(self, sample: pl.DataFrame) -> None:
        """Complete the folder, with a few of the `sample`'s rows in a file of their own."""
        few = min(sample.height, MOST_ROWS, max(1, MOST_CELLS // sample.width))
        columns = [[name, _NAMES[dtype]] for name, dtype in self.schema().items()]
        document = {"rows": self.rows, "parts": self.count, "columns": columns}
        (self._folder / SCHEMA).write_text(json.dumps(document), encoding="utf-8")
        sample.sample(few, seed=0).write_ipc(self._folder / SAMPLE, compression="uncompressed")


def _common(types: set[pl.DataType]) -> pl.DataType:
    if len(types) == 1:
        return next(iter(types))
    return TYPES["Float64"] if types == {TYPES["Int64"], TYPES["Float64"]} else TYPES["String"]


def _name(number: int) -> str:
    return f"{number:06d}.arrow"


def aligned(table: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """Return the columns of `schema`, in its types and order; null where `table` has none."""
    there = table.schema
    if list(there) == list(schema):  # a query that names thousands of columns takes a second
        return table.with_columns(table[name].cast(dtype) for name, dtype in schema.items() if there[name] != dtype)
    return table.select(
        pl.col(name).cast(dtype) if name in table.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in schema.items()
    )


def read_table(folder: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Return the table in `folder`, or some of its columns; the others are not read."""
    schema, parts = _described(folder)
    if columns is not None:
        schema = {name: schema[name] for name in columns}
    return pl.concat(list(_parts(folder, schema, range(parts))))


def read_batches(folder: Path, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
    """Yield some columns of the table in `folder`, up to so many rows at a time, in order; of one part in memory."""
    schema, parts = _described(folder)
    for part in _parts(folder, {name: schema[name] for name in columns}, range(parts)):
        yield from part.iter_slices(rows)


def read_head(folder: Path, rows: int) -> pl.DataFrame:
    """Return the first rows of the table in `folder`."""
    schema, parts = _described(folder)
    heads: list[pl.DataFrame] = []
    for part in _parts(folder, schema, range(parts)):
        heads.append(part.head(rows - sum(head.height for head in heads)))
        if sum(head.height for head in heads) >= rows:
            break
    return pl.concat(heads)


def read_rows(folder: Path, rows: Sequence[int]) -> pl.DataFrame:
    """Return the rows with these numbers, counted from 0, in this order; parts that have none of them are not read.

    Raises:
        IndexError: there is no such row.
    """
    schema, parts = _described(folder)
    found: dict[int, pl.DataFrame] = {}
    start = 0
    for number in range(parts):
        height = int(pl.scan_ipc(folder / _name(number), glob=False).select(pl.len()).collect().item())
        wanted = {row for row in rows if start <= row < start + height}
        if wanted:
            [part] = _parts(folder, schema, range(number, number + 1))
            found |= {row: part[row - start] for row in wanted}
        start += height
        if len(found) == len(set(rows)):
            return pl.concat([found[row] for row in rows])
    raise IndexError(f"rows {sorted(set(rows) - set(found))} are not among the {start} of the table")


def read_sample(folder: Path) -> pl.DataFrame:
    """Return up to 10,000 rows from all over the table in `folder`, in any order."""
    return pl.scan_ipc(folder / SAMPLE, glob=False).collect()


def _described(folder: Path) -> tuple[dict[str, pl.DataType], int]:
    document = json.loads((folder / SCHEMA).read_text(encoding="utf-8"))
    return {name: TYPES[dtype] for name, dtype in document["columns"]}, document["parts"]


def _parts(folder: Path, schema: dict[str, pl.DataType], parts: Iterable[int]) -> Iterator[pl.DataFrame]:
    for number in parts:
        part = pl.scan_ipc(folder / _name(number), glob=False)  # a folder's name may have brackets in it
        there = part.collect_schema()
        yield aligned(part.select([name for name in schema if name in there]).collect(), schema)
