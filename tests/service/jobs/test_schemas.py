from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

import core
from service.jobs.request import JobRequest
from service.jobs.schemas import Choice, Layer, Network, Output, Spec
from service.problems import field_errors

VALID = {"dataset_id": "ds_" + "0" * 32, "target": "species"}


def errors_of(**fields: Any) -> list[tuple[str, Any, str | None]]:
    with pytest.raises(ValidationError) as raised:
        JobRequest.model_validate(VALID | fields)
    return [(error.field, error.value, error.allowed) for error in field_errors(_below_body(raised.value), JobRequest)]


def _below_body(error: ValidationError) -> list[Any]:
    return [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]


def layers(*given: Any) -> dict[str, Any]:
    return {"network": {"layers": list(given)}}


def adam(**given: Any) -> dict[str, Any]:
    return {"optimizer": {"name": "adam", **given}}


def warmup(then: Any) -> dict[str, Any]:
    return {"schedule": {"name": "warmup", "then": then}}


SCHEDULES = "constant, step, exponential, polynomial, cosine, one_cycle, reduce_on_plateau"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (layers({"units": 0}), ("network.layers.0.units", 0, "≥ 1")),
        (layers({"units": 65537}), ("network.layers.0.units", 65537, "≤ 65536")),
        (layers({"units": 3}, {"units": True}), ("network.layers.1.units", True, "an integer")),
        (layers({"units": 3.0}), ("network.layers.0.units", 3.0, "an integer")),
        (layers({"units": "3"}), ("network.layers.0.units", "3", "an integer")),
        (layers({"units": 3, "dropout": 1.0}), ("network.layers.0.dropout", 1.0, "< 1.0")),
        (
            layers({"units": 3, "bias": True}),
            ("network.layers.0.bias", True, "one of: units, activation, normalization, dropout"),
        ),
        (layers(*[{"units": 1}] * 33), ("network.layers", None, "from 0 to 32 items")),
        ({"epochs": 0}, ("epochs", 0, "≥ 1")),
        ({"epochs": 1_000_001}, ("epochs", 1_000_001, "≤ 1000000")),
        ({"batch_size": True}, ("batch_size", True, "an integer")),
        ({"batch_size": 0}, ("batch_size", 0, "≥ 1")),
        ({"batch_size": "some"}, ("batch_size", "some", "an integer")),
        ({"seed": -1}, ("seed", -1, "≥ 0")),
        ({"seed": 2**63}, ("seed", str(2**63), f"≤ {2**63 - 1}")),
        ({"split": {"by": "fraction", "test": -0.1}}, ("split.test", -0.1, "≥ 0.0")),
        ({"split": {"by": "fraction", "validation": 1.0}}, ("split.validation", 1.0, "< 1.0")),
        ({"split": {"by": "fraction", "validation": True}}, ("split.validation", True, "a number")),
        ({"split": {"by": "fraction", "stratify": 1}}, ("split.stratify", 1, "true or false")),
        (adam(learning_rate=float("nan")), ("optimizer.learning_rate", "nan", "a finite number")),
        (adam(learning_rate=float("inf")), ("optimizer.learning_rate", "inf", "a finite number")),
        (adam(learning_rate=0), ("optimizer.learning_rate", 0, "> 0 and finite")),
        (adam(learning_rate="1"), ("optimizer.learning_rate", "1", "a number")),
        (adam(beta1=1), ("optimizer.beta1", 1, "≥ 0 and < 1")),
        (
            adam(momentum=0.9),
            ("optimizer.momentum", 0.9, "one of: name, learning_rate, weight_decay, beta1, beta2, epsilon"),
        ),
        ({"optimizer": {"name": "sgd", "nesterov": True}}, ("optimizer.nesterov", True, "give a momentum > 0")),
        ({"optimizer": {"name": "rmsprop", "centered": 1}}, ("optimizer.centered", 1, "true or false")),
        ({"optimizer": None}, ("optimizer", None, None)),
        ({"schedule": {}}, ("schedule.name", None, f"one of: {SCHEDULES}, warmup")),
        ({"schedule": {"name": "cosine", "end": 2}}, ("schedule.end", 2, "≥ 0 and ≤ 1")),
        (warmup({"name": "cosine", "end": 2}), ("schedule.then.end", 2, "≥ 0 and ≤ 1")),
        (warmup({"name": "cosine", "until": 2}), ("schedule.then.until", 2, "one of: name, cycle, growth, end")),
        (warmup("warmup"), ("schedule.then", "warmup", f"one of: {SCHEDULES}")),
        ({"loss": {"name": "huber", "delta": 0}}, ("loss.delta", 0, "> 0 and finite")),
        ({"loss": {"delta": 1}}, ("loss.name", None, None)),
        ({"loss": {"name": "auto"}}, ("loss.name", "auto", None)),
        ({"regularization": {"l2": -1}}, ("regularization.l2", -1, "> 0 and finite")),
        (
            {"regularization": {"l3": 1}},
            ("regularization.l3", 1, "one of: l1, l2, clip_value, clip_norm, max_norm"),
        ),
        ({"regularization": None}, ("regularization", None, "an object")),
        ({"average": 1}, ("average", 1, "< 1.0")),
        (
            {"class_weight": "equal"},
            ("class_weight", "equal", '"balanced", or an object from labels to weights from 0 to 1e6, or null'),
        ),
        ({"class_weight": {"a": -1}}, ("class_weight.a", -1, "≥ 0.0")),
        ({"class_weight": {"a": 1e308}}, ("class_weight.a", 1e308, "≤ 1000000.0")),
        ({"class_weight": {"a": True}}, ("class_weight.a", True, "a number")),
        (layers({"units": 3, "activation": "relux"}), ("network.layers.0.activation", "relux", None)),
        (
            layers({"units": 3, "normalization": "batch"}),
            ("network.layers.0.normalization", "batch", "one of: layer_norm, batch_norm"),
        ),
        (
            layers({"units": 3, "normalization": {"name": "batch_norm", "momentum": 2}}),
            ("network.layers.0.normalization.momentum", 2, "≥ 0 and ≤ 1"),
        ),
        ({"dtype": "float16"}, ("dtype", "float16", "one of: 'float32', 'float64'")),
        ({"device": "tpu"}, ("device", "tpu", r"text that matches ^(auto|cpu|cuda(:\d{1,2})?)$")),
        ({"loss": "mse"}, ("loss", "mse", f"one of: auto, {', '.join(core.LOSSES)}")),
        ({"metadata": {str(n): "" for n in range(17)}}, ("metadata", None, "from 0 to 16 items")),
        ({"speed": {}}, ("speed", "{}", None)),
        ({"target": ""}, ("target", "", "from 1 to any number of characters")),
        ({"dataset_id": "iris"}, ("dataset_id", "iris", None)),
    ],
)
def test_what_does_not_fit_is_refused_by_name(fields: dict[str, Any], expected: tuple[str, Any, str | None]):
    [(field, value, allowed)] = errors_of(**fields)
    wanted_field, wanted_value, wanted_allowed = expected
    assert field == wanted_field
    assert wanted_value is None or value == wanted_value
    assert allowed is not None
    assert wanted_allowed is None or allowed == wanted_allowed


