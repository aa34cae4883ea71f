"""Parts of a page that update themselves: sent again, as Server-Sent Events, whenever they have changed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

import anyio
import anyio.to_thread
from fastapi import Request
from fastapi.responses import StreamingResponse

from service.context import Context
from service.jobs.broadcast import HEARTBEAT_SECONDS
from service.jobs.events import EVENT_STREAM, HEARTBEAT, RETRY
from service.problems import dump

LOOK_SECONDS = 1.0
SHARE = 20
"""A viewer's part of a page is rendered during at most one such part of the time, so that many viewers look rarer."""


def is_wanted(request: Request) -> bool:
    """Return whether the request is for the live parts of a page rather than for the page: `EventSource` says so."""
    return EVENT_STREAM in request.headers.get("accept", "")


def follow(context: Context, render: Callable[[], str]) -> StreamingResponse:
    """Answer with what `render` returns, now and whenever it returns something else."""
    return StreamingResponse(_frames(context, render), media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"})


async def _frames(context: Context, render: Callable[[], str]) -> AsyncIterator[bytes]:
    yield RETRY
    known, said = None, time.monotonic()
    while not context.stopping.is_set():
        began = time.monotonic()
        text = await anyio.to_thread.run_sync(render)
        took = time.monotonic() - began
        if text != known:
            known, said = text, time.monotonic()
            yield f"event: part\ndata: {dump(text)}\n\n".encode()
        elif time.monotonic() - said > HEARTBEAT_SECONDS:
            said = time.monotonic()
            yield HEARTBEAT
        await anyio.sleep(max(LOOK_SECONDS, SHARE * took))
