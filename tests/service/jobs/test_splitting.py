"""Splits: what is told of each way before a job is queued, and how many rows it comes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from service import tables
from service.context import Context
from service.datasets.service import delete_dataset
from service.datasets.summary import summarize
from service.jobs import actions, held, queue
from service.jobs.request import JobRequest
from service.jobs.resolve import resolve
from service.jobs.schemas import Spec
from service.jobs.splitting import Divided, splitting_of
from service.jobs.validation import validate
from service.problems import Problem
from service.schemas import FieldError
from service.settings import Settings
from tests.service.workplace import PENGUINS, post, upload

TABLE = pl.DataFrame(
    {
        "x": [row / 3 for row in range(40)],
        "person": [f"p{row % 8}" for row in range(40)],
        "same": ["all"] * 40,
        "day": pl.datetime_range(pl.datetime(2020, 1, 1), pl.datetime(2020, 2, 9), "1d", eager=True),
        "part": ["train"] * 30 + ["validation"] * 6 + ["test"] * 4,
        "fold": [None, *(["in"] * 29), *(["dev"] * 10)],
        "label": ["ab"[row % 2] for row in range(40)],
        "rare": ["a"] * 38 + ["b"] * 2,
    }
)
DATASET_ID, OTHER_ID, THIRD_ID = (f"ds_{digit * 32}" for digit in "012")


def dataset_of(table: pl.DataFrame, dataset_id: str = DATASET_ID) -> tables.Dataset:
    columns = [column.model_dump(mode="json") for column in summarize(table)]
    return tables.Dataset(id=dataset_id, rows=len(table), columns=columns)


def resolved(split: Any, target: str = "label", others: dict[str, tables.Dataset] | None = None, **job: Any) -> Spec:
    request = JobRequest.model_validate({"dataset_id": DATASET_ID, "target": target, "split": split, **job})
    return resolve(request, dataset_of(TABLE), None, Settings(), others or {})


def errors_of(split: Any, target: str = "label", others: dict[str, tables.Dataset] | None = None) -> list[FieldError]:
    with pytest.raises(Problem) as refused:
        resolved(split, target, others)
    return refused.value.errors


def divided(split: Any, target: str = "label", others: dict[str, tables.Dataset] | None = None) -> Divided:
    spec = resolved(split, target, others)
    return splitting_of(spec.split, summarize(TABLE), target, len(TABLE), spec.task, others or {}).divided()


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        (None, (40, 0, 0)),
        ({"by": "fraction"}, (32, 8, 0)),
        ({"by": "fraction", "validation": 0, "test": 0.25}, (30, 0, 10)),
        ({"by": "fraction", "validation": 0.2, "test": 0.1, "stratify": False}, (28, 8, 4)),
        ({"by": "group", "column": "person", "test": 0.1}, (28, 8, 4)),
        ({"by": "time", "column": "day", "test": 0.3}, (20, 8, 12)),
        ({"by": "column", "column": "part"}, (30, 6, 4)),
        ({"by": "column", "column": "person", "train": "p0"}, None),
        ({"by": "dataset", "validation": OTHER_ID, "test": THIRD_ID}, (40, 12, 7)),
        ({"by": "dataset", "validation": 0.5, "test": THIRD_ID}, (20, 20, 7)),
    ],
)
def test_how_many_rows_are_for_what(split: Any, rows: tuple[int, int, int] | None):
    others = {OTHER_ID: dataset_of(TABLE[:12], OTHER_ID), THIRD_ID: dataset_of(TABLE[:7], THIRD_ID)}
    if rows is None:
        assert errors_of(split)
    else:
        assert divided(split, others=others) == Divided(*rows)


@pytest.mark.parametrize(
    ("split", "field", "value", "message", "allowed"),
    [
        ({"by": "group", "column": "colour"}, "split.column", "colour", "no such column", "one of: x, person"),
        ({"by": "group", "column": "label"}, "split.column", "label", "the column to predict", "another"),
        ({"by": "group", "column": "same"}, "split.column", "same", "has 1 groups", "at least 2 different"),
        ({"by": "time", "column": "person"}, "split.column", "person", "holds text", "dates or numbers"),
        ({"by": "column", "column": "person"}, "split.column", "person", "other values: p0, p1", "train, validation"),
        (
            {"by": "column", "column": "fold", "train": "in", "validation": "dev"},
            *("split.column", "fold", "no value in 1 rows", "only the values in, dev, test"),
        ),
        (
            {"by": "column", "column": "same", "test": "all"},
            *("split.column", "same", "no row has the value 'train'", "only the values"),
        ),
        ({"by": "column", "column": "part", "test": "train"}, "split.train", "train", "two are the same", "different"),
        ({"by": "fraction", "test": 0.001}, "split.test", 0.001, "no row to test on", "split = null"),
        (
            {"by": "fraction", "validation": 0.5, "test": 0.5, "stratify": False},
            *("split.validation", 0.5, "the two leave no row to train on", "all sides"),
        ),
        ({"by": "dataset", "test": OTHER_ID}, "split.test", OTHER_ID, "no data set with this id", "GET /v1/datasets"),
    ],
)
def test_what_a_data_set_cannot_give_is_told_at_its_field(
    split: dict[str, Any], field: str, value: object, message: str, allowed: str
):
    [error] = errors_of(split)
    assert (error.field, error.value) == (field, value)
    assert message in error.message
    assert allowed in str(error.allowed)


def test_a_class_needs_a_row_for_each_part():
    [error] = errors_of({"by": "fraction", "test": 0.1}, target="rare")
    assert error.field == "target"
    assert "a stratified split needs three rows of a class" in error.message
    resolved({"by": "fraction"}, target="rare")


def test_another_data_set_has_the_same_columns_and_no_other_class():
    def found(table: pl.DataFrame) -> str:
        [error] = errors_of({"by": "dataset", "test": OTHER_ID}, others={OTHER_ID: dataset_of(table, OTHER_ID)})
        assert error.field == "split.test"
        return error.message

    assert "no column 'x'" in found(TABLE.drop("x"))
    assert "'x' holds text" in found(TABLE.with_columns(x=pl.lit("some")))
    assert "classes that training hasn't: c" in found(TABLE.with_columns(label=pl.lit("c")))
    assert "no row has a value in 'label'" in found(TABLE.with_columns(label=pl.lit(None, pl.String)))


def test_what_divides_is_no_feature_and_stopping_needs_validation_rows():
    with pytest.raises(Problem) as refused:
        resolved({"by": "fraction", "validation": 0, "test": 0.2}, early_stopping={})
    assert [error.field for error in refused.value.errors] == ["early_stopping.monitor"]
    alone = dataset_of(TABLE.select("label", "part"))
    request = JobRequest.model_validate(
        {"dataset_id": DATASET_ID, "target": "label", "split": {"by": "column", "column": "part"}}
    )
    with pytest.raises(Problem, match="nothing to predict the target from"):
        resolve(request, alone, None, Settings())


@pytest.mark.parametrize(
    ("split", "field", "allowed"),
    [
        ({"by": "magic"}, "split.by", "one of: fraction, group, time, column, dataset"),
        ({"validation": 0.2}, "split.by", "one of: fraction, group, time, column, dataset"),
        ({"by": "group"}, "split.column", None),
        ({"by": "time", "column": "day", "stratify": True}, "split.stratify", "one of: validation, test, by, column"),
        ({"by": "dataset", "test": "other"}, "split.test", "text that matches ^ds_[0-9a-f]{32}$"),
        ({"by": "dataset", "validation": 1}, "split.validation", "< 1.0"),
        ("half", "split", "an object whose field by is one of: fraction, group, time, column, dataset"),
    ],
)
def test_an_unreadable_split_is_told_at_its_field(context: Context, split: Any, field: str, allowed: str | None):
    found = validate(context, {"dataset_id": DATASET_ID, "target": "label", "split": split})
    [error] = [error for error in found.errors if error.field.startswith("split")]
    assert (error.field, error.allowed) == (field, allowed)


def test_a_job_of_an_older_version_has_the_split_that_it_had():
    stored = resolved({"by": "fraction", "validation": 0.3}).model_dump(mode="json")
    split = stored.pop("split")
    assert (
        Spec.model_validate(stored | {"validation": {"fraction": 0.3, "stratify": True}}).split == resolved(split).split
    )
    assert Spec.model_validate(stored | {"validation": None}).split is None


def test_a_data_set_that_a_job_is_to_test_on_stays(context: Context, tmp_path: Path):
    rows = PENGUINS.read_text().splitlines(keepends=True)
    path = tmp_path / "later.csv"
    path.write_text("".join([rows[0], *rows[100:340]]))
    dataset, other = upload(context), upload(context, path)
    job = post(context, dataset, split={"by": "dataset", "test": other.id})
    with pytest.raises(Problem) as refused:
        delete_dataset(context, other.id)
    assert refused.value.code == "dataset_in_use"
    lease = queue.claim(context.database, lease_seconds=60)
    assert lease is not None
    assert {part: held_out.id for part, held_out in lease.held_out.items()} == {"test": other.id}
    held.fail(context.database, lease, "told_to", "for the test")
    delete_dataset(context, other.id)
    with pytest.raises(Problem) as refused:
        actions.retry(context, job.id, from_start=False)
    assert (refused.value.code, other.id in refused.value.detail) == ("dataset_gone", True)