def test_every_error_comes_at_once():
    wrong = adam(learning_rate=-1, beta1=2, beta2="x", momentum=0.9)
    fields = {"epochs": 0, "seed": "x", **layers({"units": 0}), **wrong, "speed": 9}
    assert sorted(field for field, _, _ in errors_of(**fields)) == [
        "epochs", "network.layers.0.units", "optimizer.beta1", "optimizer.beta2", "optimizer.learning_rate",
        "optimizer.momentum", "seed", "speed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "name"), [({}, "auto"), ({"learning_rate": 1}, "auto"), ({"name": "sgd", "momentum": 0.9}, "sgd")]
)
def test_an_optimizer_without_a_name_is_auto(given: dict[str, Any], name: str):
    assert JobRequest.model_validate(VALID | {"optimizer": given}).optimizer.name == name


@pytest.mark.parametrize(("given", "field"), [({"name": "adamx"}, "optimizer.name"), ("adamx", "optimizer")])
def test_an_unknown_optimizer_is_refused_with_the_known_ones(given: Any, field: str):
    assert errors_of(optimizer=given) == [(field, "adamx", f"one of: {', '.join(['auto', *core.OPTIMIZERS])}")]


@pytest.mark.parametrize("fields", [layers(), {"split": None}, {"device": "cuda:1"}, {"seed": 2**63 - 1}])
def test_the_edges_are_allowed(fields: dict[str, Any]):
    assert JobRequest.model_validate(VALID | fields)


def test_a_spec_survives_json():
    request = JobRequest.model_validate(VALID | {"optimizer": {"name": "sgd"}, "split": None} | warmup("cosine"))
    spec = Spec(
        **request.model_dump(exclude={"dataset_id", "loss", "batch_size"}), batch_size=32,
        task="regression", loss=Choice(name="squared_error"), output=Output(units=1, activation="identity"),
    )  # fmt: skip
    assert Spec.model_validate(json.loads(spec.model_dump_json())) == spec


def test_a_spec_of_the_first_version_can_still_be_read():
    spec = Spec.model_validate(
        {
            "target": "species", "network": {"layers": [{"units": 3, "activation": "relu", "dropout": 0.0}]},
            "optimizer": {"name": "adam", "learning_rate": 0.001, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
            "epochs": 1, "batch_size": 32, "split": None, "early_stopping": None, "seed": 0, "device": "auto",
            "dtype": "float32", "metadata": {}, "task": "regression", "loss": "squared_error",
            "output": {"units": 1, "activation": "identity"},
        }
    )  # fmt: skip
    assert (spec.loss, spec.schedule) == (Choice(name="squared_error"), Choice(name="constant"))
    assert spec.network == Network(layers=[Layer(units=3, activation="relu")])
