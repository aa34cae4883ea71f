"""What a job may choose from `core`, as JSON: derived from core's dataclasses, so that core alone says what there is.

A new optimizer in `core.OPTIMIZERS` is in the API, and in its OpenAPI description, by itself: its name, its numbers,
their defaults from the dataclass, their meaning from its docstring. What a number may be is asked of core as well, by
making the object; core's error is told under the field's name.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Union, cast, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

import core
from core.layers.normalization import Normalization
from core.regularization import Regularization
from service.jobs.auto_optimizer import AutoOptimizer
from service.jobs.schemas import Choice


class Numbers(BaseModel):
    """The base of all models that are derived from a class of core."""

    # strict: `true` is not 1, and "0.1" is not 0.1. Built when first used, as the web process is to start fast.
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

    thing: ClassVar[type]
    """The class of core."""

    def make(self) -> Any:
        """Return the object of core; raises ValueError, as core does, for what core doesn't allow."""
        numbers = {name: getattr(self, name) for name in type(self).model_fields if name != "name"}
        return self.thing(**{name: SCHEDULE.make(v) if isinstance(v, Choice) else v for name, v in numbers.items()})


def derived(thing: type, name: str | None = None, following: OneOf | None = None) -> type[Numbers]:
    """Return the model whose fields are those of `thing`, after its `name` where it has one.

    Args:
        thing: a dataclass, or a class without numbers.
        name: what the field `name` must be.
        following: which schedules a field for a schedule takes.

    >>> derived(core.Huber, "huber")().model_dump()
    {'name': 'huber', 'delta': 1.0}
    """
    fields: dict[str, Any] = {} if name is None else {"name": (_literal([name]), name)}
    types, told = get_type_hints(thing), _descriptions(thing)
    for each in _fields(thing):
        kind, default = types[each.name], each.default
        if kind is core.Schedule:
            assert following is not None, f"{thing.__name__} takes another schedule"
            assert callable(each.default_factory)
            kind, default = Annotated[Choice, following], following.choose(each.default_factory())
        fields[each.name] = (kind, Field(default=default, description=told.get(each.name)))
    says = (inspect.getdoc(thing) or "").partition("\n")[0]
    model = create_model(thing.__name__, __base__=Numbers, __doc__=says, **fields)
    model.thing = thing
    return model


@dataclasses.dataclass(frozen=True, eq=False)
class OneOf:
    """Annotates a field that takes one of several things of core: a name, or an object with the name and numbers.

    What the field holds is a `Choice` with every number, given or not.

    Args:
        kind: what the things are, in a word.
        models: the derived model of each, by name.
        default: the name where an object has none; without it, the name must be given.
        words: other words that the field takes, and keeps.
    """

    kind: str
    models: Mapping[str, type[Numbers]]
    default: str | None = None
    words: tuple[str, ...] = ()

    def choose(self, given: Any) -> Any:
        """Return `given`, JSON or an object of core, as a `Choice`.

        Raises `ValidationError` with everything that is wrong, each at its field.
        """
        if isinstance(given, str) and given in self.words:
            return given
        return Choice(**self._checked(given).model_dump())

    def make(self, choice: Choice) -> Any:
        """Return the object of core that `choice` describes; equal ones have the same, which nobody can change."""
        return self._made(choice.model_dump_json())

    @lru_cache(maxsize=256)  # noqa: B019 -- there are a few of these objects, for ever
    def _made(self, choice: str) -> Any:
        return self._checked(json.loads(choice)).make()

    def _checked(self, given: Any) -> Numbers:
        names = ", ".join([*self.words, *self.models])
        if isinstance(given, Choice):
            given = given.model_dump()
        for name, model in self.models.items():
            if type(given) is model.thing:
                given = {"name": name} | {each.name: getattr(given, each.name) for each in _fields(given)}
        if not isinstance(given, str | dict):
            allowed = f"one of: {names}; or an object with the name and its numbers"
            raise PydanticCustomError("choice_type", "input should be a name or an object", {"allowed": allowed})
        name = given if isinstance(given, str) else given.get("name", self.default)
        model = self.models.get(name) if isinstance(name, str) else None
        if model is None:
            message = "this field is required" if name is None else f"there is no such {self.kind}"
            at = () if isinstance(given, str) else ("name",)
            raise ValidationError.from_exception_data(self.kind, [_error(at, name, message, f"one of: {names}")])
        return checked(model, {**(given if isinstance(given, dict) else {}), "name": name})

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.choose, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        if handler.mode == "serialization":
            return handler(schema)
        models = tuple(self.models.values())
        objects = Annotated[Union[models], Field(discriminator="name")]  # noqa: UP007 -- of as many as there are
        given: Any = Union[_literal([*self.words, *self.models]), objects]  # noqa: UP007
        return handler(TypeAdapter(given).core_schema)


