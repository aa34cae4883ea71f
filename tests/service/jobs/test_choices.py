"""The schemas that are derived from core: complete, with core's defaults, and with core's opinion of the numbers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

import core
from core.layers.normalization import Normalization
from core.regularization import Regularization
from service.jobs.auto_optimizer import AutoOptimizer
from service.jobs.choices import ACTIVATION, LOSS, NORMALIZATION, OPTIMIZER, REGULARIZATION, SCHEDULE, OneOf, derived
from service.jobs.request import JobRequest

KINDS: dict[str, tuple[OneOf, dict[str, Any]]] = {
    "optimizer": (OPTIMIZER, {name: make() for name, make in {"auto": AutoOptimizer, **core.OPTIMIZERS}.items()}),
    "schedule": (SCHEDULE, {name: make() for name, make in core.SCHEDULES.items()}),
    "loss": (LOSS, dict(core.LOSSES)),
    "normalization": (NORMALIZATION, {n: make() for n, make in core.LAYERS.items() if issubclass(make, Normalization)}),
}
EVERY = [(kind, name) for kind, (_, things) in KINDS.items() for name in things]


@dataclass(frozen=True)
class Stride(core.Sgd):
    """p ← p − η c g.

    Args:
        width: c, at least 1. More on it.
        learning_rate: as in `Sgd`.
    """

    width: int = 2
    labelled: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width < 1:
            raise ValueError(f"width: {self.width!r} is not allowed; it must be ≥ 1")


def fields_of(thing: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(thing)} if dataclasses.is_dataclass(thing) else set()


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_all_that_core_has(kind: str):
    one_of, things = KINDS[kind]
    assert set(one_of.models) == set(things)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_name_alone_is_the_object_with_cores_defaults_and_all_of_its_numbers(kind: str, name: str):
    one_of, things = KINDS[kind]
    choice = one_of.choose(name)
    assert set(choice.model_dump()) == {"name"} | fields_of(things[name])
    made = one_of.make(choice)
    assert type(made) is type(things[name])
    assert dataclasses.asdict(made) == dataclasses.asdict(things[name]) if fields_of(made) else True
    assert one_of.choose(made) == choice == one_of.choose(choice.model_dump())


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_core_is_asked_about_every_number(kind: str, name: str):
    """NaN and a text are allowed nowhere; −1 nowhere either, and it is core alone that says so."""
    one_of, things = KINDS[kind]
    numbers = [
        field for field in fields_of(things[name]) if type(getattr(things[name], field)) in (int, float, type(None))
    ]
    for number in numbers:
        for value in (float("nan"), "1", -1):
            with pytest.raises(ValidationError) as raised:
                one_of.choose({"name": name, number: value})
            [error] = raised.value.errors()
            assert error["loc"] == (number,)


def test_regularization_and_activations_are_cores_too():
    assert set(REGULARIZATION.model.model_fields) == fields_of(Regularization)
    assert set(ACTIVATION.names) == set(core.ACTIVATIONS)


def test_a_new_optimizer_in_core_is_in_the_api_by_itself():
    one_of = OneOf("optimizer", {"stride": derived(Stride, "stride")})
    assert one_of.choose({"name": "stride", "width": 3}).model_dump() == {
        "name": "stride", "learning_rate": 0.01, "momentum": 0.0, "nesterov": False, "width": 3, "labelled": True,
        "weight_decay": 0.0,
    }  # fmt: skip
    assert one_of.make(one_of.choose({"name": "stride", "width": 4})) == Stride(width=4)
    for given, at in (({"width": 0}, "width"), ({"width": 2.0}, "width"), ({"labelled": 1}, "labelled")):
        with pytest.raises(ValidationError) as raised:
            one_of.choose({"name": "stride", **given})
        assert [error["loc"] for error in raised.value.errors()] == [(at,)]
    schema = one_of.models["stride"].model_json_schema()
    assert schema["description"] == "p ← p − η c g."
    assert schema["properties"]["width"]["description"] == "c, at least 1"
    assert schema["properties"]["learning_rate"]["description"] == "η > 0"


def test_the_description_of_a_request_names_everything():
    schema = JobRequest.model_json_schema()
    for kind in ("optimizer", "schedule", "loss"):
        names, objects = schema["properties"][kind]["anyOf"]
        assert set(objects["discriminator"]["mapping"]) == set(KINDS[kind][1])
        assert set(names["enum"]) - {"auto"} == set(KINDS[kind][1]) - {"auto"}
    layer = schema["$defs"]["RequestedLayer"]["properties"]
    assert set(layer["activation"]["enum"]) == set(core.ACTIVATIONS)
    assert schema["properties"]["optimizer"]["default"]["name"] == "auto"
    numbers = [
        (model["title"], name)
        for model in schema["$defs"].values()
        for name, field in model.get("properties", {}).items()
        if model["title"] in {type(thing).__name__ for _, things in KINDS.values() for thing in things.values()}
        and name not in ("name", "then")
        and not field.get("description")
    ]
    assert numbers == [], "numbers that core's docstrings don't explain"


def test_what_is_held_is_written_as_it_is():
    adapter = TypeAdapter(JobRequest)
    request = JobRequest(dataset_id="ds_" + "0" * 32, target="y", schedule={"name": "warmup", "then": "cosine"})  # type: ignore[arg-type]
    written = adapter.dump_python(request)
    assert written["schedule"]["then"]["name"] == "cosine"
    assert written["loss"] == "auto"
    assert adapter.validate_python(written) == request
