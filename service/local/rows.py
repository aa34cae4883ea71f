"""Rows to predict, from a file in any format that data sets have, as a table with the model's columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from service.datasets.encoding import Encoding
from service.datasets.features import Feature
from service.datasets.kinds import is_of
from service.datasets.readers import read_table
from service.datasets.reading import Reading
from service.datasets.schemas import ChosenKind
from service.models.rows import KINDS
from service.problems import echo, invalid
from service.schemas import FieldError


@dataclass(frozen=True)
class Rows:
    """A table with one column a feature.

    Attributes:
        table: with missing values in the columns that the file hasn't.
        missing: the names of these.
        unused: columns of the file that the model doesn't read, its target aside.
    """

    table: pl.DataFrame
    missing: list[str]
    unused: list[str]


def read_rows(path: Path, encoding: Encoding, card: Mapping[str, Any], reading: Reading) -> Rows:
    """Return the rows in the file `path` for a model.

    A column is read as the one that the model was trained on: where that was text, 007 is no number.

    Args:
        path: the file.
        encoding: the model's.
        card: the model's, empty where it has none.
        reading: how the file is to be read.

    Raises:
        Problem: what is wrong with the file, the columns that hold something else than the model reads, or that it has
            none of these.
    """
    texts = {column["name"] for column in card.get("dataset", {}).get("columns", ()) if column["values"] == "text"}
    kinds: dict[str, ChosenKind] = {
        feature.name: "text" if feature.kind == "categorical" and feature.name in texts else feature.kind
        for feature in encoding.features
    }
    table = read_table(path, None, reading)
    if kinds and not kinds.keys() & set(table.columns):
        message = "none of the columns that the model reads is in the file"
        raise invalid([FieldError(field="rows", value=_listed(table.columns), message=message, allowed=_listed(kinds))])
    there: dict[str, ChosenKind] = {name: kind for name, kind in kinds.items() if name in table.columns}
    unlike: dict[str, ChosenKind] = {name: kind for name, kind in there.items() if not is_of(kind, table[name])}
    if unlike:
        table = read_table(path, None, reading.model_copy(update={"kinds": {**unlike, **reading.kinds}}))
    if errors := [_misfit(table[name], kind) for name, kind in unlike.items() if not is_of(kind, table[name])]:
        raise invalid(errors)
    known = {*kinds, encoding.target.name}
    return Rows(
        pl.DataFrame([_column(table, feature) for feature in encoding.features]),
        missing=[name for name in kinds if name not in table.columns],
        unused=[name for name in table.columns if name not in known],
    )


def _column(table: pl.DataFrame, feature: Feature) -> pl.Series:
    if feature.name in table.columns and table[feature.name].null_count() < table.height:
        return table[feature.name]
    return pl.Series(feature.name, [None] * table.height, KINDS[feature.kind].dtype)


def _listed(names: Iterable[str]) -> str:
    return echo(", ".join(names))


def _misfit(column: pl.Series, kind: ChosenKind) -> FieldError:
    return FieldError(
        field=f"rows.{echo(column.name)}",
        value=str(column.dtype),
        message=f"the model was trained on {kind} values in this column",
        allowed=f"a {kind} column",
    )
