"""The methods below `client.jobs`: trainings, and what is done with one that is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Literal, cast

from service.client.methods import Resource, T, method, stream
from service.client.queued import Event, Live, followed, posted, waited
from service.client.steps import Ask, Steps, Telling
from service.jobs.schemas import Checkpoint, Job, Metrics, ValidationReport
from service.jobs.schemas import Event as PastEvent
from service.schemas import Page


class LiveJob(Live[T], Job, Generic[T]):
    """A job as it stood when it was asked for, and what is done with it most: `client.jobs.create(…).wait()`."""

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
        body = {"dataset_id": dataset_id, "target": target, **spec}
        return _live(self, (yield from posted("/v1/jobs", body, idempotency_key)))

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

        def get(seconds: float) -> Steps[LiveJob[T]]:
            return Jobs.get.steps(self, job_id, seconds)

        return (yield from waited(get, timeout, lambda job: f"in epoch {job.progress.epoch}"))

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
        return followed(f"/v1/jobs/{job_id}", after)

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
