"""How the rows of a job's data set are divided: those to train on, those to validate on, those to test on.

The Python client reads this too, so it imports nothing of core.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, FiniteFloat, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from service.ids import DatasetId
from service.schemas import Given

ColumnName = Annotated[str, StringConstraints(min_length=1)]
Share = Annotated[FiniteFloat, Field(ge=0, lt=1)]
Part = Literal["validation", "test"]
Mark = Annotated[str, StringConstraints(min_length=1, max_length=500)]
_SHARE = TypeAdapter(Share, config={"strict": True})
_DATASET = TypeAdapter(DatasetId)


class Fractions(Given):
    """What the splits that take shares of the rows have in common."""

    validation: Share = Field(default=0.2, description="Share of the rows that each epoch is measured on")
    test: Share = Field(default=0.0, description="Share of the rows that the model is measured on once, at the end")


class ByFraction(Fractions):
    """Rows are drawn at random."""

    by: Literal["fraction"] = "fraction"
    stratify: bool = Field(default=True, description="Keep the shares of the classes; without effect on regression")


class ByGroup(Fractions):
    """Groups are drawn at random: rows with the same value in `column`, such as a patient, stay together.

    Rows without a value are a group of their own.
    """

    by: Literal["group"]
    column: ColumnName


class ByTime(Fractions):
    """The latest rows are the test rows, those before them the validation rows.

    `column` has dates or numbers; of equal ones those further down count as later. Rows without a value are trained on.
    """

    by: Literal["time"]
    column: ColumnName


class ByColumn(Given):
    """`column` says of each row what it is for."""

    by: Literal["column"]
    column: ColumnName
    train: Mark = Field(default="train", description="The value of the rows to train on")
    validation: Mark = Field(default="validation", description="Of those to validate on; there may be none")
    test: Mark = Field(default="test", description="Of those to test on; there may be none")


def _share_or_dataset(given: Any) -> Any:
    return _DATASET.validate_python(given) if isinstance(given, str) else _SHARE.validate_python(given)


class ByDataset(Given):
    """Other data sets, with the same columns, are held out."""

    by: Literal["dataset"]
    validation: Annotated[DatasetId | Share, BeforeValidator(_share_or_dataset)] = Field(
        default=0.2, description="The data set to validate on; or a share of the job's own rows, drawn at random"
    )
    test: DatasetId | None = Field(default=None, description="The data set to test on")
    stratify: bool = Field(default=True, description="Of a share: keep the shares of the classes")


_MODELS: dict[str, type[Given]] = {
    "fraction": ByFraction,
    "group": ByGroup,
    "time": ByTime,
    "column": ByColumn,
    "dataset": ByDataset,
}
_WAYS = f"one of: {', '.join(_MODELS)}"


def _read(given: Any) -> Any:
    """Return the split that `given`, JSON, describes; its errors have the paths that a caller sees."""
    if isinstance(given, Given):
        return given
    if not isinstance(given, dict):
        allowed = f"an object whose field by is {_WAYS}"
        raise PydanticCustomError("split_type", "input should be an object", {"allowed": allowed})
    model = _MODELS.get(by) if isinstance(by := given.get("by"), str) else None
    if model is None:
        message = "there is no such way to split" if "by" in given else "this field is required"
        error = PydanticCustomError("split", "{message}", {"message": message, "allowed": _WAYS})
        raise ValidationError.from_exception_data("split", [{"type": error, "loc": ("by",), "input": by}])
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise ValidationError.from_exception_data("split", [_told(item, model) for item in error.errors()]) from None


def _told(item: Any, model: type[Given]) -> InitErrorDetails:
    """Return an error that pydantic found as one to raise; a field that isn't there is told those that are."""
    ctx = dict(item.get("ctx", {}))
    if item["type"] == "extra_forbidden":
        ctx["allowed"] = f"one of: {', '.join(model.model_fields)}"
    return {"type": PydanticCustomError(item["type"], item["msg"], ctx), "loc": item["loc"], "input": item["input"]}


Split = Annotated[
    ByFraction | ByGroup | ByTime | ByColumn | ByDataset, Field(discriminator="by"), BeforeValidator(_read)
]


def column_of(split: Split | None) -> str | None:
    """Return the column that the rows are divided by, which is no feature then; None where there is none."""
    return split.column if isinstance(split, ByGroup | ByTime | ByColumn) else None


def fractions_of(split: Split | None) -> dict[Part, float]:
    """Return the shares of the rows that are held out, by what they are for, in the order in which they are drawn.

    >>> fractions_of(ByFraction(test=0.1))
    {'validation': 0.2, 'test': 0.1}
    """
    if split is None or isinstance(split, ByColumn):
        return {}
    given: dict[Part, Any] = {"validation": split.validation, "test": split.test}
    return {part: share for part, share in given.items() if isinstance(share, int | float) and share > 0}


def is_stratified(split: Split | None) -> bool:
    """Return whether each class is to have its share of the rows that are drawn."""
    return isinstance(split, ByFraction | ByDataset) and split.stratify


def datasets_of(split: Split | None) -> dict[Part, str]:
    """Return the ids of the data sets that are held out, by what they are for."""
    if not isinstance(split, ByDataset):
        return {}
    named: dict[Part, Any] = {"validation": split.validation, "test": split.test}
    return {part: given for part, given in named.items() if isinstance(given, str)}


def older(spec: Any) -> Any:
    """Return a stored spec with `split`, where it is of the time when there was `validation` in its place."""
    if not isinstance(spec, dict) or "validation" not in spec:
        return spec
    rest = {name: value for name, value in spec.items() if name != "validation"}
    given = spec["validation"]
    split = (
        None if given is None else {"by": "fraction", "validation": given["fraction"], "stratify": given["stratify"]}
    )
    return {"split": split, **rest}
