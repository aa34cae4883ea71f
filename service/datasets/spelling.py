"""From texts to values: what each column's texts spell is found out in the first batch, and holds for those after it.

A later batch may belie it. Whole numbers may turn out to be fractional, which costs nothing; but texts after a million
numbers mean that the numbers were texts too, spelt as they were, and so the file has to be read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
            found = table.select(self._expression(name) for name in names)
            for name in names:
                texts, column = table[name], found[name]
                if column.null_count() == texts.null_count():
                    continue
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
            table = table.with_columns(found.select(fitting))
        if faults:
            raise unreadable(*faults[:MOST_FAULTS])
        return table

    def keep(self, table: pl.DataFrame) -> None:
        """Remember what has been given away."""
        self._kept |= {
            column.name for column in table if column.dtype != pl.String and column.null_count() < len(column)
        }

    def _expression(self, name: str) -> pl.Expr:
        family, text = self.families[name], pl.col(name)
        match family.spelt:
            case "boolean":
                both = {"true": True, "false": False}
                return text.str.to_lowercase().replace_strict(both, default=None, return_dtype=pl.Boolean)
            case "whole":
                return text.cast(pl.Int64, strict=False)
            case "number":
                text = text.str.replace(",", ".", literal=True) if self._comma else text
                return text.cast(pl.Float64, strict=False)
            case _:
                return dates.parse(text, family.format or "%Y-%m-%d")

    def _families_of(self, table: pl.DataFrame) -> None:
        """Settle what columns are of which nothing was known yet, and the format of dates that their owner named."""
        named = [
            name for name in table.columns if self.families[name].spelt == "date" and not self.families[name].format
        ]
        for name in named:
            if table[name].null_count() < table.height:
                format = dates.format_of(table[name], self._order)
                self.families[name] = replace(self.families[name], format=format or "%Y-%m-%d")
        left = [name for name in table.columns if self.families[name].spelt == "unknown"]
        left = [name for name in left if table[name].null_count() < table.height]
        for spelt in ("boolean", "whole", "number"):
            for name in left:
                self.families[name] = Family(spelt)
            if left:
                found = table.select(self._expression(name) for name in left)
                left = [name for name in left if found[name].null_count() > table[name].null_count()]
        for name in left:
            format = dates.format_of(table[name], self._order)
            self.families[name] = Family("date", format) if format else Family("text")


def parsed(table: pl.DataFrame) -> pl.DataFrame:
    """Return the booleans, numbers and dates that columns of texts spell; a column that spells none stays as it is.

    >>> parsed(pl.DataFrame({"a": ["1", None, "2.0"], "b": ["True", "false", None]})).rows()
    [(1, True), (None, False), (2, None)]
    """
    return values.numbers(Spelling(table.columns).settled(table))


def _belied(name: str, text: str, row: int, spelt: str) -> FieldError:
    message = f"column {echo(name)!r} has {echo(text)!r} in row {row + 1} (counted from 1), which isn't {_WORDS[spelt]}"
    return fault(text, message, f"{_WORDS[spelt]} in every row, or another kind for the column")
