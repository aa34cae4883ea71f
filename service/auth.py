"""Who is asking, and whether they may: `Authorization: Bearer dbk_…`, or the cookie of a browser that has signed in.

`Authentication` stands before everything else and finds out who it is; where keys are required, nobody without one
gets past it but to the paths of `OPEN`, not even to a 404, and no body of theirs is read. Each route then names the
scope that it needs (`context.ReadContext` and the others), and sees no rows but the caller's own (`ownership`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from fastapi import Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from service.caller import SCOPES, WITHOUT_KEY, Caller, Scope
from service.db import DatabaseTrouble
from service.problem_answers import respond
from service.problem_handlers import of_database
from service.problems import Problem, echo

if TYPE_CHECKING:
    from service.context import Context

log = logging.getLogger(__name__)

OPEN = frozenset(
    {"/healthz", "/readyz", "/openapi.json", "/v2", "/v2/health/live", "/v2/health/ready", "/sign-in", "/sign-out"}
)
OPEN_BELOW = "/static/"
"""Scripts and styles, which are everyone's."""
COOKIE = "deltabar_key"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Authentication:
    """ASGI middleware that puts the `Caller` into the request's state, or answers 401.

    A key that is given must be a good one, also where none is required: whoever sends a key means its rows. A cookie
    counts only where a key is required, since a browser sends it to every service on a host.

    A browser sends the cookie, and reaches a service on its own machine, also for a page of another origin. So whatever
    changes something and names another origin as where it comes from is refused, unless it brings the key itself.
    """

    def __init__(self, app: ASGIApp, required: bool) -> None:
        self._app, self._required = app, required

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Pass the request on with its caller, or refuse it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        bearer = _bearer(headers)
        if bearer is None and scope["method"] not in SAFE and _is_foreign(headers):
            return await respond(_foreign(headers))(scope, receive, send)
        if scope["path"] not in OPEN and not scope["path"].startswith(OPEN_BELOW):
            context: Context = scope["app"].state.context
            secret = bearer
            if bearer is None and self._required:
                secret = cookie_parser(headers.get("cookie", "")).get(COOKIE)
            if secret is not None:
                try:
                    caller = await context.keys.caller_of(secret)
                except DatabaseTrouble as trouble:
                    log.error("%s: %s", trouble.code, trouble)
                    return await respond(of_database(trouble))(scope, receive, send)
            else:
                caller = None if self._required else WITHOUT_KEY
            if caller is None:
                refusal = _sign_in(scope) if _is_page(scope, headers) else respond(_unknown(secret))
                return await refusal(scope, receive, send)
            scope.setdefault("state", {})["caller"] = caller
        return await self._app(scope, receive, send)


def _bearer(headers: Headers) -> str | None:
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    # Other schemes are between the user and a proxy on the way.
    return secret.strip() if scheme.lower() == "bearer" else None


def _is_foreign(headers: Headers) -> bool:
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _foreign(headers: Headers) -> Problem:
    told = f"A page of {echo(headers['origin'])} asks for this, and the service is at {echo(headers.get('host', ''))}. "
    detail = "Only pages of the service itself may; programs leave the header Origin out, or send an API key."
    return Problem(403, "foreign_origin", told + detail)


def _is_page(scope: Connection, headers: Headers) -> bool:
    api = scope["path"].startswith(("/v1/", "/v2/"))
    return scope["method"] == "GET" and not api and "text/html" in headers.get("accept", "")


def _sign_in(scope: Connection) -> RedirectResponse:
    query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
    return RedirectResponse(f"/sign-in?next={quote(scope['path'] + query, safe='/')}", 303)


def _unknown(secret: str | None) -> Problem:
    if secret is None:
        detail = "An API key is needed: send it in the header `Authorization: Bearer dbk_…`. Operators make keys with "
        return Problem(401, "key_required", detail + "`deltabar keys create`.", headers={"WWW-Authenticate": "Bearer"})
    detail = "The API key isn't valid: there is no such key, it has been revoked, or it has expired."
    return Problem(401, "key_not_valid", detail, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


class _ApiKey(SecurityBase):
    """Hands the caller to a route, and describes in OpenAPI what it needs for that."""

    def __init__(self) -> None:
        scopes = "; ".join(f"{name}: {meaning}" for name, meaning in SCOPES.items())
        text = f"An API key, made by `deltabar keys create`. Not needed where keys are off. Scopes: {scopes}."
        self.model = HTTPBearer(description=text)
        self.scheme_name = "ApiKey"

    async def __call__(self, request: Request) -> Caller:
        return request.state.caller


API_KEY = _ApiKey()


def demand(caller: Caller, scope: Scope) -> None:
    """Raise the 403 `Problem` unless `caller` may do what needs `scope`."""
    if not caller.may(scope):
        detail = f"This needs an API key with the scope {scope}; yours has {', '.join(sorted(caller.scopes))}."
        raise Problem(
            403,
            "scope_missing",
            detail,
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
        )
