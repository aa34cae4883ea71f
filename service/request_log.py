"""Every request: its id, its line in the log, its place in the metrics, and what is answered when the service fails.

The log and the metrics name the route's template, `/v1/jobs/{job_id}`, never the path that was asked for, which may
hold anything; of the path's parameters the log has those that are ids of ours.
"""

from __future__ import annotations

import logging
import re
import time
from http import HTTPMethod
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import logs
from service.ids import new_id
from service.problem_answers import respond
from service.problems import Problem
from service.telemetry import Telemetry

HEADER = "X-Request-ID"
QUIET = frozenset({"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
"""Routes that machines ask every few seconds; their lines are for debugging."""
NO_ANSWER = 499
"""The status under which a request is counted whose client went away before there was an answer, as in nginx."""

_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_ID = re.compile(r"[a-z]{2,10}_[0-9a-f]{32}")
_METHODS = frozenset(HTTPMethod)
log = logging.getLogger(__name__)


class RequestLog:
    """ASGI middleware around all others. It answers errors that nobody foresaw with 500 `internal_error`."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app, self._telemetry = app, telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and tell of it when it is over."""
        if scope["type"] == "http":
            given = Headers(scope=scope).get(HEADER, "")
            with logs.about(request_id=given if _SANE.fullmatch(given) else new_id("req")):
                await _Request(scope, receive, send, self._telemetry).answer(self._app)
        else:
            await self._app(scope, receive, send)


class _Request:
    """One request on its way through the application."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, telemetry: Telemetry) -> None:
        self._scope, self._receive, self._send, self._telemetry = scope, receive, send, telemetry
        self._began = time.perf_counter()
        self._status, self._waited, self._received = NO_ANSWER, 0.0, 0

    async def answer(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self._count, self._name)
        except Exception:
            log.exception("unexpected error in %s %s", self._method, self._route)
            if self._status != NO_ANSWER:
                raise  # the answer has begun, and breaks off
            problem = Problem(500, "internal_error", "The service failed; its log says why.")
            await respond(problem)(self._scope, self._receive, self._name)
        finally:
            self._tell()

    async def _count(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        return message

    async def _name(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._waited = message["status"], time.perf_counter() - self._began
            MutableHeaders(scope=message)[HEADER] = logs.fields()["request_id"]
        await self._send(message)

    def _tell(self) -> None:
        seconds = time.perf_counter() - self._began
        if self._status == NO_ANSWER:
            self._waited = seconds
        self._telemetry.requests.labels(self._method, self._route, self._status).inc()
        self._telemetry.request_seconds.labels(self._method, self._route).observe(self._waited)
        self._telemetry.request_bytes.labels(self._method, self._route).inc(self._received)
        level = logging.DEBUG if self._route in QUIET else logging.INFO
        if log.isEnabledFor(level):
            said = {"method": self._method, "route": self._route, "status": self._status, "seconds": round(seconds, 6)}
            told = (self._method, self._route, self._status, 1000 * seconds)
            log.log(level, "%s %s %d in %.1f ms", *told, extra=said | self._ids())

    @property
    def _method(self) -> str:
        return method if (method := self._scope["method"]) in _METHODS else "other"

    @property
    def _route(self) -> str:
        return getattr(self._scope.get("route"), "path", None) or "unmatched"

    def _ids(self) -> dict[str, Any]:
        parameters = self._scope.get("path_params", {}).items()
        return {name: value for name, value in parameters if _ID.fullmatch(str(value))}
