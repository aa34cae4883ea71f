"""The form of a job, made from the schema of the request: every field that the API takes, with its own description.

So a new optimizer, or a new field, is on the page by itself. What stands here besides is which fields most people look
at, and what the page can offer where the schema knows but the type: columns, data sets, models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from service.datasets.schemas import Dataset
from service.jobs.request import JobRequest

COMMON = ("network", "epochs", "batch_size", "optimizer", "loss", "seed", "split", "early_stopping")
FIRST_OF_A_CHOICE = ("optimizer.learning_rate",)
"""Numbers that are shown at once; the others of an optimizer, a schedule or a loss are folded."""
ELSEWHERE = ("dataset_id", "target", "kinds")
"""What the table of columns asks for."""
COLUMN = "column"

Kind = Literal["input", "select", "box", "json", "choice", "group", "list"]


@dataclass(frozen=True)
class Field:
    """A field of the form, or several that belong together.

    Attributes:
        path: where its value stands in the request.
        kind: how it is asked for. A "choice" is a select with fields for each of its words, a "list" has any number of
            items with the same fields, "json" takes an object as it is written.
        says: what it means.
        default: what counts where it is left empty.
        text: whether what is typed is a text, also where it looks like a number.
        name_of: whether it may name something, of which the page can offer some.
        optional: whether null, which leaves it out, is allowed.
        words: what can be chosen, or typed besides a number.
        by: of a choice, the name of what says which; None where the word may stand by itself.
        cases: of a choice, the fields of each word.
        fields: of a group, or of an item of a list.
    """

    path: tuple[str, ...]
    kind: Kind
    says: str = ""
    default: Any = None
    text: bool = False
    name_of: bool = False
    optional: bool = False
    words: Sequence[str] = ()
    by: str | None = None
    cases: Mapping[str, Sequence[Field]] = field(default_factory=dict)
    fields: Sequence[Field] = ()

    @property
    def name(self) -> str:
        """Its path as the API's errors have it."""
        return ".".join(self.path)

    @property
    def label(self) -> str:
        """What people call it."""
        return self.path[-1].replace("_", " ").capitalize()

    @property
    def is_first(self) -> bool:
        """Whether it is to be seen without unfolding the choice that it belongs to."""
        return self.name in FIRST_OF_A_CHOICE or self.path[0] == "split"

    def shown(self, value: Any) -> str:
        """Return what stands in its input for `value`: nothing for the default, which shows through."""
        return "" if value is None or value == self.default else written(value)


def written(value: Any) -> str:
    """Return a value as one types it.

    >>> written(0.0), written(1e-08), written("auto")
    ('0', '1e-08', 'auto')
    """
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


@lru_cache(1)
def fields() -> tuple[list[Field], list[Field]]:
    """Return the fields that most people look at, in this order, and all others."""
    schema = JobRequest.model_json_schema()
    found = {each.path[0]: each for each in _fields(schema, schema["$defs"], ()) if each.path[0] not in ELSEWHERE}
    rare = [each for name, each in found.items() if name not in COMMON]
    return [found[name] for name in COMMON], sorted(rare, key=lambda each: each.kind in ("group", "json"))  # those last


def defaults() -> dict[str, Any]:
    """Return the fields of a job that says nothing but its data set and its target, as JSON."""
    known = {"dataset_id": f"ds_{'0' * 32}", "target": "-"}
    return JobRequest.model_validate(known).model_dump(mode="json", exclude=set(known))


def _fields(schema: Any, known: Any, path: tuple[str, ...], without: str | None = None) -> Iterator[Field]:
    for name, each in schema["properties"].items():
        if name != without:
            yield _field((*path, name), each, known)


def _field(path: tuple[str, ...], schema: Any, known: Any) -> Field:
    schema = _resolved(schema, known)
    kinds = [_resolved(each, known) for each in schema.get("anyOf", [schema])]
    some = [kind for kind in kinds if kind.get("type") != "null"]
    about: dict[str, Any] = {
        "path": path,
        "says": schema.get("description", "").partition(". ")[0],
        "default": schema.get("default"),
        "optional": len(some) < len(kinds),
    }
    words = [word for kind in some for word in kind.get("enum", [kind["const"]] if "const" in kind else [])]
    union = next((kind["discriminator"] for kind in some if "discriminator" in kind), None)
    if union:
        by, cases = union["propertyName"], {}
        for word, reference in union["mapping"].items():
            cases[word] = list(_fields(_resolved({"$ref": reference}, known), known, path, without=by))
        return Field(kind="choice", words=words or list(cases), by=None if words else by, cases=cases, **about)
    first, types = some[0], [each.get("type") for each in some]
    about |= {"words": words, "text": set(types) == {"string"}, "name_of": any("pattern" in each for each in some)}
    if "properties" in first:
        return Field(kind="group", fields=list(_fields(first, known, path)), **about)
    if types[0] == "array":
        item = _resolved(first["items"], known)
        return Field(kind="list", fields=list(_fields(item, known, (*path, "0"))), **about)
    if path[-1] == COLUMN or (words and len(some) == 1):
        return Field(kind="select", **about)
    of_types: dict[str, Kind] = {"object": "json", "boolean": "box"}
    return Field(kind=of_types.get(types[0], "input"), **about)


def _resolved(schema: Any, known: Any) -> Any:
    reference = schema.get("$ref")
    return {**known[reference.rpartition("/")[2]], **schema} if reference else schema


def tasks(dataset: Dataset) -> dict[str, str]:
    """Return in which way each column can be predicted, by its name; of those that can, as they are."""
    found: dict[str, str] = {}
    for column in dataset.columns:
        if column.kind in ("categorical", "boolean"):
            if column.classes and len(column.classes) > 1:
                found[column.name] = f"{len(column.classes)} classes"
        elif column.kind == "numeric":
            found[column.name] = "a number"
    return found