@dataclasses.dataclass(frozen=True, eq=False)
class NumbersOf:
    """Annotates a field that takes the numbers of `model`, and holds all of them by name, given or not."""

    model: type[Numbers]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda given: checked(self.model, given).model_dump(), handler(source)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(schema if handler.mode == "serialization" else TypeAdapter(self.model).core_schema)


@dataclasses.dataclass(frozen=True, eq=False)
class Name:
    """Annotates a field that takes one of `names`."""

    names: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(list(self.names))


def checked(model: type[Numbers], given: Any) -> Numbers:
    """Return the `model` of `given`, with which core is content; raises `ValidationError` with every message at once.

    Core stops at the first number that it doesn't allow. So the fields at fault are left out, and it is asked again.
    """
    if not isinstance(given, dict):
        return model.model_validate(given)
    errors: list[InitErrorDetails] = []
    left = dict(given)
    while True:
        try:
            numbers = model.model_validate(left)
            numbers.make()
        except ValidationError as error:
            found = [_again(item, model) for item in error.errors()]
        except ValueError as error:
            found = [_of_core(error, left)]
        else:
            if errors:
                raise ValidationError.from_exception_data(model.__name__, errors)
            return numbers
        errors += found
        at_fault = {name for error in found for name in error.get("loc", ())[:1]}
        if not at_fault & left.keys():  # it isn't what was given
            raise ValidationError.from_exception_data(model.__name__, errors)
        left = {name: value for name, value in left.items() if name not in at_fault}


def _again(item: Any, model: type[Numbers]) -> InitErrorDetails:
    """Return an error that pydantic found as one to raise; a field that isn't there is told those that are."""
    ctx = dict(item.get("ctx", {}))
    if item["type"] == "extra_forbidden" and len(item["loc"]) == 1:
        ctx["allowed"] = f"one of: {', '.join(model.model_fields)}"
    return {
        "type": PydanticCustomError(item["type"], item["msg"], ctx),
        "loc": item["loc"],
        "input": item["input"],
    }


def _of_core(error: ValueError, given: Mapping[str, Any]) -> InitErrorDetails:
    """Return core's error, "name: value is not allowed; it must be …", as one of the field `name`."""
    name, _, rest = str(error).partition(": ")
    message, _, allowed = rest.partition("; ")
    return _error((name,), given.get(name), message, allowed.removeprefix("it must be "))


def _error(loc: tuple[str, ...], value: Any, message: str, allowed: str) -> InitErrorDetails:
    return {"type": PydanticCustomError("choice", "{message}", {"message": message, "allowed": allowed}),
            "loc": loc, "input": value}  # fmt: skip


def _literal(words: Iterable[str]) -> Any:
    return cast("Any", Literal)[tuple(words)]


def _fields(thing: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(thing) if dataclasses.is_dataclass(thing) else ()


def _descriptions(thing: type) -> dict[str, str]:
    """Return the first sentence on each argument in the docstrings, the class's own before those of its bases."""
    found: dict[str, str] = {}
    for cls in inspect.getmro(thing):
        section = re.search(r"\n *Args:\n(.*?)(\n\n|\Z)", cls.__doc__ or "", re.DOTALL)
        for name, text in re.findall(r"^ *(\w+): (.*?)(?=^ *\w+: |\Z)", section[1] if section else "", re.M | re.S):
            sentence = re.split(r"\.\s", " ".join(text.split()))[0].rstrip(".")
            if "`" not in sentence:  # it refers to another class, whose docstring comes later
                found.setdefault(name, sentence)
    return found


def _schedules() -> OneOf:
    """Return all schedules; one that another follows takes those that none follows, so that they nest once."""
    nests = {name for name, cls in core.SCHEDULES.items() if core.Schedule in get_type_hints(cls).values()}
    plain = {name: derived(cls, name) for name, cls in core.SCHEDULES.items() if name not in nests}
    following = OneOf("schedule", plain)
    return OneOf(
        "schedule",
        plain | {name: derived(cls, name, following) for name, cls in core.SCHEDULES.items() if name in nests},
    )


def _normalizations() -> dict[str, type[Numbers]]:
    return {name: derived(cls, name) for name, cls in core.LAYERS.items() if issubclass(cls, Normalization)}


OPTIMIZER = OneOf(
    "optimizer",
    {name: derived(cls, name) for name, cls in {"auto": AutoOptimizer, **core.OPTIMIZERS}.items()},
    default="auto",
)
SCHEDULE = _schedules()
LOSS = OneOf("loss", {name: derived(type(loss), name) for name, loss in core.LOSSES.items()}, words=("auto",))
NORMALIZATION = OneOf("normalization", _normalizations())
REGULARIZATION = NumbersOf(derived(Regularization))
ACTIVATION = Name(tuple(core.ACTIVATIONS))
