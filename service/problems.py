"""Errors as RFC 9457 problem documents: every message at once, each with the field, the value and what is allowed.

Nothing here imports FastAPI, which children that train would wait for; those who answer take `problem_answers`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, get_args

from pydantic import BaseModel

from service import logs
from service.schemas import FieldError, ProblemDocument

MEDIA_TYPE = "application/problem+json"
LONGEST_ECHO = 200


class Problem(Exception):  # noqa: N818 -- RFC 9457's own word
    """An error that a user is to see.

    Args:
        status: HTTP status.
        code: a stable word for programs, such as `dataset_not_found`.
        detail: one sentence for people: what is wrong and what to do.
        errors: the fields at fault, if any.
        headers: HTTP headers to send along.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: list[FieldError] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.errors, self.headers = errors or [], dict(headers or {})

    def document(self) -> dict[str, Any]:
        """Return the problem document as plain data."""
        request_id = logs.fields().get("request_id")
        return ProblemDocument(
            type=f"urn:deltabar:problem:{self.code}",
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            code=self.code,
            errors=self.errors,
            instance=f"urn:deltabar:request:{request_id}" if request_id else None,
        ).model_dump(mode="json")


def not_found(what: str, identifier: str) -> Problem:
    """Return the 404 for a `what` ("data set", "job", "model") that doesn't exist."""
    return Problem(404, f"{what.replace(' ', '_')}_not_found", f"There is no {what} with the id {echo(identifier)!r}.")


def invalid(errors: list[FieldError]) -> Problem:
    """Return the 422 that carries all `errors`."""
    named = "; ".join(f"{error.field}: {error.message}" for error in errors[:3])
    more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
    return Problem(422, "invalid_request", f"{named}{more}", errors)


def echo(value: Any) -> Any:
    """Return `value` as it may stand in an answer: valid JSON, and no longer than 200 characters.

    >>> echo(float("nan")), echo("x" * 300) == "x" * 200 + "…"
    ('nan', True)
    """
    if value is None or (isinstance(value, bool | int) and abs(value) < 2**63):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    text = value if isinstance(value, str) else repr(value)
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= LONGEST_ECHO else text[:LONGEST_ECHO] + "…"


def field_errors(errors: list[Any], body: Any = None) -> list[FieldError]:
    """Turn pydantic's list of errors into ours; `body` is the type that was expected, for the names of its fields."""
    return [
        FieldError(
            field="body" if error["type"] == "json_invalid" else _path(error["loc"]),
            value=None if error["type"] in ("missing", "json_invalid") else echo(error.get("input")),
            message=_message(error),
            allowed=_allowed(error, body),
        )
        for error in errors
    ]


def _path(loc: tuple[int | str, ...]) -> str:
    parts = [echo(str(part)) for part in (loc[1:] if loc and loc[0] == "body" and len(loc) > 1 else loc)]
    return ".".join(parts) or "body"


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "there is no such field"
    if error["type"] == "missing":
        return "this field is required"
    if error["type"] == "json_invalid":
        return f"not valid JSON at character {error['loc'][-1]}: {error.get('ctx', {}).get('error', error['msg'])}"
    if error["type"] == "model_attributes_type":
        return "input should be an object"
    if error["type"] == "model_type":
        return "input should be an object"
    message = error["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _allowed(error: Mapping[str, Any], body: Any) -> str | None:  # noqa: PLR0911 -- one line a kind of error
    kind, ctx = error["type"], error.get("ctx", {})
    if "allowed" in ctx:  # an error of our own validators
        return ctx["allowed"]
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [f"{sign} {ctx[key]}" for key, sign in signs.items() if key in ctx]
    if bounds:
        return ", ".join(bounds)
    if kind == "extra_forbidden":
        names = _names_at(body, error["loc"][1:-1])
        return f"one of: {', '.join(names)}" if names else None
    if "expected" in ctx:
        return f"one of: {ctx['expected']}".replace(" or ", ", ")
    if "pattern" in ctx:
        return f"text that matches {ctx['pattern']}"
    if "max_length" in ctx or "min_length" in ctx:
        what = "characters" if kind.startswith("string") else "items"
        return f"from {ctx.get('min_length', 0)} to {ctx.get('max_length', 'any number of')} {what}"
    return {
        "int_type": "an integer", "int_parsing": "an integer", "int_from_float": "an integer",
        "float_type": "a number", "float_parsing": "a number", "finite_number": "a finite number",
        "bool_type": "true or false", "bool_parsing": "true or false", "string_type": "text",
        "string_unicode": "text; halves of a surrogate pair are none",
        "list_type": "a list", "dict_type": "an object", "model_attributes_type": "an object",
        "model_type": "an object",
        "json_invalid": "a JSON document (RFC 8259: no NaN, no comments, no trailing commas)",
    }.get(kind)  # fmt: skip


def _names_at(annotation: Any, loc: tuple[int | str, ...]) -> list[str]:
    """Return the field names of the model that stands at `loc` below the type `annotation`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not loc:
            return list(annotation.model_fields)
        field = annotation.model_fields.get(str(loc[0]))
        return _names_at(field.annotation, loc[1:]) if field else []
    candidates = [names for part in get_args(annotation) if (names := _names_at(part, loc))]
    if candidates:
        return candidates[0]
    # An index of a list takes one element of `loc` and leaves the type behind it.
    inner = [names for part in get_args(annotation) if loc and (names := _names_at(part, loc[1:]))]
    return inner[0] if inner else []


RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ProblemDocument, "description": "What is wrong with the request", "content": {MEDIA_TYPE: {}}},
    "5XX": {"model": ProblemDocument, "description": "What the service can't do now", "content": {MEDIA_TYPE: {}}},
}
"""For `APIRouter(responses=…)`: every route may answer with a problem document."""


def plain(value: Any) -> Any:
    """Return `value` with every NaN and infinity replaced by None, so that it can be written as JSON.

    >>> plain({"loss": [1.0, float("nan")]})
    {'loss': [1.0, None]}
    """
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value


def dump(value: Any) -> str:
    """Return `value` as compact JSON, with null for what is not a number."""
    try:
        return _ENCODER.encode(value)
    except ValueError:  # there is a NaN or an infinity in it, which is seldom, and looking for it isn't cheap
        return _ENCODER.encode(plain(value))


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
