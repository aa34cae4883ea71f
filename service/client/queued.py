"""What is done with jobs of every kind, trainings and predictions: asked for once, waited for, followed."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, PrivateAttr

from service.client.errors import DeltabarError
from service.client.methods import T, method, stream
from service.client.steps import Ask, Open, Pause, Read, Steps, Tell, Telling
from service.event_stream import Messages

J = TypeVar("J", bound=Any)
LONGEST_WAIT = 30.0
STREAM_TIMEOUT = 45.0  # the server says something every 15 s
RETRIES = 6
POST_PAUSES = (0.1, 0.4, 1.6)
IN_FLIGHT = "idempotency_key_in_flight"
NOTHING_FOLLOWS = 204
ENDED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Event:
    """One entry of a job's history, as it is streamed; what `data` holds follows from `kind`, as the API describes."""

    sequence: int
    kind: str
    data: dict[str, Any]


class Live(BaseModel, Generic[T]):
    """A job as it stood when it was asked for, which can be asked again: it has the transport of its client."""

    model_config = ConfigDict(ignored_types=(method, stream))

    _transport: Any = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Take over the transport of the client that asked."""
        self._transport = context["transport"]

    def __eq__(self, other: object) -> bool:
        """Return whether the other one is the same job, as it stood at the same time."""
        return isinstance(other, BaseModel) and self.model_dump() == other.model_dump()

    __hash__ = None

    @property
    def transport(self) -> T:
        """What its methods speak over."""
        return self._transport


def posted(path: str, body: Mapping[str, Any], idempotency_key: str | None) -> Steps[Any]:
    """Post a job and return the answer; where that is lost, ask again, which doesn't queue the job twice."""
    headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
    for pause in (*POST_PAUSES, None):
        try:
            return (yield Ask("POST", path, json=body, headers=headers))
        except (ConnectionError, DeltabarError) as error:
            passes = not isinstance(error, DeltabarError) or error.code == IN_FLIGHT or error.status == 503
            if pause is None or not passes:
                raise
        yield Pause(pause)
    raise AssertionError("the last round returns or raises")


def waited(get: Callable[[float], Steps[J]], timeout: float | None, how_far: Callable[[J], str]) -> Steps[J]:
    """Return the job once it has ended; raises `TimeoutError` if it hasn't within `timeout` seconds.

    Where the service doesn't answer, it is asked again, six times in a row at most.

    Args:
        get: asks for the job, to be answered when it has ended, or after so many seconds.
        timeout: None for as long as it takes.
        how_far: tells how far a job has come.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    failures = 0
    while True:
        left = LONGEST_WAIT if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            job = yield from get(min(left, LONGEST_WAIT))
            failures = 0
        except ConnectionError:
            failures += 1
            if failures > RETRIES or left <= 0:
                raise
            yield Pause(_pause(failures))
            continue
        if job.state in ENDED:
            return job
        if left <= 0:
            raise TimeoutError(f"{job.id} is {job.state} after {timeout} s, {how_far(job)}")


def followed(path: str, after: int) -> Telling[Event]:
    """Yield the events of the job at `path` that follow `after`, as they happen, up to the one that ends the job.

    A stream that breaks is taken up where it broke; raises `ConnectionError` when that fails six times in a row.
    """
    failures, ended = 0, False
    while True:
        try:
            headers = {"Last-Event-ID": str(after)}
            opened = yield Open("GET", f"{path}/events/stream", headers=headers, timeout=STREAM_TIMEOUT)
            if opened.status_code == NOTHING_FOLLOWS:
                return
            messages = Messages()
            while piece := (yield Read()):
                for message in messages.feed(piece):
                    event = Event(int(message.id), message.event, json.loads(message.data))
                    after, failures, ended = event.sequence, 0, event.data.get("state") in ENDED
                    yield Tell(event)
        except ConnectionError:
            failures += 1
            if failures > RETRIES:
                raise
        if failures or not ended:  # else it is asked at once whether the job is tried again
            yield Pause(_pause(failures))


def _pause(failures: int) -> float:
    return min(0.1 * 2**failures, 5.0)
