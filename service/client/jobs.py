"""The methods below `client.jobs`: trainings, and what is done with one that is there."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, cast

from pydantic import ConfigDict, PrivateAttr

from service.client.errors import DeltabarError
from service.client.methods import Resource, T, method, stream
from service.client.steps import Ask, Open, Pause, Read, Steps, Tell, Telling
from service.event_stream import Messages
from service.jobs.schemas import Checkpoint, Job, Metrics, ValidationReport
from service.jobs.schemas import Event as PastEvent
from service.schemas import Page

LONGEST_WAIT = 30.0
STREAM_TIMEOUT = 45.0  # the server says something every 15 s
RETRIES = 6
CREATE_PAUSES = (0.1, 0.4, 1.6)
IN_FLIGHT = "idempotency_key_in_flight"
NOTHING_FOLLOWS = 204
ENDED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Event:
    """One entry of a job's history, as it is streamed; what `data` holds follows from `kind`, as the API describes."""

    sequence: int
    kind: str
    data: dict[str, Any]


class LiveJob(Job, Generic[T]):
    """A job as it stood when it was asked for, and what is done with it most: `client.jobs.create(…).wait()`."""

    model_config = ConfigDict(ignored_types=(method, stream))

    _transport: Any = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Take over the transport of the client that asked."""
        self._transport = context["transport"]

    def __eq__(self, other: object) -> bool:
        """Return whether the other one is the same job, as it stood at the same time."""
        return isinstance(other, Job) and self.model_dump() == other.model_dump()

    __hash__ = None

    @property
    def transport(self) -> T:
        """What its methods speak over."""
        return self._transport

    @method
    def wait(self, timeout: float | None = None) -> Steps[LiveJob[T]]:
        """Return the job once it has ended, as `client.jobs.wait` does."""
        return (yield from Jobs.wait.steps(self, self.id, timeout))

    @stream
    def events(self, after: int = 0) -> Telling[Event]:
        """Yield the job's events, as `client.jobs.events` does."""
        yield from Jobs.events.steps(self, self.id, after)

    @method
    def cancel(self) -> Steps[LiveJob[T]]:
        """Ask for the job to be cancelled, as `client.jobs.cancel` does."""
        return (yield from Jobs.cancel.steps(self, self.id))


