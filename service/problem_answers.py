"""Problems on their way out: a problem document, or the inference protocol's own form."""

from __future__ import annotations

from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from service.problems import MEDIA_TYPE, Problem

INFERENCE = "/v2"
"""Below it stands the Open Inference Protocol, which has an error be `{"error": "a sentence"}`."""


class _Answer(JSONResponse):
    """A problem on its way out: a problem document, or where the request was for the inference protocol, its form."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.document(), problem.status, problem.headers, MEDIA_TYPE)
        self._problem = problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = super().__call__
        if scope["path"] == INFERENCE or scope["path"].startswith(f"{INFERENCE}/"):
            answer = JSONResponse({"error": _sentence(self._problem)}, self._problem.status, self._problem.headers)
        await answer(scope, receive, send)


def _sentence(problem: Problem) -> str:
    said = [
        f"{error.field}: {error.message}" + (f"; expected {error.allowed}" if error.allowed else "")
        for error in problem.errors[:3]
    ]
    more = [f"and {len(problem.errors) - 3} more"] if len(problem.errors) > 3 else []
    return ". ".join(said + more) or problem.detail


def respond(problem: Problem) -> JSONResponse:
    """Return `problem` as an HTTP response."""
    return _Answer(problem)
