"""What data sets look like over HTTP."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

Format = Literal["csv", "parquet", "jsonl", "json", "npy", "npz"]
Kind = Literal["numeric", "categorical", "boolean", "date", "text", "constant", "identifier"]
ChosenKind = Literal["numeric", "categorical", "boolean", "date", "text", "identifier"]
"""The kinds that an owner may give a column; "constant" is something that a column is or isn't."""
Value = bool | int | float | str | None


class Histogram(BaseModel):
    """How often which numbers are there: `rows[i]` lie from `edges[i]` up to `edges[i + 1]`."""

    edges: list[float]
    rows: list[int] = Field(description="Scaled up from a sample where there are many rows")


class Column(BaseModel):
    """A column of a data set, and what its values are like.

    Kinds: `numeric`, `categorical` (texts or labels that repeat), `boolean`, `date`, `text` (free text), `constant`
    (one value in every row, or none), `identifier` (a value of its own in nearly every row, and no quantity).
    """

    name: str
    kind: Kind
    values: Literal["number", "boolean", "date", "text"] = Field(default="text", description="What its cells hold")
    missing: int = Field(description="Rows without a value")
    distinct: int = Field(
        description="Different values, missing ones not counted; beyond 4096 an estimate, within about 5 %"
    )
    classes: dict[str, int] | None = Field(
        description="Rows of each value, values in ascending order; null for fractional numbers and above 1000 values"
    )
    top: dict[str, int] = Field(
        default={}, description="The ten most frequent values of texts and labels, the most frequent first"
    )
    minimum: int | float | None = Field(description="Null, as the next ones, where the column isn't of numbers")
    maximum: int | float | None
    mean: float | None
    standard_deviation: float | None = Field(description="Of these rows, that is with the divisor n")
    quantiles: dict[str, float] | None = Field(
        default=None, description="At 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99; of a sample where there are many rows"
    )
    histogram: Histogram | None = None
    first: str | None = Field(default=None, description="The earliest date, ISO 8601; null for other kinds")
    last: str | None = Field(default=None, description="The latest date")
    integer: bool = Field(description="Numbers, and every one is whole")
    feature: bool = Field(
        default=True,
        description="Whether jobs take it as a feature; free text, constants and identifiers they leave out "
        "unless they give it another kind",
    )


class Remark(BaseModel):
    """Something about the data that a person would warn of."""

    column: str
    code: str = Field(description="A stable word for programs, such as `identifier` or `leaks_target`")
    message: str


class Dataset(BaseModel):
    """An uploaded table. It never changes; the same bytes of one owner, read in one way, are the same data set."""

    object: Literal["dataset"] = "dataset"
    id: str
    owner: str = Field(description="Whose it is: that of the API key; local where there was none")
    name: str
    sha256: str
    format: Format
    bytes: int
    rows: int
    columns: list[Column]
    options: dict[str, Any] = Field(default={}, description="How the bytes were read, with what auto became")
    warnings: list[Remark] = []
    created_at: float = Field(description="Unix seconds")


class Preview(BaseModel):
    """The first rows of a data set; dates are ISO 8601."""

    object: Literal["preview"] = "preview"
    columns: list[str]
    rows: list[list[Value]]
