"""Server-Sent Events, as they arrive (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """One message of a stream; `id` is what a reader sends as `Last-Event-ID` to go on from here."""

    id: str
    event: str
    data: str


class Messages:
    r"""Finds the messages in a stream that comes in pieces; one that is cut off at the end is left out.

    >>> messages = Messages()
    >>> list(messages.feed(b"id: 7\nevent: log\nda")), list(messages.feed(b"ta: {}\n\n: a comment\n\ndata: cut o"))
    ([], [Message(id='7', event='log', data='{}')])
    """

    def __init__(self) -> None:
        self._rest = b""
        self._id, self._event, self._data = "", "message", list[str]()

    def feed(self, piece: bytes) -> Iterator[Message]:
        """Yield the messages that are complete with this piece of the stream."""
        # Not str.splitlines, nor httpx's iter_lines, which also break at U+2028 and the like: those may stand in a
        # message.
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            yield from self._take(line.removesuffix(b"\r").decode())

    def _take(self, line: str) -> Iterator[Message]:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if self._data:
                yield Message(self._id, self._event, "\n".join(self._data))
            self._event, self._data = "message", []
        elif field == "id":
            self._id = value
        elif field == "event":
            self._event = value
        elif field == "data":
            self._data.append(value)
