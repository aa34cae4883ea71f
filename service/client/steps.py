"""What the methods of the client do, as steps that neither block nor await: described once, for both clients.

A method is a generator. It yields what is to be done next, is sent what came of it, or thrown the error, and returns
its result. `transport.Blocking` does the steps one after the other, `transport.Awaiting` awaits them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

R = TypeVar("R")


@dataclass(frozen=True)
class Ask:
    """Send a request; what comes of it is the answer, an `httpx.Response` that has been read.

    Attributes:
        method, path, params, json, headers: of the request; parameters that are None are left out.
        content: the body, piece by piece, where it isn't `json`.
        wait: seconds that the answer may take beyond the client's time-out.
    """

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Iterator[bytes] | None = None
    wait: float = 0.0


@dataclass(frozen=True)
class Open(Ask):
    """Send a request; what comes of it is an answer whose body `Read` gives, in place of the one opened before.

    Attributes:
        timeout: seconds of silence after which the answer counts as broken; the client's where not given.
        piece: how many bytes a `Read` gives; as many as there are where not given.
    """

    timeout: float | None = None
    piece: int | None = None


@dataclass(frozen=True)
class Read:
    """Read on in the opened answer; what comes of it are bytes, none of them at its end."""


@dataclass(frozen=True)
class Pause:
    """Let some time pass."""

    seconds: float


@dataclass(frozen=True)
class Tell(Generic[R]):
    """Hand an item to whoever iterates over the method."""

    item: R


Step = Ask | Open | Read | Pause
Steps: TypeAlias = Generator[Step, Any, R]
"""What a method does that returns its result."""
Telling: TypeAlias = Generator[Step | Tell[R], Any, None]
"""What a method does whose items are iterated over."""


@dataclass(frozen=True)
class End:
    """There is no further step; the method returns `value`."""

    value: Any


Next = TypeVar("Next")


def resume(steps: Generator[Next, Any, Any], answer: Any = None, error: Exception | None = None) -> Next | End:
    """Go on to the next step: with what came of the last one, or with the error that it ended in."""
    try:
        return steps.send(answer) if error is None else steps.throw(error)
    except StopIteration as end:
        return End(end.value)
