"""Makes an application answer every error with a problem document, and say so in its OpenAPI description.

Errors that nobody foresaw are answered by `service.request_log`, which is around everything else.
"""

from __future__ import annotations

import errno
import logging
from http import HTTPMethod
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from service.db import DatabaseTrouble
from service.problem_answers import respond
from service.problems import MEDIA_TYPE, Problem, field_errors, invalid
from service.schemas import FieldError

RETRY_SECONDS = 2
FULL = "Nothing was kept. Delete jobs or data sets, or make room, then try again."
log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    """Make `app` answer every error that has a cause with a problem document."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, problem: Problem) -> JSONResponse:
        return respond(problem)

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
        if any(item["loc"] == ("body",) and isinstance(item.get("input"), bytes) for item in error.errors()):
            return respond(_not_json(request))
        body_field = getattr(request.scope.get("route"), "body_field", None)
        body = body_field.field_info.annotation if body_field else None
        return respond(invalid(field_errors(list(error.errors()), body)))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        return respond(_of_framework(request, error))

    @app.exception_handler(DatabaseTrouble)
    async def _database(_: Request, trouble: DatabaseTrouble) -> JSONResponse:
        log.error("%s: %s", trouble.code, trouble)
        return respond(of_database(trouble))

    @app.exception_handler(OSError)
    async def _files(_: Request, error: OSError) -> JSONResponse:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise error
        log.error("storage_full: %s", error)
        return respond(Problem(507, "storage_full", f"There is no space left to store files. {FULL}"))

    _describe(app)


def of_database(trouble: DatabaseTrouble) -> Problem:
    """Return the problem that says what the database can't do."""
    if trouble.code == "storage_full":
        return Problem(507, trouble.code, f"There is no space left for the database. {FULL}")
    locked = trouble.code == "database_locked"
    what = "Another process holds a lock on the database" if locked else "The database can't be reached just now"
    then = "Nothing was changed; try again"
    if trouble.in_doubt:
        then = (
            "The connection broke while the change was being made, so it may have been made: look before you try again"
        )
    return Problem(503, trouble.code, f"{what}. {then}.", headers={"Retry-After": str(RETRY_SECONDS)})


def _not_json(request: Request) -> Problem:
    given = request.headers.get("content-type")
    error = FieldError(
        field="header.content-type", value=given, message="the body isn't declared as JSON", allowed="application/json"
    )
    detail = "Send the body as JSON, with the header `Content-Type: application/json`."
    return Problem(415, "unsupported_media_type", detail, [error])


def _of_framework(request: Request, error: HTTPException) -> Problem:
    """Return the problem for what FastAPI itself refuses: our own routes raise `Problem`."""
    path = request.url.path
    match error.status_code:
        case 400:
            detail = "The body can't be read as JSON: it isn't UTF-8, is nested too deeply, or has a number too long."
            return Problem(400, "unreadable_body", detail)
        case 404:
            return Problem(404, "path_not_found", f"There is nothing at {path}; GET /openapi.json lists every path.")
        case 405:
            allowed = ", ".join(_methods(request))
            detail = f"{request.method} is not possible on {path}; allowed: {allowed}."
            return Problem(405, "method_not_allowed", detail, headers={"Allow": allowed})
        case status:
            return Problem(status, f"http_{status}", str(error.detail), headers=error.headers)


def _methods(request: Request) -> list[str]:
    """Return the methods that the path takes; Starlette's own header names those of the first route only."""
    routes = request.app.routes
    scopes = [{**request.scope, "method": method.value} for method in HTTPMethod]
    return [scope["method"] for scope in scopes if any(route.matches(scope)[0] == Match.FULL for route in routes)]


def _describe(app: FastAPI) -> None:
    # FastAPI files the schema of every response under the media type of the route's own answer.
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        description = generate()
        operations = [operation for path in description["paths"].values() for operation in path.values()]
        for response in (response for operation in operations for response in operation["responses"].values()):
            content = response.get("content", {})
            if MEDIA_TYPE in content and "application/json" in content:
                content[MEDIA_TYPE] = content.pop("application/json")
        return description

    app.openapi = openapi
