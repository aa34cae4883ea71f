"""Files that are sent, whole or in part."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from service.problems import Problem, echo
from service.schemas import FieldError

_ONE = r"\s*(?:\d{1,4000}-\d{0,4000}|-\d{1,4000})\s*"  # Python makes no number of more than 4,300 digits
_RANGES = re.compile(rf"\s*bytes\s*={_ONE}(?:,{_ONE})*", re.IGNORECASE | re.ASCII)


class Download(FileResponse):
    """A file, or those ranges of its bytes that a request asks for (RFC 9110, section 14).

    A Range header that is none of bytes is ignored, as the RFC allows; what lies beyond the file's end is a 416. The
    class above would answer either in plain text.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; raises `Problem`."""
        given = Headers(scope=scope).get("range")
        if given is not None and not _asks(given):
            headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"range"]
            scope = {**scope, "headers": headers}
        elif given is not None:
            size = Path(self.path).stat().st_size
            if any(start >= size for start in _starts(given, size)):
                raise _beyond(given, size)
        await super().__call__(scope, receive, send)


def _beyond(given: str, size: int) -> Problem:
    message, allowed = "a range begins behind the last byte", f"ranges that begin before byte {size}"
    error = FieldError(field="header.range", value=echo(given), message=message, allowed=allowed)
    detail = f"The file has {size} bytes; ask for some of them, or for all."
    return Problem(416, "range_not_satisfiable", detail, [error], {"Content-Range": f"bytes */{size}"})


def _asks(given: str) -> bool:
    """Return whether this is a Range header of bytes, whose ranges end where they begin or later."""
    if not _RANGES.fullmatch(given):
        return False
    ends = (each.split("-") for each in _each(given))
    return all(not (first and last) or int(first) <= int(last) for first, last in ends)


def _starts(given: str, size: int) -> list[int]:
    """Return where in a file of `size` bytes the ranges begin."""
    ends = (each.split("-") for each in _each(given))
    return [int(first) if first else max(0, size - int(last)) for first, last in ends]


def _each(given: str) -> list[str]:
    return [each.strip() for each in given.partition("=")[2].split(",")]
