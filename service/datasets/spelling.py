"""From texts to values: what each column's texts spell is found out in the first batch, and holds for those after it.

A later batch may belie it. Whole numbers may turn out to be fractional, which costs nothing; but texts after a million
numbers mean that the numbers were texts too, spelt as they were, and so the file has to be read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from service.datasets import dates, values
from service.datasets.unreadable import MOST_FAULTS, fault, unreadable
from service.problems import echo
from service.schemas import FieldError

Spelt = Literal["unknown", "boolean", "whole", "number", "date", "text"]
_FORCED: dict[str, Spelt] = {
    "numeric": "whole",
    "boolean": "boolean",
    "date": "date",
    "categorical": "text",
    "text": "text",
    "identifier": "text",
}
FEW = 50
_WORDS = {"whole": "a number", "number": "a number", "boolean": "true or false", "date": "a date"}


@dataclass(frozen=True)
class Family:
    """What the texts of a column spell; `forced` where its owner said so, and others are refused."""

    spelt: Spelt = "unknown"
    format: str | None = None
    forced: bool = False


class Spelling:
    """What the columns of one file spell, so far.

    Args:
        names: of the columns.
        kinds: those that the owner has named.
        order: of day, month and year; see `dates.format_of`.
        decimal_comma: whether numbers are written 1,5.
    """

    def __init__(
        self,
        names: Iterable[str],
        kinds: Mapping[str, str] | None = None,
        order: str = "auto",
        decimal_comma: bool = False,
    ) -> None:
        self._order, self._comma = order, decimal_comma
        self.families = {name: Family() for name in names}
        for name, kind in (kinds or {}).items():
            self.families[name] = Family(_FORCED[kind], forced=True)
        self._kept: set[str] = set()
        self.belied = False
        """Whether a column turned out to be text whose earlier texts were given away as something else."""

    def learn(self, sample: pl.DataFrame) -> None:
        """Take the first guess from a few rows of texts."""
        self._families_of(values.texts(sample))

    def settled(self, table: pl.DataFrame, first_row: int = 0) -> pl.DataFrame:
        """Return the values that the columns of a table of texts spell; raises `Problem` where that is impossible."""
        table = values.texts(table)
        self._families_of(table)
        faults: list[FieldError] = []
        for spelt in ("boolean", "whole", "number", "date"):
            names = [name for name in table.columns if self.families[name].spelt == spelt]
            if not names:
                continue
            found = self._values(table[:, names], spelt)
            unfit = [name for name, more in _more_nulls(table[:, names], found) if more]
            for name in unfit:
                texts, column = table[name], found[name]
                family = self.families[name]
                if spelt == "whole":
                    self.families[name] = replace(family, spelt="number")
                elif family.forced:
                    row = (column.is_null() & texts.is_not_null()).arg_true()[0]
                    faults.append(_belied(name, texts[row], first_row + row, spelt))
                else:
                    self.families[name] = Family("text")
                    self.belied = self.belied or name in self._kept
            fitting = [name for name in names if self.families[name].spelt == spelt]
            table = values.replaced(table, found[:, fitting])
        if faults:
            raise unreadable(*faults[:MOST_FAULTS])
        return table

    def keep(self, table: pl.DataFrame) -> None:
        """Remember what has been given away."""
        others = [name for name, dtype in table.schema.items() if dtype not in (pl.String, pl.Enum)]
        unseen = [name for name in others if name not in self._kept]
        self._kept |= {name for name in unseen if table[name].null_count() < table.height}

    def _values(self, table: pl.DataFrame, spelt: Spelt) -> pl.DataFrame:
        """Return what columns of texts spell, all of this family; null for texts that spell something else."""
        text = pl.all()
        match spelt:
            case "boolean":
                lower = table.select(text.str.to_lowercase())
                return lower.select(pl.when(text.is_in(["true", "false"])).then(text == "true"))
            case "whole":
                return table.select(text.cast(pl.Int64, strict=False))
            case "number":
                text = text.str.replace(",", ".", literal=True) if self._comma else text
                return table.select(text.cast(pl.Float64, strict=False))
            case _:
                formats: dict[str, list[str]] = {}
                for name in table.columns:
                    formats.setdefault(self.families[name].format or "%Y-%m-%d", []).append(name)
                return table.select(dates.parse(pl.col(names), format) for format, names in formats.items())

    def _families_of(self, table: pl.DataFrame) -> None:
        """Settle what columns are of which nothing was known yet, and the format of dates that their owner named."""
        nulls = table.null_count().row(0, named=True) if table.width else {}
        known = [(name, self.families[name]) for name, missing in nulls.items() if missing < table.height]
        for name, family in known:
            if family.spelt == "date" and not family.format:
                format = dates.format_of(table[name], self._order)
                self.families[name] = replace(family, format=format or "%Y-%m-%d")
        left = [name for name, family in known if family.spelt == "unknown"]
        for spelt in ("boolean", "whole", "number"):
            fitting = self._fitting(table, left, spelt)
            self.families |= dict.fromkeys(fitting, Family(spelt))
            left = [name for name in left if self.families[name].spelt == "unknown"]
        for name in left:
            format = dates.format_of(table[name], self._order)
            self.families[name] = Family("date", format) if format else Family("text")

    def _fitting(self, table: pl.DataFrame, names: list[str], spelt: Spelt) -> list[str]:
        """Return those of the columns whose texts all spell such a value; a few rows rule most others out."""
        for rows in (table[:FEW], table):
            if names:
                texts = rows[:, names]
                names = [name for name, more in _more_nulls(texts, self._values(texts, spelt)) if not more]
        return names


def _more_nulls(texts: pl.DataFrame, found: pl.DataFrame) -> Iterator[tuple[str, bool]]:
    """Yield for each column whether texts of it are null among what was found."""
    before, after = texts.null_count().row(0, named=True), found.null_count().row(0, named=True)
    return ((name, after[name] > missing) for name, missing in before.items())


def parsed(table: pl.DataFrame) -> pl.DataFrame:
    """Return the booleans, numbers and dates that columns of texts spell; a column that spells none stays as it is.

    >>> parsed(pl.DataFrame({"a": ["1", None, "2.0"], "b": ["True", "false", None]})).rows()
    [(1, True), (None, False), (2, None)]
    """
    return values.numbers(Spelling(table.columns).settled(table))


def _belied(name: str, text: str, row: int, spelt: str) -> FieldError:
    message = f"column {echo(name)!r} has {echo(text)!r} in row {row + 1} (counted from 1), which isn't {_WORDS[spelt]}"
    return fault(text, message, f"{_WORDS[spelt]} in every row, or another kind for the column")
