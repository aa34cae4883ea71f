"""What is counted of each column while a table goes by, batch after batch, in memory that doesn't grow with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from service.datasets import values

MOST_CLASSES = 1000
LONGEST_CLASS = 1000
"""Bytes; a longer text is no label."""
SKETCH = 4096
SPAN = 2**16
"""Whole numbers that lie so near to each other are counted by their place."""
_NULL: dict[pl.DataType | type[pl.DataType], int] = {
    dtype: pl.Series([None], dtype=dtype).hash()[0] for dtype in (pl.Int64, pl.Float64, pl.String, pl.Datetime("us"))
}


@dataclass
class Counted:
    """Of one column: how many values, the numbers' moments, the classes while they are few, how many there may be."""

    present: int = 0
    minimum: Any = None
    maximum: Any = None
    mean: float = 0.0
    squares: float = 0.0
    """Sum of the squared differences from the mean."""
    classes: dict[Any, int] | None = field(default_factory=dict)
    _hashes: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    _waiting: list[np.ndarray] = field(default_factory=list)
    """Hashes that may be among the smallest, until there are enough of them to be worth sorting."""

    @property
    def distinct(self) -> int:
        """How many different values: exact up to 4096, beyond that by the k smallest hashes.

        With the k-th smallest of the hashes, as a number in (0, 1), the estimate is (k − 1) / that number; its standard
        error is 1/√(k − 2), which is 1.6 % (Bar-Yossef et al., 2002, "Counting distinct elements in a data stream").
        """
        if self.classes is not None:
            return len(self.classes)
        self._sort()
        if len(self._hashes) < SKETCH:
            return len(self._hashes)
        return min(self.present, round((SKETCH - 1) / (float(self._hashes[-1]) / 2.0**64)))

    @property
    def exact(self) -> bool:
        """Whether `distinct` is no estimate."""
        self._sort()
        return self.classes is not None or len(self._hashes) < SKETCH

    def merge_moments(self, count: int, low: Any, high: Any, mean: float, variance: float) -> None:
        """Take in the numbers of a batch (Chan, Golub, LeVeque, 1979); before `present` is raised by `count`."""
        total, difference = self.present + count, mean - self.mean
        self.squares += variance * count + difference * difference * self.present * count / total
        self.mean += difference * count / total
        self.minimum = low if self.minimum is None else min(self.minimum, low)
        self.maximum = high if self.maximum is None else max(self.maximum, high)

    def merge_classes(self, column: pl.Series) -> bool:
        """Count the values of a batch; return whether that is over, as they are more than a thousand, or no labels."""
        if self.classes is None or column.dtype == pl.Float64:
            return self._give_up_on_classes(column.dtype)
        found, rows = _counts(column.drop_nulls() if column.null_count() else column)
        if len(found) > MOST_CLASSES:
            return self._give_up_on_classes(column.dtype)
        for value, more in zip(found.to_list(), rows.tolist(), strict=True):
            before = self.classes.get(value, 0)
            if not before and column.dtype == pl.String and len(value.encode()) > LONGEST_CLASS:
                return self._give_up_on_classes(column.dtype)
            self.classes[value] = before + more
        return len(self.classes) > MOST_CLASSES and self._give_up_on_classes(column.dtype)

    def _give_up_on_classes(self, dtype: pl.DataType) -> bool:
        known, self.classes = list(self.classes or ()), None
        if known:
            self.merge_hashes(pl.Series(known, dtype=dtype, strict=False).hash(), dtype)
        return True

    def merge_hashes(self, column: pl.Series, dtype: pl.DataType) -> None:
        """Sketch how many different values a batch of this type has, by their hashes, those of nulls among them."""
        hashes = column.to_numpy()
        if len(self._hashes) == SKETCH:
            hashes = hashes[hashes < self._hashes[-1]]
        if dtype in _NULL:
            hashes = hashes[hashes != np.uint64(_NULL[dtype])]
        self._waiting.append(hashes)
        if sum(map(len, self._waiting)) > SKETCH:
            self._sort()

    def _sort(self) -> None:
        if self._waiting:
            # np.unique puts integers into a hash table of its own, which takes ten times as long.
            ordered = np.sort(np.concatenate((self._hashes, *self._waiting)))
            self._hashes = ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]][:SKETCH]
            self._waiting.clear()


def _counts(present: pl.Series) -> tuple[pl.Series, np.ndarray]:
    """Return the different values of a column that has no null, and the rows of each."""
    if isinstance(present.dtype, pl.Enum):
        rows = np.bincount(present.to_physical().to_numpy(), minlength=len(present.dtype.categories))
        found = np.flatnonzero(rows)
        return present.dtype.categories[found], rows[found]
    if present.dtype == pl.Int64:
        low, high = values.ends(present)
        if high - low < SPAN:
            rows = np.bincount(present.to_numpy() - low)  # a tenth of the time that hashing takes
            found = np.flatnonzero(rows)
            return pl.Series(found + low), rows[found]
    counts = present.alias("value").value_counts(name="rows")
    return counts["value"], counts["rows"].to_numpy()


class Statistics:
    """Of all columns of a table."""

    def __init__(self) -> None:
        self.columns: dict[str, Counted] = {}
        self.rows = 0

    def add(self, table: pl.DataFrame) -> None:
        """Take in some rows."""
        self.rows += table.height
        many: list[str] = []
        schema = table.schema
        for (name, dtype), column in zip(schema.items(), table, strict=True):
            counted = self.columns.setdefault(name, Counted())
            count = table.height - column.null_count()
            if count == 0:
                continue
            # The methods of a series: to plan a query takes longer than to read the columns of a wide table.
            if dtype.is_numeric():
                mean, variance = column.mean(), column.var(ddof=0)
                counted.merge_moments(count, *values.ends(column), mean, variance)  # type: ignore[arg-type] -- numbers
            elif dtype.is_temporal():
                low, high = values.ends(column)
                counted.minimum = min(low, counted.minimum or low)
                counted.maximum = max(high, counted.maximum or high)
            if counted.merge_classes(column):
                many.append(name)
            counted.present += count
        for hashes in table[:, many].select(pl.all().hash()):
            self.columns[hashes.name].merge_hashes(hashes, schema[hashes.name])
