"""What a column is for, as a person would see it who looks at its name and its values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import polars as pl

from service.datasets.counting import Counted
from service.datasets.schemas import ChosenKind, Column, Kind

FEATURES: tuple[Kind, ...] = ("numeric", "categorical", "boolean", "date")
"""The kinds that become inputs of a network."""
FEWEST_ROWS = 20
"""With fewer rows nothing can be said of how often values repeat."""
IDENTIFYING = 0.95
REPEATED = 0.5
LONGEST_LABEL = 64
_IDENTIFIER = re.compile(r"(?i:(^|[\W_])(id|uuid|guid|key|index|idx|row|rowid|no|nr|number)$)|[a-z](Id|ID)$")

Values = Literal["number", "boolean", "date", "text"]


def values_of(dtype: pl.DataType) -> Values:
    """Return what the cells of a column of this type hold, in the words of the API."""
    if dtype == pl.Boolean:
        return "boolean"
    if dtype.is_numeric():
        return "number"
    return "date" if dtype.is_temporal() else "text"


def natural_kind(values: Values) -> Kind:
    """Return what a column is when nothing is made of how its values repeat."""
    kinds: dict[Values, Kind] = {"number": "numeric", "text": "categorical", "boolean": "boolean", "date": "date"}
    return kinds[values]


def kind_of(name: str, dtype: pl.DataType, counted: Counted, rows: int, sample: pl.Series) -> Kind:
    """Return the kind of a column.

    Args:
        name: of the column.
        dtype: of its values.
        counted: over all rows.
        rows: of the table.
        sample: some of its values.
    """
    distinct, present = counted.distinct, counted.present
    if distinct == 0 or (distinct == 1 and present == rows > 1):
        return "constant"
    natural = natural_kind(values_of(dtype))
    if present < FEWEST_ROWS:
        return natural
    own = distinct >= IDENTIFYING * present
    if dtype == pl.Int64 and own and (not counted.exact or distinct == present):
        counts = counted.maximum - counted.minimum + 1 == present
        return "identifier" if counts or _IDENTIFIER.search(name) else natural
    if dtype == pl.String:
        lengths, spaced = _shape_of(sample)
        if lengths > LONGEST_LABEL or (not own and distinct > REPEATED * present) or (own and spaced):
            return "text"
        if own:
            return "identifier"
    return natural


def _shape_of(sample: pl.Series) -> tuple[float, bool]:
    """Return the mean length of texts, and whether most are of several words."""
    present = (sample.drop_nulls() if sample.null_count() else sample)[:1000].to_frame("text")
    text = pl.col("text").str
    lengths, spaced = present.select(text.len_chars().mean().alias("l"), text.contains(r"\s").mean().alias("s")).row(0)
    return lengths or 0.0, (spaced or 0.0) > 0.5


def takes(column: Column, kind: Kind) -> bool:
    """Return whether a job may treat a column, as it was read, as of that kind."""
    if kind in ("numeric", "boolean", "date"):
        wanted = {"numeric": ("number", "boolean"), "boolean": ("boolean",), "date": ("date",)}[kind]
        return column.values in wanted
    return True


def for_a_job(
    columns: Sequence[Column], target: str, kinds: Mapping[str, ChosenKind], divides: str | None = None
) -> list[Column]:
    """Return the columns as a job is to see them: with the kinds that it gives, and its target for what it holds.

    A target of which every row has a value of its own is a quantity all the same. The column that `divides` the rows
    into those to train on and others is no feature.
    """
    seen = []
    for column in columns:
        kind = kinds.get(column.name, column.kind)
        if column.name == target and column.name not in kinds and kind in ("identifier", "text", "constant"):
            kind = natural_kind(column.values)
        seen.append(column.model_copy(update={"kind": kind, "feature": kind in FEATURES and column.name != divides}))
    return seen


def in_use(
    columns: Sequence[Column], target: str, kinds: Mapping[str, ChosenKind], divides: str | None = None
) -> list[Column]:
    """Return those that the job learns from, and its target."""
    return [column for column in for_a_job(columns, target, kinds, divides) if column.feature or column.name == target]


def is_of(kind: str, column: pl.Series) -> bool:
    """Return whether a column, as it was read, can be taken for one of this kind."""
    if column.null_count() == len(column):  # nobody knows what it would have been
        return True
    return holds(kind, values_of(column.dtype))


def holds(kind: str, values: Values) -> bool:
    """Return whether a column with such cells can be taken for one of this kind."""
    only: dict[str, Values] = {"numeric": "number", "boolean": "boolean", "date": "date", "text": "text"}
    return values == only[kind] if kind in only else values != "date"
