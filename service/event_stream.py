"""Server-Sent Events, as they arrive (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """One message of a stream; `id` is what a reader sends as `Last-Event-ID` to go on from here."""

    id: str
    event: str
    data: str


def messages(pieces: Iterable[bytes]) -> Iterator[Message]:
    r"""Yield the messages in a stream that comes in `pieces`; one that is cut off at the end is left out.

    >>> list(messages([b"id: 7\nevent: log\nda", b"ta: {}\n\n: a comment\n\ndata: cut o"]))
    [Message(id='7', event='log', data='{}')]
    """
    identifier, event, data = "", "message", list[str]()
    for line in _lines(pieces):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Message(identifier, event, "\n".join(data))
            event, data = "message", []
        elif field == "id":
            identifier = value
        elif field == "event":
            event = value
        elif field == "data":
            data.append(value)


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    # Not str.splitlines, nor httpx's iter_lines, which also break at U+2028 and the like: those may stand in a message.
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r").decode()
