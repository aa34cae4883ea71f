"""Receives a request's body into a file, hashed on the way, never whole in memory."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import to_thread
from starlette.requests import ClientDisconnect

from service.datasets.unreadable import fault
from service.problems import Problem

PIECE = 2**20


@dataclass(frozen=True)
class Received:
    """A body that has arrived to its end."""

    sha256: str
    bytes: int


async def receive(stream: AsyncIterator[bytes], path: Path, announced: int | None, limit: int) -> Received:
    """Write `stream` to the new file `path`.

    Args:
        stream: the pieces of the body.
        path: where to write; the caller deletes what is left there after an exception.
        announced: the request's Content-Length, if it has one.
        limit: most bytes accepted.

    Raises:
        Problem: 413 `body_too_large`, as soon as that is known; 400 `body_incomplete` when the client went away, or
            sent fewer bytes than it has announced.
    """
    if announced is not None and announced > limit:
        raise _too_large(announced, limit)
    digest, size, waiting = hashlib.sha256(), 0, bytearray()
    async with await anyio.open_file(path, "wb") as file:

        def store() -> None:
            digest.update(waiting)
            file.wrapped.write(waiting)
            waiting.clear()

        try:
            async for piece in stream:
                size += len(piece)
                if size > limit:
                    raise _too_large(size, limit)
                waiting += piece
                if len(waiting) >= PIECE:
                    await to_thread.run_sync(store)
        except ClientDisconnect as error:
            raise _incomplete(size, announced) from error
        await to_thread.run_sync(store)
    if announced is not None and size != announced:
        raise _incomplete(size, announced)
    return Received(digest.hexdigest(), size)


def _too_large(size: int, limit: int) -> Problem:
    allowed = f"up to {limit} bytes (the setting DELTABAR_MAX_UPLOAD_BYTES)"
    error = fault(size, "the body is too large", allowed)
    return Problem(413, "body_too_large", f"The body is larger than the {limit} bytes allowed.", [error])


def _incomplete(size: int, announced: int | None) -> Problem:
    whole = "all bytes of the body" if announced is None else f"all {announced} bytes that Content-Length announced"
    error = fault(size, f"the body ended after {size} bytes", whole)
    return Problem(400, "body_incomplete", "The body was cut off, and nothing of it was kept. Send it again.", [error])
