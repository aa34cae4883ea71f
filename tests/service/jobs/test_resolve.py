from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from sqlalchemy import select

from service import tables
from service.context import Context
from service.datasets.summary import summarize
from service.jobs import service
from service.jobs.request import JobRequest
from service.jobs.resolve import resolve
from service.jobs.schemas import Spec
from service.problems import Problem
from service.schemas import FieldError
from service.settings import Settings

DATASET_ID = "ds_" + "0" * 32
ROWS = 60
TABLE = pl.DataFrame(
    {
        "number": [0.5 + row for row in range(ROWS)],
        "count": list(range(ROWS)),
        "digit": [row % 10 for row in range(ROWS)],
        "twenty": [row % 20 for row in range(ROWS)],
        "twenty_one": [row % 21 for row in range(ROWS)],
        "three": ["a", "b", "c"] * 20,
        "two": ["no", "yes"] * 30,
        "truth": [True, False] * 30,
        "rare": ["once"] + ["often"] * (ROWS - 1),
        "one": ["same"] * ROWS,
        "nothing": pl.Series([None] * ROWS, dtype=pl.String),
        "hardly": pl.Series(["x", "y"] + [None] * (ROWS - 2), dtype=pl.String),
        "signed": [row - 30 for row in range(ROWS)],
        "zero": [0] * ROWS,
    }
)


def dataset_of(table: pl.DataFrame) -> tables.Dataset:
    columns = [column.model_dump(mode="json") for column in summarize(table)]
    return tables.Dataset(id=DATASET_ID, name="t", sha256="", format="csv", bytes=1, rows=len(table), columns=columns)


def spec_of(table: pl.DataFrame = TABLE, **job: Any) -> Spec:
    return resolve(JobRequest(dataset_id=DATASET_ID, **job), dataset_of(table), None, Settings())


def errors_of(table: pl.DataFrame = TABLE, **job: Any) -> list[FieldError]:
    with pytest.raises(Problem) as raised:
        spec_of(table, **job)
    assert raised.value.status == 422
    return raised.value.errors


@pytest.mark.parametrize(
    ("target", "task", "loss", "units", "activation"),
    [
        ("number", "regression", "squared_error", 1, "identity"),
        ("count", "regression", "squared_error", 1, "identity"),
        ("twenty_one", "regression", "squared_error", 1, "identity"),
        ("twenty", "classification", "softmax_cross_entropy", 20, "softmax"),
        ("digit", "classification", "softmax_cross_entropy", 10, "softmax"),
        ("three", "classification", "softmax_cross_entropy", 3, "softmax"),
        ("two", "classification", "binary_cross_entropy", 1, "sigmoid"),
        ("truth", "classification", "binary_cross_entropy", 1, "sigmoid"),
    ],
)
def test_what_auto_becomes(target: str, task: str, loss: str, units: int, activation: str):
    spec = spec_of(target=target)
    assert (spec.task, spec.loss.name, spec.output.units, spec.output.activation) == (task, loss, units, activation)


@pytest.mark.parametrize(
    ("target", "loss", "units", "activation"),
    [
        ("two", "softmax_cross_entropy", 2, "softmax"),
        ("two", "softmax_focal", 2, "softmax"),
        ("two", "binary_focal", 1, "sigmoid"),
        ("two", "hinge", 1, "identity"),
        ("three", "softmax_focal", 3, "softmax"),
        ("digit", "squared_error", 1, "identity"),
        ("count", "quantile", 1, "identity"),
        ("count", "poisson", 1, "exp"),
        ("number", "gamma", 1, "exp"),
    ],
)
def test_a_loss_that_is_asked_for_is_taken(target: str, loss: str, units: int, activation: str):
    spec = spec_of(target=target, loss=loss)
    assert (spec.loss.name, spec.output.units, spec.output.activation) == (loss, units, activation)


