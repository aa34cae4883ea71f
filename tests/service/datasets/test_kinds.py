"""What columns are taken for, and what a person would warn of."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from service.datasets import remarks
from service.datasets.kinds import for_a_job
from service.datasets.schemas import Column
from service.datasets.summary import summarize
from tests.service.datasets.conftest import App

N = 200
RANDOM = np.random.default_rng(0)
NOISE = RANDOM.normal(size=N)
CLASSES = ["a", "b"] * (N // 2)


def kind(values: Any, name: str = "column") -> str:
    [column] = summarize(pl.DataFrame({name: values}))
    return column.kind


@pytest.mark.parametrize(
    ("values", "name", "expected"),
    [
        (NOISE, "id", "numeric"),
        (list(range(N)), "anything", "identifier"),
        (list(range(0, 3 * N, 3)), "anything", "numeric"),
        (list(range(0, 3 * N, 3)), "customer_id", "identifier"),
        (list(range(0, 3 * N, 3)), "customerId", "identifier"),
        (list(range(0, 3 * N, 3)), "humid", "numeric"),
        ([7] * N, "id", "constant"),
        ([None] * N, "empty", "constant"),
        ([7] * (N - 1) + [None], "nearly", "numeric"),
        ([f"u-{index}" for index in range(N)], "user", "identifier"),
        ([f"the quick fox jumps {index} times" for index in range(N)], "comment", "text"),
        (["x" * 100, "y" * 100] * (N // 2), "story", "text"),
        (["red", "green"] * (N // 2), "colour", "categorical"),
        ([True, False] * (N // 2), "flag", "boolean"),
        (["a", "b", "c"], "few", "categorical"),
        ([1, 2, 3], "id", "numeric"),
    ],
)
def test_kinds(values: Any, name: str, expected: str):
    assert kind(values, name) == expected


def test_statistics_for_people():
    numbers, texts = summarize(pl.DataFrame({"n": list(range(100)), "t": ["x"] * 60 + ["y"] * 30 + ["z"] * 10}))
    assert numbers.quantiles is not None
    assert numbers.quantiles["0.5"] == 49.5
    assert numbers.histogram is not None
    assert sum(numbers.histogram.rows) == 100
    assert (numbers.histogram.edges[0], numbers.histogram.edges[-1], len(numbers.histogram.edges)) == (0, 99, 21)
    assert list(texts.top.items()) == [("x", 60), ("y", 30), ("z", 10)]


def test_many_different_values_are_estimated():
    [column] = summarize(pl.DataFrame({"n": RANDOM.permutation(np.repeat(np.arange(50_000), 3)) * 1.5}))
    assert abs(column.distinct / 50_000 - 1) < 0.08  # five standard errors


def found(table: pl.DataFrame, target: str, **kinds: Any) -> set[tuple[str, str]]:
    columns = for_a_job(summarize(table), target, kinds)
    return {(remark.column, remark.code) for remark in remarks.of_job(columns, target, table.height, table)}


@pytest.mark.parametrize(
    ("column", "target", "leaks"),
    [
        ([{"a": "yes", "b": "no"}[label] for label in CLASSES], CLASSES, True),
        ([{"a": 1.5, "b": 0.5}[label] for label in CLASSES], CLASSES, True),
        ([(label == "b") * 10 + noise for label, noise in zip(CLASSES, NOISE, strict=True)], CLASSES, True),
        (NOISE, CLASSES, False),
        (["u", "v", "w", "x"] * (N // 4), CLASSES, True),
        (["u", "v", "v", "u"] * (N // 4), CLASSES, False),
        (NOISE * -3 + 1, NOISE, True),
        (NOISE + RANDOM.normal(size=N), NOISE, False),
        ([f"g{index % 10}" for index in range(N)], [float(index % 10) + 0.5 for index in range(N)], True),
        ([f"g{index % 10}" for index in range(N)], NOISE, False),
    ],
)
def test_a_column_that_gives_the_target_away_is_noticed(column: Any, target: Any, leaks: bool):
    table = pl.DataFrame({"column": column, "other": RANDOM.normal(size=N), "target": target})
    assert (("column", "leaks_target") in found(table, "target")) == leaks
    assert ("other", "leaks_target") not in found(table, "target")


def test_what_else_is_said_when_a_target_is_chosen():
    table = pl.DataFrame(
        {"id": [f"u{index}" for index in range(N)], "x": NOISE, "y": ["a"] * (N - 4) + ["b"] * 3 + [None]}
    )
    assert found(table, "y") == {("y", "target_missing"), ("y", "rare_class")}
    assert ("id", "identifier_as_feature") in found(table, "y", id="categorical")
    assert ("y", "one_class") in found(table.with_columns(y=pl.lit("a")), "y")


def test_warnings_come_with_the_upload(app: App):
    rows = [f"{index},7,{'n/a!' if index == 9 else index * 1.5},{index if index < 5 else ''}" for index in range(30)]
    dataset = app.post("\n".join(["id,seven,price,rare", *rows, ""]).encode()).json()
    codes = {(warning["column"], warning["code"]) for warning in dataset["warnings"]}
    assert codes >= {
        ("id", "identifier"),
        ("seven", "constant"),
        ("price", "nearly_numeric"),
        ("rare", "mostly_missing"),
    }
    assert {column["name"]: column["feature"] for column in dataset["columns"]} == {
        "id": False, "seven": False, "price": False, "rare": True,
    }  # fmt: skip


def test_a_target_counts_for_what_it_holds():
    columns = summarize(pl.DataFrame({"y": list(range(N)), "x": NOISE}))
    assert columns[0].kind == "identifier"
    by_name: dict[str, Column] = {column.name: column for column in for_a_job(columns, "y", {"x": "identifier"})}
    assert (by_name["y"].kind, by_name["x"].kind, by_name["x"].feature) == ("numeric", "identifier", False)
