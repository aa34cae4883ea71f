"""What an address may not hold: NUL, which no id or name of ours has, and which PostgreSQL can't even be asked for."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from service.problem_answers import respond
from service.problems import Problem, echo, invalid
from service.schemas import FieldError

NUL = "\x00"
QUOTED = b"%00"


class Addresses:
    """ASGI middleware that answers 404 where the path holds NUL (`%00`), and 422 where the query does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http":
            if NUL in scope["path"]:
                return await respond(_IN_PATH)(scope, receive, send)
            if QUOTED in scope["query_string"]:
                return await respond(_in_query(scope["query_string"].decode("latin-1")))(scope, receive, send)
        return await self._app(scope, receive, send)


_IN_PATH = Problem(404, "path_not_found", "There is nothing at an address with a NUL character (%00).")


def _in_query(query: str) -> Problem:
    message, allowed = "a NUL character (%00) can't be kept", "a text without it"
    return invalid(
        [
            FieldError(field=f"query.{echo(name)}", value=echo(value), message=message, allowed=allowed)
            for name, value in parse_qsl(query, keep_blank_values=True)
            if NUL in name + value
        ]
    )
