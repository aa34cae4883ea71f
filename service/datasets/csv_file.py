"""CSV: checked by `csv_scan`, split by polars, its texts turned into values by `spelling`, some megabytes at a time.

polars reads numbers and booleans by itself where it can, which is several times faster than by way of texts. Wherever
it refuses, the texts decide; so what is read never depends on which of the two it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path

import polars as pl

from service.datasets import values
from service.datasets.ahead import ahead
from service.datasets.csv_dialect import Dialect, dialect_of
from service.datasets.csv_scan import Records, check, scan
from service.datasets.csv_split import Guess, How, attempt, guess, split
from service.datasets.decoding import encoding_of, utf8
from service.datasets.expanding import PIECE, pieces
from service.datasets.labels import Labels
from service.datasets.limits import Limits, up_to
from service.datasets.reading import DELIMITERS, QUOTES, Reading
from service.datasets.spelling import Spelling
from service.datasets.unreadable import MOST_FAULTS, fault, unreadable
from service.problems import echo
from service.schemas import FieldError

SAMPLE, SAMPLE_CELLS = 1000, 750_000
MOST_REFUSALS = 3
ENOUGH_ROWS, ENOUGH_BYTES = 4096, 4 * PIECE
"""Of a batch: what is done for a column and not for a cell takes time for every batch, and of thousands much."""
AT_A_TIME = 2
"""Batches that polars reads side by side: it doesn't keep two cores busy with one from its beginning to its end."""
_TYPES = {"boolean": pl.Boolean, "whole": pl.Int64, "number": pl.Float64}


