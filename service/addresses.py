"""What an address may not hold: NUL, which no id or name of ours has, and which PostgreSQL can't even be asked for."""

from __future__ import annotations

from fastapi import Request

from service.problems import Problem, invalid
from service.schemas import FieldError

NUL = "\x00"


async def refuse_nul(request: Request) -> None:
    """Raise `Problem`: 404 where the path holds NUL (`%00`), 422 where the query does."""
    if any(NUL in str(part) for part in request.path_params.values()):
        raise Problem(404, "path_not_found", "There is nothing at an address with a NUL character (%00).")
    for name, value in request.query_params.multi_items():
        if NUL in value:
            message, allowed = "a NUL character (%00) can't be kept", "a text without it"
            raise invalid([FieldError(field=f"query.{name}", value=value, message=message, allowed=allowed)])
