"""What the columns of a table are like: their kinds, their values, their statistics."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from service.datasets.counting import MOST_CLASSES, Counted, Statistics
from service.datasets.kinds import FEATURES, kind_of, values_of
from service.datasets.sampling import Sample
from service.datasets.schemas import Column, Histogram, Kind

__all__ = ["MOST_CLASSES", "labels", "summaries", "summarize"]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_SHARES = np.array(QUANTILES)
BINS = 20
TOP = 10
MOST_LISTED = 200_000
"""Classes of all columns of a table together, which its description lists."""
LONGEST_TOP = 200


def summarize(table: pl.DataFrame, kinds: Mapping[str, Kind] | None = None) -> list[Column]:
    """Return one `Column` for each column of `table`, a table as `parts.read_table` gives it.

    >>> [column] = summarize(pl.DataFrame({"year": [2008, 2007, None, 2008]}))
    >>> column.kind, column.missing, column.classes
    ('numeric', 1, {'2007': 1, '2008': 2})
    """
    statistics, sample = Statistics(), Sample()
    statistics.add(table)
    sample.add(table)
    schema = dict(table.schema)
    return summaries(statistics, sample.table(schema), schema, kinds or {})


def summaries(
    statistics: Statistics, sample: pl.DataFrame, schema: Mapping[str, pl.DataType], kinds: Mapping[str, Kind]
) -> list[Column]:
    """Return one `Column` for each column of a table that went by.

    Args:
        statistics: of all its rows.
        sample: some of its rows.
        schema: its types in the end.
        kinds: those that its owner has named.
    """
    columns = [
        _summary(name, dtype, statistics.columns[name], statistics.rows, sample[name], kinds.get(name))
        for name, dtype in schema.items()
    ]
    _forget_classes(columns)
    return columns


def _forget_classes(columns: list[Column]) -> None:
    """Leave the classes of as many columns out as it takes to stay within the limit, those with the most first."""
    listed = sum(len(column.classes or ()) for column in columns)
    for column in sorted(columns, key=lambda column: -len(column.classes or ())):
        if listed <= MOST_LISTED:
            return
        listed -= len(column.classes or ())
        column.classes = None


def labels(column: pl.Series) -> pl.Series:
    """Return the class labels of a column, as text: 7 is "7", true is "true"."""
    return column.cast(pl.String)


def _summary(
    name: str, dtype: pl.DataType, counted: Counted, rows: int, sample: pl.Series, chosen: Kind | None
) -> Column:
    kind = chosen or kind_of(name, dtype, counted, rows, sample)
    classes = None if dtype == pl.Float64 else _classes(counted, dtype)
    numbers = dtype.is_numeric() and counted.present > 0
    dates = dtype.is_temporal() and counted.present > 0
    ordered = _ordered(sample) if numbers else np.empty(0)
    return Column.model_validate(
        {
            "name": name,
            "kind": kind,
            "values": values_of(dtype),
            "missing": rows - counted.present,
            "distinct": counted.distinct,
            "classes": classes,
            "top": _top(classes, sample, counted.present) if dtype == pl.String else {},
            "minimum": counted.minimum if numbers else None,
            "maximum": counted.maximum if numbers else None,
            "mean": counted.mean if numbers else None,
            "standard_deviation": float(np.sqrt(counted.squares / counted.present)) if numbers else None,
            "quantiles": _quantiles(ordered) if len(ordered) else None,  # few values may not be in the sample
            "histogram": _histogram(ordered, counted) if len(ordered) else None,
            "first": counted.minimum.isoformat() if dates else None,
            "last": counted.maximum.isoformat() if dates else None,
            "integer": dtype == pl.Int64,
            "feature": kind in FEATURES,
        }
    )


def _classes(counted: Counted, dtype: pl.DataType) -> dict[str, int] | None:
    if counted.classes is None:
        return None
    if dtype == pl.Int64 or (dtype == pl.String and all(isinstance(value, str) for value in counted.classes)):
        return {str(value): rows for value, rows in sorted(counted.classes.items())}
    values = pl.Series(list(counted.classes), dtype=dtype, strict=False)
    rows, order = list(counted.classes.values()), values.arg_sort()
    return dict(zip(labels(values.gather(order)), [rows[place] for place in order], strict=True))


def _top(classes: dict[str, int] | None, sample: pl.Series, present: int) -> dict[str, int]:
    """Return the most frequent texts and their rows, scaled up from the sample where they aren't all counted."""
    if classes is not None:
        pairs = sorted(classes.items(), key=lambda pair: (-pair[1], pair[0]))[:TOP]
        return {text[:LONGEST_TOP]: rows for text, rows in pairs}
    texts = sample.drop_nulls().alias("text")
    scale = present / max(1, len(texts))
    counts = texts.value_counts(name="rows").sort("rows", "text", descending=[True, False]).head(TOP)
    return {text[:LONGEST_TOP]: round(rows * scale) for text, rows in counts.iter_rows()}


def _ordered(sample: pl.Series) -> np.ndarray:
    """Return the numbers of a column, ascending."""
    numbers = sample.to_numpy() if sample.dtype == pl.Float64 else sample.cast(pl.Float64).to_numpy()
    return np.sort(numbers[~np.isnan(numbers)] if sample.null_count() else numbers)


def _quantiles(ordered: np.ndarray) -> dict[str, float]:
    """Return what `numpy.quantile` does, which takes ten times as long to find the places of so few numbers."""
    places = _SHARES * (len(ordered) - 1)
    below = places.astype(int)
    lower, upper, part = ordered[below], ordered[np.minimum(below + 1, len(ordered) - 1)], places - below
    # From the nearer of the two, as in NumPy, so that the result is the same to the last bit.
    values = np.where(part < 0.5, lower + (upper - lower) * part, upper - (upper - lower) * (1 - part))
    return dict(zip(map(str, QUANTILES), values.tolist(), strict=True))


def _histogram(ordered: np.ndarray, counted: Counted) -> Histogram | None:
    """Return how many of the numbers, in ascending order, lie between which edges."""
    low, high = float(counted.minimum), float(counted.maximum)
    if not low < high:
        return None
    # A whole number has a bar of its own where all have room.
    bins = min(BINS, round(high - low) + 1) if isinstance(counted.minimum, int) else BINS
    edges = np.linspace(low, high, bins + 1)
    if not (np.diff(edges) > 0).all():  # neighbours in floating point
        return None
    rows = np.diff([*ordered.searchsorted(edges[:-1]), ordered.searchsorted(high, "right")])
    scale = counted.present / len(ordered)
    return Histogram(edges=edges.tolist(), rows=[round(count * scale) for count in rows.tolist()])