def test_every_default_stands_in_the_spec():
    assert spec_of(target="three").model_dump() == {
        "target": "three",
        "kinds": {},
        "network": {
            "layers": [
                {"units": units, "activation": "relu", "normalization": None, "dropout": 0.0} for units in (64, 32)
            ]
        },
        "optimizer": {
            "name": "adamw", "learning_rate": 0.001, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8,
            "weight_decay": 3.54,  # of 200 steps
        },
        "schedule": {"name": "constant"},
        "regularization": {"l1": None, "l2": None, "clip_value": None, "clip_norm": None, "max_norm": None},
        "average": None,
        "class_weight": None,
        "epochs": 100,
        "batch_size": 32,
        "split": {"by": "fraction", "validation": 0.2, "test": 0.0, "stratify": True},
        "encoding": {"numbers": "standard", "max_categories": 100},
        "early_stopping": None,
        "seed": 0,
        "device": "auto",
        "dtype": "float32",
        "metadata": {},
        "task": "classification",
        "loss": {"name": "softmax_cross_entropy", "smoothing": 0.0},
        "output": {"units": 3, "activation": "softmax"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("job", "field", "value", "message", "allowed"),
    [
        ({"target": "colour"}, "target", "colour", "no such column", "one of: number, count, digit"),
        ({"target": "rare"}, "target", "rare", "one row only: once", "at least two rows"),
        ({"target": "one"}, "target", "one", "same class, 'same'", "at least two classes"),
        ({"target": "nothing"}, "target", "nothing", "no value", "with values"),
        ({"target": "two", "loss": "squared_error"}, "loss", "squared_error", "'two' is categorical", "auto"),
        ({"target": "truth", "loss": "squared_error"}, "loss", "squared_error", "'truth' is boolean", "auto"),
        ({"target": "number", "loss": "softmax_cross_entropy"}, "loss", "softmax_cross_entropy", "fractional", "auto"),
        ({"target": "three", "loss": "binary_cross_entropy"}, "loss", "binary_cross_entropy", "has 3", "auto"),
        ({"target": "three", "loss": "hinge"}, "loss", "hinge", "has 3", "auto, softmax_cross_entropy, softmax_focal"),
        ({"target": "two", "loss": "huber"}, "loss", "huber", "huber needs numbers", "binary_focal, hinge"),
        ({"target": "signed", "loss": "gamma"}, "loss", "gamma", "> 0, and the target 'signed' has -30", "squared_er"),
        (
            {"target": "count", "loss": "gamma"},
            "loss",
            "gamma",
            "> 0, and the target 'count' has 0",
            "auto, squared_er",
        ),
        ({"target": "zero", "loss": "poisson"}, "target", "zero", "is 0 in every row", "numbers above 0"),
        ({"target": "number", "class_weight": "balanced"}, "class_weight", "balanced", "no classes to weigh", "null"),
        ({"target": "two", "class_weight": {"yes": 2, "maybe": 3}}, "class_weight.maybe", 3, "no such", "no, yes"),
        (
            {"target": "two", "class_weight": {"yes": 0, "no": 0.0}},
            "class_weight",
            "{'yes': 0.0, 'no': 0.0}",
            "nothing to learn from",
            "above 0",
        ),
        (
            {"target": "three", "optimizer": "lbfgs", "batch_size": 32},
            "batch_size",
            32,
            "all training rows",
            "auto, all",
        ),
        (
            {"target": "three", "optimizer": "lbfgs", "schedule": "cosine"},
            "schedule",
            "cosine",
            "not allowed with lbfgs",
            "constant",
        ),
        (
            {"target": "three", "batch_size": 1, "network": {"layers": [{"units": 2, "normalization": "batch_norm"}]}},
            "batch_size",
            1,
            "nothing of a single sample",
            "layer_norm",
        ),
        (
            {"target": "three", "split": {"by": "fraction", "validation": 0.001}},
            "split.validation",
            0.001,
            "no row for",
            "null",
        ),
        (
            {"target": "three", "split": {"by": "fraction", "validation": 0.999}},
            "split.validation",
            0.999,
            "to train on",
            "null",
        ),
        (
            {"target": "three", "network": {"layers": [{"units": 65536}, {"units": 65536}]}},
            "network.layers",
            "[65536, 65536]",
            "parameters or more",
            "up to 100000000 parameters (the setting DELTABAR_MAX_PARAMETERS)",
        ),
    ],
)
def test_an_error_names_field_value_and_what_is_allowed(
    job: dict[str, Any], field: str, value: object, message: str, allowed: str
):
    [error] = errors_of(**job)
    assert (error.field, error.value) == (field, value)
    assert message in error.message
    assert allowed in str(error.allowed)


def test_more_than_a_thousand_classes_are_refused():
    table = pl.DataFrame({"x": [row % 7 for row in range(1001)], "name": [f"n{row}" for row in range(1001)]})
    [error] = errors_of(table, target="name", split=None)
    assert "1001 classes" in error.message
    assert error.allowed == "from 2 to 1000 classes"


def test_a_target_alone_leaves_nothing_to_learn_from():
    [error] = errors_of(TABLE.select("three", "nothing"), target="three")
    assert error.field == "target"
    assert "nothing to predict the target from" in error.message


def test_all_errors_come_at_once():
    errors = errors_of(TABLE.select("rare", "nothing"), target="rare", split={"by": "fraction", "validation": 0.999})
    assert [error.field for error in errors] == ["target", "split.validation", "target"]


def test_core_is_asked_whether_the_optimizer_goes_with_all_else():
    numbers = {"l1": 0.1, "l2": 0.1, "clip_norm": 1.0}
    errors = errors_of(target="three", optimizer="lbfgs", regularization=numbers, schedule="step")
    assert [(error.field, error.value) for error in errors] == [
        ("regularization.l1", 0.1), ("regularization.clip_norm", 1.0), ("schedule", "step"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("optimizer", "given", "size"),
    [("adam", "auto", 32), ("lbfgs", "auto", "all"), ("adam", "all", "all"), ("adam", 7, 7), ("lbfgs", 100, 100)],
)
def test_the_size_of_a_batch(optimizer: str, given: Any, size: Any):
    assert spec_of(target="three", optimizer=optimizer, batch_size=given).batch_size == size


@pytest.mark.parametrize(
    ("fields", "steps"),
    [
        ({"split": None, "epochs": 1, "batch_size": "all"}, 1),
        ({"split": None, "epochs": 25, "batch_size": "all"}, 25),
        ({"split": None, "epochs": 9, "batch_size": ROWS - 1}, 18),  # the last batch is smaller, and a step too
    ],
)
@pytest.mark.parametrize("rate", [0.001, 0.05])
def test_the_optimizer_that_none_has_named_decays_as_the_steps_ask_for(fields: dict[str, Any], steps: int, rate: float):
    """(1 − ηλ) per step, with ηλ = 0.05 / √steps."""
    found = spec_of(target="three", optimizer={"learning_rate": rate}, **fields).optimizer
    assert found.name == "adamw"
    assert found.model_dump()["learning_rate"] == rate
    assert found.model_dump()["weight_decay"] * rate * steps**0.5 == pytest.approx(0.05, rel=0.005)


def test_only_rows_with_a_target_count_for_the_split():
    errors = errors_of(target="hardly", split={"by": "fraction", "validation": 0.2, "stratify": False})
    assert [error.field for error in errors] == ["split.validation"]
    assert "of the 2 rows" in errors[0].message


@pytest.mark.parametrize("split", [None, {"by": "fraction", "stratify": False}])
def test_a_label_seen_once_is_no_error_without_stratification(split: dict[str, Any] | None):
    assert spec_of(target="rare", split=split).loss.name == "binary_cross_entropy"


def test_an_unknown_data_set_is_an_error_of_its_field_and_leaves_nothing(context: Context):
    with pytest.raises(Problem) as raised:
        service.post_job(context, JobRequest(dataset_id=DATASET_ID, target="species"))
    assert [error.field for error in raised.value.errors] == ["dataset_id"]
    with context.database.read() as session:
        assert session.scalars(select(tables.Job)).all() == []
        assert session.scalars(select(tables.Event)).all() == []


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({"target": "three", "early_stopping": {"monitor": "r2"}}, "one of: loss, validation_loss, accuracy"),
        ({"target": "three", "early_stopping": {}, "split": None}, "one of: loss"),
    ],
)
def test_early_stopping_needs_a_number_that_is_measured(fields: dict[str, Any], allowed: str):
    [error] = errors_of(**fields)
    assert error.field == "early_stopping.monitor"
    assert error.allowed == allowed
