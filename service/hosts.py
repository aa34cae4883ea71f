"""Under which names the service may be asked for: what keeps other people's pages away from a service without keys.

A page of another host can have its own name lead to 127.0.0.1, after it was loaded. For the browser the service then
has that page's origin (DNS rebinding), and nothing but the header Host tells. Where keys are needed such a page has
none, as the browser keeps the cookie with the key for the name that it came from, and a proxy may have any name.
"""

from __future__ import annotations

from starlette.datastructures import URL, Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.problem_answers import respond
from service.problems import Problem, echo
from service.settings import is_loopback

ANY = "*"


class Hosts:
    """ASGI middleware that answers 421 to requests for a host that isn't of loopback, nor among those `allowed`.

    A request without the header, as some health checks are, is passed on: every browser sends it.
    """

    def __init__(self, app: ASGIApp, allowed: frozenset[str]) -> None:
        self._app, self._allowed = app, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        given = Headers(scope=scope).get("host") if scope["type"] == "http" and ANY not in self._allowed else None
        if given is not None and not self._is_allowed(given):
            return await respond(_refused(given))(scope, receive, send)
        return await self._app(scope, receive, send)

    def _is_allowed(self, given: str) -> bool:
        try:
            host = (URL(f"http://{given}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return is_loopback(host) or host in self._allowed


def _refused(given: str) -> Problem:
    told = f"The service isn't to be asked for as {echo(given)}: without API keys it answers under the names of this "
    detail = "machine alone, such as 127.0.0.1. Add the name to DELTABAR_ALLOWED_HOSTS, or ask for keys."
    return Problem(421, "host_not_allowed", told + detail)
