"""Signing in: a browser's API key is kept in a cookie that no script can read, and goes along with every request."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from service.auth import COOKIE
from service.context import OpenContext
from service.web.rendering import render

router = APIRouter(include_in_schema=False)
SEE_OTHER = 303
WRONG = "This key isn't valid: there is no such key, it has been revoked, or it has expired."


@router.get("/sign-in")
def sign_in_page(context: OpenContext, next: Annotated[str, Query(max_length=2000)] = "/") -> Response:
    """Ask for a key; where none is needed, go on."""
    if not context.settings.keys_required:
        return RedirectResponse(_here(next), SEE_OTHER)
    return render(None, "sign_in.html", next=_here(next), error=None)


@router.post("/sign-in")
async def sign_in(context: OpenContext, request: Request) -> Response:
    """Keep the key in a cookie, and go to the page that was asked for."""
    given = parse_qs((await request.body()).decode("utf-8", "replace"))
    secret, wanted = given.get("key", [""])[0].strip(), _here(given.get("next", ["/"])[0])
    if await context.keys.caller_of(secret) is None:
        return render(None, "sign_in.html", status=401, next=wanted, error=WRONG)
    answer = RedirectResponse(wanted, SEE_OTHER)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, secret, httponly=True, samesite="strict", secure=secure, path="/")
    return answer


@router.post("/sign-out")
def sign_out() -> Response:
    """Forget the key."""
    answer = RedirectResponse("/sign-in", SEE_OTHER)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict", path="/")
    return answer


def _here(wanted: str) -> str:
    r"""Return the path `wanted`, or the first page where it would lead to another host.

    >>> _here("/jobs?state=running"), _here("//elsewhere.example"), _here("/\\elsewhere.example")
    ('/jobs?state=running', '/', '/')
    """
    plain = wanted.startswith("/") and not wanted.startswith("//") and wanted.isprintable() and "\\" not in wanted
    return wanted if plain else "/"
