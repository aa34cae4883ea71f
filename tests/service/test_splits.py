"""Splits in training: which rows are trained on, and what is measured on the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from service.datasets.readers import read_table
from service.models.predictor import load
from service.protocol import Assignment, HeldOut
from service.training.cannot_train import CannotTrain
from service.training.dividing import divide
from tests.service.test_runner import Make, assign, told, weights_of_trained
from tests.service.workplace import PENGUINS

__all__ = ["assign"]  # a fixture

BOTH = {"validation": 0.2, "test": 0.1}


def rows_of(assignment: Assignment) -> tuple[pl.DataFrame, list[np.ndarray]]:
    table = read_table(assignment.table, "csv")
    table = table.filter(pl.col(assignment.spec.target).is_not_null())
    rows = divide(assignment.spec, table)
    parts = [rows.train, rows.validation, rows.test]
    assert sorted(np.concatenate(parts)) == list(range(len(table)))
    assert all(np.array_equal(part, np.sort(part)) for part in parts)
    return table, parts


def test_stratified_parts_have_the_shares_of_the_classes(assign: Make):
    table, parts = rows_of(assign(split={"by": "fraction", **BOTH}))
    shares = [table[part]["species"].value_counts().sort("species")["count"].to_list() for part in parts]
    assert shares == [[107, 47, 87], [30, 14, 25], [15, 7, 12]]


def test_a_seed_draws_the_same_rows_and_another_one_others(assign: Make):
    split = {"by": "fraction", **BOTH}
    (_, first), (_, again), (_, other) = (rows_of(assign(split=split, seed=seed)) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[2], other[2])


def test_no_group_is_in_two_parts_and_those_without_stay_together(assign: Make):
    table, parts = rows_of(assign(split={"by": "group", "column": "flipper_length_mm", **BOTH}))
    groups = [set(table[part]["flipper_length_mm"].to_list()) for part in parts]
    assert None in set.union(*groups)
    assert sum(map(len, groups)) == len(set.union(*groups))
    assert [abs(len(part) - share * 344) < 15 for part, share in zip(parts, (0.7, 0.2, 0.1), strict=True)] == [True] * 3


@pytest.mark.parametrize("column", ["day", "number"])
def test_the_latest_rows_are_held_out(assign: Make, tmp_path: Path, column: str):
    order = np.random.default_rng(0).permutation(50)
    lines = [f"{row},2021-{1 + row // 25:02}-{1 + row % 25:02},{row / 2},{'ab'[row % 2]}" for row in order.tolist()]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["x,day,number,label", "99,,,a", *lines]))
    table, (train, validation, test) = rows_of(assign("label", path, split={"by": "time", "column": column, **BOTH}))
    assert set(table[test]["x"]) == set(range(45, 50))
    assert set(table[validation]["x"]) == set(range(35, 45))
    assert 0 in train  # the row without a time


def test_of_equal_times_those_further_down_are_later(assign: Make):
    _, (_, validation, test) = rows_of(assign(split={"by": "time", "column": "year", **BOTH}))
    table = read_table(PENGUINS, "csv")
    last = np.flatnonzero(table["year"].to_numpy() == 2009)
    assert np.array_equal(test, last[-34:])
    assert np.array_equal(validation, last[-34 - 69 : -34])


def test_a_column_says_it(assign: Make):
    split = {"by": "column", "column": "island", "train": "Biscoe", "validation": "Dream", "test": "Torgersen"}
    table, parts = rows_of(assign("sex", split=split))
    assert [set(table[part]["island"]) for part in parts] == [{"Biscoe"}, {"Dream"}, {"Torgersen"}]


def test_rows_that_cannot_be_divided_fail_with_the_reason(assign: Make, tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["x,who,label", *(f"{row / 3},{'ab'[row % 2] if row < 20 else 'c'},"
                    f"{'' if row < 20 else 'yn'[row % 2]}" for row in range(40))]))  # fmt: skip
    with pytest.raises(CannotTrain, match="groups: there are 1; at least 2 are needed") as failed:
        told(assign("label", path, split={"by": "group", "column": "who"}))
    assert failed.value.code == "unfit_rows"


SPLITS: list[dict[str, Any]] = [
    {"by": "fraction", "test": 0.2},
    {"by": "group", "column": "flipper_length_mm", "test": 0.2},
    {"by": "time", "column": "year", "test": 0.2},
]


@pytest.mark.parametrize("split", SPLITS, ids=[split["by"] for split in SPLITS])
def test_the_test_rows_are_measured_once_and_count_for_nothing_else(assign: Make, split: dict[str, Any]):
    assignment = assign("body_mass_g", epochs=3, split=split)
    _, metrics, done = told(assignment)
    table, (train, validation, test) = rows_of(assignment)
    result = done["result"]
    assert (result["n_train"], result["n_validation"], result["n_test"]) == (len(train), len(validation), len(test))
    assert not any(name.startswith("test") for row in metrics for name in row)
    predictor = load(assignment.draft)
    assert split.get("column") not in [feature.name for feature in predictor.encoding.features]
    values = np.array([row["value"] for row in predictor.predict(table[test])])
    errors = values - table["body_mass_g"].to_numpy()[test]
    assert result["test_metrics"]["rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-5)
    z = errors / predictor.encoding.target.standard_deviation  # type: ignore[union-attr] -- of numbers
    assert result["test_loss"] == pytest.approx(np.mean(z**2) / 2, rel=1e-5)
    assert done["card"]["test_metrics"] == result["test_metrics"]

    # Whatever the test rows hold, the weights are the same.
    lines = PENGUINS.read_text().splitlines()
    kept = [row for row, line in enumerate(lines[1:]) if line.split(",")[5] not in ("", "NA")]
    for row in test.tolist():
        cells = lines[1 + kept[row]].split(",")
        cells[2], cells[5] = "55.5", "4321"
        lines[1 + kept[row]] = ",".join(cells)
    path = assignment.draft / "other.csv"
    path.write_text("\n".join(lines))
    other = assign("body_mass_g", path, epochs=3, split=split)
    assert weights_of_trained(other) == weights_of_trained(assign("body_mass_g", epochs=3, split=split))


def test_another_data_set_is_tested_on(assign: Make, tmp_path: Path):
    lines = PENGUINS.read_text().splitlines()
    path, held_out = tmp_path / "first.csv", tmp_path / "second.csv"
    path.write_text("\n".join([lines[0], *lines[1::2]]))
    held_out.write_text("\n".join([lines[0], *lines[2::2]]))
    assignment = assign("species", path, epochs=5, split={"by": "fraction", "validation": 0})
    assignment = assignment.model_copy(update={"held_out": {"test": HeldOut(table=held_out, format="csv")}})
    _, metrics, done = told(assignment)
    result = done["result"]
    assert (result["n_train"], result["n_validation"], result["n_test"]) == (172, 0, 172)
    table = read_table(held_out, "csv")
    found = [row["label"] for row in load(assignment.draft).predict(table)]
    assert result["test_metrics"]["accuracy"] == np.mean(np.array(found) == table["species"].to_numpy())
    assert (metrics[-1]["validation_loss"], result["metrics"]) == (None, {})


def test_a_job_chooses_its_encoding(assign: Make):
    assignment = assign(epochs=1, encoding={"numbers": "min_max", "max_categories": 1})
    told(assignment)
    table, (train, _, _) = rows_of(assignment)
    features = {feature.name: feature for feature in load(assignment.draft).encoding.features}
    mass = table[train]["body_mass_g"]
    assert (features["body_mass_g"].center, features["body_mass_g"].scale) == (mass.min(), mass.max() - mass.min())  # type: ignore[union-attr, operator] -- a numeric one
    assert (features["island"].categories, features["island"].other) == (["Biscoe"], True)  # type: ignore[union-attr] -- a categorical one
