"""Shapes that the whole API shares: the list envelope, and the document that stands for every error."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item", bound=BaseModel)


class Given(BaseModel):
    """The base of what callers send."""

    # strict: `true` is not 1, "64" is not 64, 64.5 is not 64
    model_config = ConfigDict(extra="forbid", strict=True)


class Page(BaseModel, Generic[Item]):
    """A part of a list; ask again with `after=last_id` while `has_more`."""

    object: Literal["list"] = "list"
    data: list[Item]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False


class FieldError(BaseModel):
    """One thing that is wrong with a request."""

    field: str = Field(description="Path of the field, as in `network.layers.0.units`; `body`, or `query.limit`")
    value: Any = Field(default=None, description="What was given, shortened where it is long")
    message: str
    allowed: str | None = Field(default=None, description="What would be accepted")


class ProblemDocument(BaseModel):
    """The body of every error (RFC 9457, with the extensions `code` and `errors`)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] = []
    instance: str | None = Field(default=None, description="Names the request, as the header X-Request-ID does")