class CsvFile:
    """A CSV file that can be read once, and once more where `belied` is true after the first time."""

    def __init__(self, path: Path, reading: Reading, limits: Limits) -> None:
        self._path, self._reading, self._limits = path, reading, limits
        self._kinds: dict[str, str] = dict(reading.kinds)
        self._spelling, self._labels = Spelling(()), Labels()
        self._refusals = 0
        self._words = False
        self._how: How | None = None
        """How polars may read the next batch by itself, as it did the last one."""
        self._fractional: set[str] = set()
        self.found: dict[str, str] = {}
        """What "auto" became."""

    @property
    def belied(self) -> bool:
        """Whether what was read is worth nothing, because a column turned out to be text; reading it again is not."""
        return self._spelling.belied

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield the rows, typed; raises the `Problem` that says what is wrong and where."""
        if self.belied:
            texts = [name for name, family in self._spelling.families.items() if family.spelt == "text"]
            self._kinds |= dict.fromkeys(texts, "text")
        raw = pieces(self._path, self._limits)
        first = next(raw, b"")
        encoding = encoding_of(first, self._reading.encoding)
        text = utf8(chain([first], raw), encoding)
        start = next(text, b"")
        dialect = dialect_of(start, self._reading)
        self._tell(dialect, encoding)
        records = scan(chain([start], text), dialect, self._limits)
        head = next(records, None)
        if head is None:
            return
        names = _names(dialect.fields(head.text) if dialect.header else None, head.width)
        self._spelling = Spelling(names, _known(self._kinds, names), self._reading.dates, dialect.decimal_comma)
        self._labels, self._how = Labels(), None
        first_row = 0
        gathered = _gathered(records if dialect.header else chain([head], records))
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            # Each is read as the last one was that is settled by now: most are read in that way.
            guesses = (pool.submit(guess, records, self._how, dialect) for records in gathered)
            with ahead(guesses) as futures:
                for future in futures:
                    table = self._settled(future.result(), names, dialect, first_row)
                    first_row += table.height
                    yield table

    def _tell(self, dialect: Dialect, encoding: str) -> None:
        self.found = {
            "delimiter": {mark: name for name, mark in DELIMITERS.items()}[dialect.delimiter],
            "quote": {mark: name for name, mark in QUOTES.items()}[dialect.quote],
            "header": "yes" if dialect.header else "no",
            "encoding": encoding,
            "decimal": "comma" if dialect.decimal_comma else "point",
        }

    def _settled(self, guessed: Guess, names: list[str], dialect: Dialect, first_row: int) -> pl.DataFrame:
        records = guessed.records
        texts = How(dict.fromkeys(names, pl.String))
        try:
            if first_row == 0:
                self._spelling.learn(split(records, texts, dialect, min(SAMPLE, SAMPLE_CELLS // len(names) + 1)))
            table = self._fast(guessed, dialect, first_row) if self._refusals < MOST_REFUSALS else None
            if table is None:
                raw = split(records, texts, dialect)
                table = values.in_blocks(raw, lambda block: self._spelling.settled(block, first_row))
                self._labels.learn(raw, table)
        except pl.exceptions.PolarsError as error:
            check(records, dialect, self._limits)
            reason = str(error).partition("\n")[0]
            raise unreadable(fault(None, f"the CSV parser says: {reason}", "CSV as in RFC 4180")) from error
        if table.height != records.count:
            check(records, dialect, self._limits)
            found = f"{records.count} rows, which the CSV parser takes for {table.height}"
            raise unreadable(fault(None, f"there are {found}", "CSV as in RFC 4180"))
        self._check_cells(table)
        table = values.numbers(table, first_row, self._fractional)
        self._fractional |= {name for name, dtype in table.schema.items() if dtype == pl.Float64}
        self._spelling.keep(table)
        return table

    def _fast(self, guessed: Guess, dialect: Dialect, first_row: int) -> pl.DataFrame | None:
        """Return the table as polars reads it into the types that are known; None where it refuses."""
        for how in self._ways():
            table = guessed.table if guessed.how == how else attempt(guessed.records, how, dialect)
            if table is not None:
                self._words, self._refusals = how.words, 0
                texts = table[:, [name for name, dtype in table.schema.items() if dtype == pl.String]]
                if texts.width:
                    settled = self._spelling.settled(texts, first_row)
                    self._labels.learn(texts, settled)
                    table = values.replaced(table, settled)
                self._how = next(self._ways())
                return table
        self._how = None
        self._refusals += 1
        return None

    def _ways(self) -> Iterator[How]:
        """Yield the ways in which polars may read the next batch by itself, the fastest first."""
        families = self._spelling.families
        types = {name: _TYPES.get(family.spelt, pl.String) for name, family in families.items()}
        labelled = {name: dtype for name, dtype in self._labels.types.items() if families[name].spelt == "text"}
        if labelled:
            yield How(types | labelled, self._words)
        yield How(types, self._words)
        if not self._words:
            yield How(types, words=True)

    def _check_cells(self, table: pl.DataFrame) -> None:
        most = self._limits.max_cell_bytes
        texts = table[:, [name for name, dtype in table.schema.items() if dtype == pl.String]]
        if not texts.width:
            return
        longest = texts.select(pl.all().str.len_bytes().max())
        for name, length in longest.row(0, named=True).items():
            if (length or 0) > most:
                message = f"column {echo(name)!r} has a text of {length} bytes"
                raise unreadable(fault(length, message, up_to(most, "bytes a cell", "max_cell_bytes")))


def _gathered(records: Iterable[Records]) -> Iterator[Records]:
    """Yield the same records, enough of them at a time."""
    waiting: list[Records] = []
    for some in records:
        waiting.append(some)
        rows, size = sum(each.count for each in waiting), sum(len(each.text) for each in waiting)
        if rows >= ENOUGH_ROWS or size >= ENOUGH_BYTES:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(several: list[Records]) -> Records:
    text, count = b"".join(each.text for each in several), sum(each.count for each in several)
    return replace(several[0], text=text, count=count)


def _known(kinds: dict[str, str], names: list[str]) -> dict[str, str]:
    if unknown := sorted(kinds.keys() - set(names)):
        allowed = echo(f"one of: {', '.join(names)}")
        raise unreadable(*(fault(name, "there is no such column to give a kind to", allowed) for name in unknown))
    return kinds


def _names(fields: list[str] | None, width: int) -> list[str]:
    """Return the names of the columns; raises the `Problem` that lists the empty and the repeated ones."""
    if fields is None:
        return [f"column_{position}" for position in range(1, width + 1)]
    names = [name.strip() for name in fields]
    faults: list[FieldError] = [
        fault(name, f"column {position} has no name", "a name for every column (pandas: to_csv(…, index=False))")
        for position, name in enumerate(names, 1)
        if not name
    ]
    faults += [
        fault(name, f"{count} columns have the name {echo(name)!r}", "a name of its own for every column")
        for name, count in Counter(names).items()
        if name and count > 1
    ]
    if faults:
        raise unreadable(*faults[:MOST_FAULTS])
    return names
