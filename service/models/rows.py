"""From the cells of a call to a table, or every message about them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from service.datasets.values import LARGEST, text
from service.models.schemas import Feature
from service.problems import echo, invalid
from service.schemas import FieldError

MOST_ERRORS = 100


@dataclass(frozen=True)
class CellKind:
    """What a cell of a column is, in Python, in Polars, and in words; `read` raises ValueError for anything else."""

    read: Callable[[Any], Any]
    dtype: pl.DataType | type[pl.DataType]
    allowed: str


def _number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST:
        return float(value)
    raise ValueError


def _text(value: Any) -> str | None:
    # JSON can spell halves of a surrogate pair, which are no text: "\ud800".
    if isinstance(value, str) and value == value.encode("utf-8", "replace").decode():
        return text(value)  # as in a data set: NA is missing
    raise ValueError


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError


def _date(value: Any) -> datetime:
    """Return a date in ISO 8601 as a data set would have it: as it stands, or in UTC where it has an offset."""
    if not isinstance(value, str):
        raise ValueError
    time = datetime.fromisoformat(value)
    try:
        return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
    except OverflowError:  # the first day of the year 1, or the last of 9999, in another zone
        raise ValueError from None


KINDS: Mapping[str, CellKind] = {
    "numeric": CellKind(_number, pl.Float64, "a number within ±1e100, or null for a missing value"),
    "categorical": CellKind(_text, pl.String, "text, or null for a missing value"),
    "boolean": CellKind(_truth, pl.Boolean, "true or false, or null for a missing value"),
    "date": CellKind(
        _date, pl.Datetime("us"), "a date as in ISO 8601, such as 2007-01-31 or 2007-01-31T12:00:00Z, or null"
    ),
}


def table_of_rows(rows: Sequence[Mapping[str, Any]], features: Sequence[Feature], target: str) -> pl.DataFrame:
    """Return `rows` as a table with one column a feature; what a row leaves out is missing.

    Raises `Problem` (422) with a message for every cell at fault, up to a hundred.

    >>> table_of_rows([{"mass": 3750}, {}], [Feature(name="mass", kind="numeric")], "species").to_dict(as_series=False)
    {'mass': [3750.0, None]}
    """
    known = {feature.name: feature for feature in features}
    errors: list[FieldError] = []
    for number, row in enumerate(rows):
        if len(errors) < MOST_ERRORS and not known.keys() >= row.keys():
            errors += [_unknown(f"rows.{number}", name, row[name], known, target) for name in row if name not in known]
    columns = {name: [row.get(name) for row in rows] for name in known}
    return _table(columns, known, lambda name, row: f"rows.{row}.{echo(name)}", errors)


def table_of_columns(
    columns: Mapping[str, Sequence[Any]], features: Sequence[Feature], target: str, where: str = "columns"
) -> pl.DataFrame:
    """Return `columns` as a table with one column a feature; a column that isn't there is missing in every row.

    Raises `Problem` (422) as `table_of_rows` does, also for columns of different lengths; `where` they stood.

    >>> island = Feature(name="island", kind="categorical")
    >>> mass = Feature(name="mass", kind="numeric")
    >>> table_of_columns({"mass": [1, 2]}, [island, mass], "species").to_dict(as_series=False)
    {'island': [None, None], 'mass': [1.0, 2.0]}
    """
    known = {feature.name: feature for feature in features}
    errors = [_unknown(where, name, None, known, target) for name in columns if name not in known]
    rows = max(map(len, columns.values()))
    for name, values in columns.items():
        if len(values) != rows:
            message = f"this column has {len(values)} values, and the longest has {rows}"
            field = f"{where}.{echo(name)}"
            errors.append(FieldError(field=field, value=len(values), message=message, allowed=f"{rows} values"))
    whole = {name: columns.get(name, [None] * rows) for name in known}
    return _table(whole, known, lambda name, row: f"{where}.{echo(name)}.{row}", errors)


def _table(
    columns: Mapping[str, Sequence[Any]],
    known: Mapping[str, Feature],
    field: Callable[[str, int], str],
    errors: list[FieldError],
) -> pl.DataFrame:
    """Return the table of `columns`; raises `Problem` with `errors` and those of the cells, each at its `field`."""
    read: list[pl.Series] = []
    for name, values in columns.items():
        kind = known[name].kind
        cells: list[Any] = []
        for row, value in enumerate(values):
            try:
                cells.append(None if value is None else KINDS[kind].read(value))
            except ValueError:
                message = f"the model was trained on {kind} values in this column"
                place = field(name, row)
                errors.append(FieldError(field=place, value=echo(value), message=message, allowed=KINDS[kind].allowed))
                if len(errors) >= MOST_ERRORS:
                    raise invalid(errors[:MOST_ERRORS]) from None
        if not errors:
            read.append(pl.Series(name, cells, KINDS[kind].dtype))
    if errors:
        raise invalid(errors[:MOST_ERRORS])
    return pl.DataFrame(read)


def _unknown(where: str, name: str, value: Any, known: Mapping[str, Feature], target: str) -> FieldError:
    message = "this is the column that the model predicts" if name == target else "the model has no such column"
    allowed = echo(f"one of: {', '.join(known)}")
    return FieldError(field=f"{where}.{echo(name)}", value=echo(value), message=message, allowed=allowed)