class Jobs(Resource[T]):
    """Trainings: posted, queued, run by a worker."""

    @method
    def create(
        self, *, dataset_id: str, target: str, idempotency_key: str | None = None, **spec: Any
    ) -> Steps[LiveJob[T]]:
        """Queue a job.

        Args:
            dataset_id: the data set to learn from.
            target: the column to predict.
            idempotency_key: a text of yours for this job: asked again with it, within 24 hours, the service gives the
                job that it has made. Where not given, one is made up for this call, which asks again by itself when an
                answer is lost.
            spec: what `POST /v1/jobs` takes besides, such as `epochs=50` or `priority=10`.
        """
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        body = {"dataset_id": dataset_id, "target": target, **spec}
        for pause in (*CREATE_PAUSES, None):
            try:
                answer = yield Ask("POST", "/v1/jobs", json=body, headers=headers)
                return _live(self, answer)
            except (ConnectionError, DeltabarError) as error:
                passes = not isinstance(error, DeltabarError) or error.code == IN_FLIGHT or error.status == 503
                if pause is None or not passes:
                    raise
            yield Pause(pause)
        raise AssertionError("the last round returns or raises")

    @method
    def validate(self, **body: Any) -> Steps[ValidationReport]:
        """Say all that is wrong with a job, what its defaults become, and what it will take; nothing is queued.

        Args:
            body: as for `create`.
        """
        answer = yield Ask("POST", "/v1/jobs/validate", json=body)
        return ValidationReport.model_validate_json(answer.content)

    @method
    def get(self, job_id: str, wait: float = 0.0) -> Steps[LiveJob[T]]:
        """Return a job as it stands, or as soon as it has ended, within `wait` seconds (up to 60)."""
        answer = yield Ask("GET", f"/v1/jobs/{job_id}", params={"wait": wait or None}, wait=wait)
        return _live(self, answer)

    @method
    def wait(self, job_id: str, timeout: float | None = None) -> Steps[LiveJob[T]]:
        """Return the job once it has ended; raises `TimeoutError` if it hasn't within `timeout` seconds.

        A paused job is waited for too, until somebody resumes or cancels it. Where the service doesn't answer, it is
        asked again, six times in a row at most.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        failures = 0
        while True:
            left = LONGEST_WAIT if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                job = yield from Jobs.get.steps(self, job_id, min(left, LONGEST_WAIT))
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
                raise TimeoutError(f"{job_id} is {job.state} after {timeout} s, in epoch {job.progress.epoch}")

    @method
    def pause(self, job_id: str) -> Steps[LiveJob[T]]:
        """Pause a job: a running one keeps a checkpoint first, and `requested` says so until it has paused."""
        return (yield from _act(self, job_id, "pause"))

    @method
    def resume(self, job_id: str) -> Steps[LiveJob[T]]:
        """Let a paused job go on where it was."""
        return (yield from _act(self, job_id, "resume"))

    @method
    def cancel(self, job_id: str) -> Steps[LiveJob[T]]:
        """Ask for a job to be cancelled; `wait` then returns it when it is."""
        return (yield from _act(self, job_id, "cancel"))

    @method
    def retry(self, job_id: str, from_start: bool = False) -> Steps[LiveJob[T]]:
        """Queue a failed or cancelled job again, to go on from its last checkpoint, or `from_start`."""
        return (yield from _act(self, job_id, "retry", from_start=from_start))

    @method
    def delete(self, job_id: str) -> Steps[None]:
        """Delete an ended job with its events, its checkpoints, its model and their files."""
        yield Ask("DELETE", f"/v1/jobs/{job_id}")

    @method
    def checkpoints(self, job_id: str, limit: int = 20, after: str | None = None) -> Steps[Page[Checkpoint]]:
        """Return the job's checkpoints that are kept, newest first; `after` goes on from an id."""
        answer = yield Ask("GET", f"/v1/jobs/{job_id}/checkpoints", params={"limit": limit, "after": after})
        return Page[Checkpoint].model_validate_json(answer.content)

    @method
    def history(self, job_id: str, after: int = 0, limit: int = 1000) -> Steps[Page[PastEvent]]:
        """Return the events so far that follow the sequence `after`, oldest first, with the times when they came."""
        answer = yield Ask("GET", f"/v1/jobs/{job_id}/events", params={"after": after, "limit": limit})
        return Page[PastEvent].model_validate_json(answer.content)

    @stream
    def events(self, job_id: str, after: int = 0) -> Telling[Event]:
        """Yield the events that follow the sequence `after`, as they happen, up to the one that ends the job.

        A stream that breaks is taken up where it broke; raises `ConnectionError` when that fails six times in a row.
        """
        failures, ended = 0, False
        path = f"/v1/jobs/{job_id}/events/stream"
        while True:
            try:
                opened = yield Open("GET", path, headers={"Last-Event-ID": str(after)}, timeout=STREAM_TIMEOUT)
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

    @method
    def metrics(self, job_id: str, max_points: int | None = None) -> Steps[Metrics]:
        """Return loss, validation loss and metrics, column by column: of every epoch, or of `max_points` that tell."""
        answer = yield Ask("GET", f"/v1/jobs/{job_id}/metrics", params={"max_points": max_points})
        return Metrics.model_validate_json(answer.content)

    @method
    def loss_curve(self, job_id: str, format: Literal["csv", "png", "svg"] = "png") -> Steps[bytes]:
        """Return the loss curve as a file: the numbers (CSV), or a picture of them (PNG, SVG)."""
        path, params = ("metrics", {"format": "csv"}) if format == "csv" else (f"loss-curve.{format}", {})
        answer = yield Ask("GET", f"/v1/jobs/{job_id}/{path}", params=params)
        return answer.content

    @method
    def list(
        self,
        limit: int = 20,
        after: str | None = None,
        state: str | Sequence[str] | None = None,
        dataset_id: str | None = None,
    ) -> Steps[Page[LiveJob[T]]]:
        """Return jobs, newest first; `after` goes on from an id, `state` is one or several."""
        params = {"limit": limit, "after": after, "state": state, "dataset_id": dataset_id}
        answer = yield Ask("GET", "/v1/jobs", params=params)
        return cast(
            "Page[LiveJob[T]]",
            Page[LiveJob].model_validate_json(answer.content, context={"transport": self.transport}),
        )


def _act(of: Any, job_id: str, action: str, **params: Any) -> Steps[Any]:
    answer = yield Ask("POST", f"/v1/jobs/{job_id}/{action}", params=params)
    return _live(of, answer)


def _live(of: Any, answer: Any) -> Any:
    return LiveJob.model_validate_json(answer.content, context={"transport": of.transport})


def _pause(failures: int) -> float:
    return min(0.1 * 2**failures, 5.0)
