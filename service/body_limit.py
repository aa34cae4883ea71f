"""A limit on the size of request bodies, for every route but the upload of data sets, which has a limit of its own."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problem_answers import respond
from service.problems import Problem
from service.schemas import FieldError

UPLOAD = ("POST", "/v1/datasets")


class BodyLimit:
    """ASGI middleware that answers 413 to a body of more than `limit` bytes, announced or not.

    The routes behind it parse JSON, which needs the whole body at once, so it is read here, counted, and handed on.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body, or refuse it."""
        if scope["type"] != "http" or (scope["method"], scope["path"]) == UPLOAD:
            return await self._app(scope, receive, send)
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._limit:
            return await self._refuse(int(announced), scope, receive, send)

        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._limit:
                return await self._refuse(None, scope, receive, send)

        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def hand_on() -> Message:
            return whole.pop() if whole else await receive()

        return await self._app(scope, hand_on, send)

    async def _refuse(self, size: int | None, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = f"up to {self._limit} bytes (the setting DELTABAR_MAX_BODY_BYTES)"
        error = FieldError(field="body", value=size, message="the body is too large", allowed=allowed)
        problem = Problem(413, "body_too_large", f"The body is larger than the {self._limit} bytes allowed.", [error])
        await respond(problem)(scope, receive, send)
