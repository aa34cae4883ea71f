"""What is said of a column."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.datasets.readers import read_table
from service.datasets.schemas import Column
from service.datasets.summary import MOST_CLASSES, QUANTILES, summarize
from service.examples import PENGUINS

SUMMARY = {
    "kind", "missing", "distinct", "classes", "minimum", "maximum", "mean", "standard_deviation", "integer",
}  # fmt: skip
NO_NUMBERS = {"minimum": None, "maximum": None, "mean": None, "standard_deviation": None, "integer": False}


def summary(values: list[Any], dtype: Any = None) -> dict[str, Any]:
    [column] = summarize(pl.DataFrame({"rows": values}, schema={"rows": dtype} if dtype else None))
    return column.model_dump(include=SUMMARY)


def test_texts():
    assert summary(["b", None, "a", "b"]) == {
        "kind": "categorical", "missing": 1, "distinct": 2, "classes": {"a": 1, "b": 2}, **NO_NUMBERS,
    }  # fmt: skip


def test_booleans():
    assert summary([True, None, False, True]) == {
        "kind": "boolean", "missing": 1, "distinct": 2, "classes": {"false": 1, "true": 2}, **NO_NUMBERS,
    }  # fmt: skip


def test_whole_numbers_are_classes_in_the_order_of_numbers():
    column = summary([10, 9, None, 10, -1])
    assert column == {
        "kind": "numeric", "missing": 1, "distinct": 3, "classes": {"-1": 1, "9": 1, "10": 2}, "integer": True,
        "minimum": -1, "maximum": 10, "mean": 7.0, "standard_deviation": pytest.approx(math.sqrt((9 + 4 + 9 + 64) / 4)),
    }  # fmt: skip
    assert list(column["classes"]) == ["-1", "9", "10"]
    assert isinstance(column["minimum"], int)


def test_fractional_numbers_have_no_classes():
    assert summary([0.5, 2.5, None]) == {
        "kind": "numeric", "missing": 1, "distinct": 2, "classes": None, "integer": False,
        "minimum": 0.5, "maximum": 2.5, "mean": 1.5, "standard_deviation": 1.0,
    }  # fmt: skip


def test_a_column_without_values():
    nothing = {"kind": "constant", "missing": 2, "distinct": 0, "classes": {}, **NO_NUMBERS}
    assert summary([None, None], pl.String) == nothing


@pytest.mark.parametrize(("n", "listed"), [(MOST_CLASSES, True), (MOST_CLASSES + 1, False)])
def test_classes_are_listed_up_to_a_thousand(n: int, listed: bool):
    for values in (list(range(n)), [f"t{i}" for i in range(n)]):
        column = summary([*values, *values])
        assert column["distinct"] == n
        assert (column["classes"] is not None) == listed


def test_large_whole_numbers_stay_exact_and_have_a_mean():
    column = summary([2**62, 2**62 + 1, 2**62 + 2])
    assert (column["minimum"], column["maximum"]) == (2**62, 2**62 + 2)
    assert column["mean"] == pytest.approx(2.0**62)


@given(st.lists(st.none() | st.floats(-1e6, 1e6).map(lambda number: round(number, 3)), min_size=1))
def test_statistics_are_those_of_numpy(values: list[float | None]):
    present = [value for value in values if value is not None]
    column = summary(values, pl.Float64)
    assert column["missing"] == len(values) - len(present)
    assert column["distinct"] == len(set(present))
    if present:
        assert (column["minimum"], column["maximum"]) == (min(present), max(present))
        assert column["mean"] == pytest.approx(np.mean(present), abs=1e-6)
        assert column["standard_deviation"] == pytest.approx(np.std(present), abs=1e-6)


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3), min_size=1))
def test_classes_are_counted_and_sorted(values: list[str | None]):
    counts = Counter(value for value in values if value is not None)
    column = summary(values, pl.String)
    assert list(column["classes"].items()) == sorted(counts.items())


@given(st.lists(st.none() | st.integers(-5, 5) | st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_whole_numbers_are_counted_and_sorted(values: list[int | None]):
    counts = Counter(value for value in values if value is not None)
    column = summary(values, pl.Int64)
    assert list(column["classes"].items()) == [(str(value), rows) for value, rows in sorted(counts.items())]


@given(st.lists(st.floats(-1e6, 1e6).map(lambda number: round(number, 3)), min_size=1, max_size=200))
def test_quantiles_and_histogram_are_those_of_numpy_to_the_last_bit(numbers: list[float]):
    [column] = summarize(pl.DataFrame({"n": numbers}))
    assert list((column.quantiles or {}).values()) == np.quantile(numbers, QUANTILES).tolist()
    if column.histogram:
        assert column.histogram.rows == np.histogram(numbers, column.histogram.edges)[0].tolist()
    else:
        assert max(numbers) - min(numbers) < 1e-6


def test_a_summary_survives_json():
    for column in summarize(read_table(PENGUINS, "csv")):
        assert Column.model_validate_json(column.model_dump_json()) == column


def test_the_penguins():
    table = read_table(PENGUINS, "csv")
    columns = {column.name: column for column in summarize(table)}
    assert table.height == 344
    assert columns["species"].classes == {"Adelie": 152, "Chinstrap": 68, "Gentoo": 124}
    assert columns["sex"].missing == 11
    assert [columns[f"{part}_mm"].missing for part in ("bill_length", "bill_depth", "flipper_length")] == [2, 2, 2]
    assert columns["body_mass_g"].integer
    assert columns["bill_length_mm"].classes is None
