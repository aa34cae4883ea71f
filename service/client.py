"""A Python client: `Client().jobs.create(dataset_id=…, target=…)`. It needs httpx and pydantic, nothing else."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import httpx

from service.client_errors import DeltabarError, error_of
from service.datasets.schemas import Dataset
from service.event_stream import messages
from service.jobs.schemas import Checkpoint, Job, Metrics
from service.models.schemas import Model, ModelCard, Predictions, WeightsFormat
from service.schemas import Page

PIECE = 2**20
LONGEST_WAIT = 30.0
UPLOAD_TIMEOUT = 600.0
STREAM_TIMEOUT = 45.0  # the server says something every 15 s
STREAM_RETRIES = 6
CREATE_PAUSES = (0.1, 0.4, 1.6)
IN_FLIGHT = "idempotency_key_in_flight"
NOTHING_FOLLOWS = 204
ENDED = ("succeeded", "failed", "cancelled")

__all__ = ["Client", "DeltabarError", "Event"]


@dataclass(frozen=True)
class Event:
    """One entry of a job's history, as it is streamed; what `data` holds follows from `kind`, as the API describes."""

    sequence: int
    kind: str
    data: dict[str, Any]


class Client:
    """Speaks to the service at `base_url`. It can be shared between threads, and used as a context manager.

    Every method raises `DeltabarError` for what the service refuses, and `ConnectionError` when no service answers.

    Args:
        base_url: where the service listens.
        api_key: the secret of an API key, `dbk_…`; the variable `DELTABAR_API_KEY` where not given, none if empty.
        timeout: seconds to wait for an answer; uploads and event streams have timeouts of their own.
    """

    def __init__(
        self, base_url: str = "http://127.0.0.1:8000", api_key: str | None = None, timeout: float = 30.0
    ) -> None:
        host = httpx.URL(base_url).host
        here = host in ("localhost", "::1") or host.startswith("127.")
        # A proxy named in the environment must not get what is meant for this machine.
        secret = os.environ.get("DELTABAR_API_KEY", "") if api_key is None else api_key
        self._http = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {secret}"} if secret else {},
            timeout=timeout,
            trust_env=not here,
        )
        self._timeout = timeout
        self.datasets = Datasets(self)
        self.jobs = Jobs(self)
        self.models = Models(self)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def ready(self) -> bool:
        """Return whether a service answers and can do its work."""
        try:
            return self._http.get("/readyz").is_success
        except httpx.TransportError:
            return False

    def request(self, method: str, path: str, *, wait: float = 0.0, **options: Any) -> httpx.Response:
        """Send a request and return the whole answer; `wait` is added to the time that it may take."""
        with self.stream(method, path, timeout=self._timeout + wait, **options) as response:
            response.read()
        return response

    @contextmanager
    def stream(self, method: str, path: str, **options: Any) -> Iterator[httpx.Response]:
        """Send a request and yield the answer, to be read piece by piece."""
        try:
            with self._http.stream(method, path, **options) as response:
                if not response.is_success:
                    response.read()
                    raise error_of(response)
                yield response
        except httpx.TransportError as error:
            raise ConnectionError(
                f"no answer from {self._http.base_url}: {error or type(error).__name__}. "
                "Is the service running (`deltabar serve`), and is this its address?"
            ) from error


class Datasets:
    """Tables to learn from."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def upload(
        self, path: str | Path, name: str | None = None, progress: Callable[[int, int], None] | None = None
    ) -> Dataset:
        """Send a CSV or NPZ file in pieces; bytes that the service has already give the data set that it has.

        Args:
            path: the file.
            name: what to call it; the file's own name where not given.
            progress: called with the bytes sent so far and the size of the file.
        """
        path = Path(path)
        size = path.stat().st_size
        with path.open("rb") as file:
            answer = self._client.request(
                "POST",
                "/v1/datasets",
                params={"name": name or path.name},
                content=_pieces(file, size, progress),
                headers={"Content-Length": str(size)},
                wait=UPLOAD_TIMEOUT,
            )
        return Dataset.model_validate_json(answer.content)

    def get(self, dataset_id: str) -> Dataset:
        """Return a data set: its columns, and what their values are like."""
        return Dataset.model_validate_json(self._client.request("GET", f"/v1/datasets/{dataset_id}").content)

    def list(self, limit: int = 20, after: str | None = None) -> Page[Dataset]:
        """Return data sets, newest first; `after` goes on from an id."""
        answer = self._client.request("GET", "/v1/datasets", params=_given(limit=limit, after=after))
        return Page[Dataset].model_validate_json(answer.content)

    def delete(self, dataset_id: str) -> None:
        """Delete a data set that no queued or running job uses."""
        self._client.request("DELETE", f"/v1/datasets/{dataset_id}")


class Jobs:
    """Trainings: posted, queued, run by a worker."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(self, *, dataset_id: str, target: str, idempotency_key: str | None = None, **spec: Any) -> Job:
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
                answer = self._client.request("POST", "/v1/jobs", json=body, headers=headers)
                return Job.model_validate_json(answer.content)
            except (ConnectionError, DeltabarError) as error:
                passes = not isinstance(error, DeltabarError) or error.code == IN_FLIGHT or error.status == 503
                if pause is None or not passes:
                    raise
                time.sleep(pause)
        raise AssertionError("the last round returns or raises")

    def get(self, job_id: str, wait: float = 0.0) -> Job:
        """Return a job as it stands, or as soon as it has ended, within `wait` seconds (up to 60)."""
        answer = self._client.request("GET", f"/v1/jobs/{job_id}", params={"wait": wait} if wait else {}, wait=wait)
        return Job.model_validate_json(answer.content)

    def wait(self, job_id: str, timeout: float | None = None) -> Job:
        """Return the job once it has ended; raises `TimeoutError` if it hasn't within `timeout` seconds.

        A paused job is waited for too, until somebody resumes or cancels it.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = LONGEST_WAIT if deadline is None else max(0.0, deadline - time.monotonic())
            job = self.get(job_id, wait=min(left, LONGEST_WAIT))
            if job.state in ENDED:
                return job
            if left <= 0:
                raise TimeoutError(f"{job_id} is {job.state} after {timeout} s, in epoch {job.progress.epoch}")

    def list(
        self,
        limit: int = 20,
        after: str | None = None,
        state: str | Sequence[str] | None = None,
        dataset_id: str | None = None,
    ) -> Page[Job]:
        """Return jobs, newest first; `after` goes on from an id, `state` is one or several."""
        params = _given(limit=limit, after=after, state=state, dataset_id=dataset_id)
        return Page[Job].model_validate_json(self._client.request("GET", "/v1/jobs", params=params).content)

    def pause(self, job_id: str) -> Job:
        """Pause a job: a running one keeps a checkpoint first, and `requested` says so until it has paused."""
        return self._act(job_id, "pause")

    def resume(self, job_id: str) -> Job:
        """Let a paused job go on where it was."""
        return self._act(job_id, "resume")

    def cancel(self, job_id: str) -> Job:
        """Ask for a job to be cancelled; `wait` then returns it when it is."""
        return self._act(job_id, "cancel")

    def retry(self, job_id: str, from_start: bool = False) -> Job:
        """Queue a failed or cancelled job again, to go on from its last checkpoint, or `from_start`."""
        return self._act(job_id, "retry", from_start=from_start)

    def _act(self, job_id: str, action: str, **params: Any) -> Job:
        answer = self._client.request("POST", f"/v1/jobs/{job_id}/{action}", params=params)
        return Job.model_validate_json(answer.content)

    def delete(self, job_id: str) -> None:
        """Delete an ended job with its events, its checkpoints, its model and their files."""
        self._client.request("DELETE", f"/v1/jobs/{job_id}")

    def checkpoints(self, job_id: str, limit: int = 20, after: str | None = None) -> Page[Checkpoint]:
        """Return the job's checkpoints that are kept, newest first; `after` goes on from an id."""
        params = _given(limit=limit, after=after)
        answer = self._client.request("GET", f"/v1/jobs/{job_id}/checkpoints", params=params)
        return Page[Checkpoint].model_validate_json(answer.content)

    def events(self, job_id: str, after: int = 0) -> Generator[Event, None, None]:
        """Yield the events that follow the sequence `after`, as they happen, up to the one that ends the job.

        A stream that breaks is taken up where it broke; raises `ConnectionError` when that fails six times in a row.
        """
        failures, ended = 0, False
        path = f"/v1/jobs/{job_id}/events/stream"
        while True:
            try:
                headers = {"Last-Event-ID": str(after)}
                with self._client.stream("GET", path, headers=headers, timeout=STREAM_TIMEOUT) as response:
                    if response.status_code == NOTHING_FOLLOWS:
                        return
                    for message in messages(response.iter_bytes()):
                        event = Event(int(message.id), message.event, json.loads(message.data))
                        after, failures, ended = event.sequence, 0, event.data.get("state") in ENDED
                        yield event
            except ConnectionError:
                failures += 1
                if failures > STREAM_RETRIES:
                    raise
            if failures or not ended:  # else it is asked at once whether the job is tried again
                time.sleep(min(0.1 * 2**failures, 5.0))

    def metrics(self, job_id: str) -> Metrics:
        """Return loss, validation loss and metrics of every epoch, column by column."""
        return Metrics.model_validate_json(self._client.request("GET", f"/v1/jobs/{job_id}/metrics").content)

    def loss_curve(self, job_id: str, format: Literal["csv", "png", "svg"] = "png") -> bytes:
        """Return the loss curve as a file: the numbers (CSV), or a picture of them (PNG, SVG)."""
        path, params = ("metrics", {"format": "csv"}) if format == "csv" else (f"loss-curve.{format}", {})
        return self._client.request("GET", f"/v1/jobs/{job_id}/{path}", params=params).content


class Models:
    """What came of the jobs."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, model_id: str) -> Model:
        """Return a model: what it predicts, from which columns, and how well."""
        return Model.model_validate_json(self._client.request("GET", f"/v1/models/{model_id}").content)

    def card(self, model_id: str) -> ModelCard:
        """Return all that is known of how a model came to be: its job, data, scores, and gradient certificates."""
        return ModelCard.model_validate_json(self._client.request("GET", f"/v1/models/{model_id}/card").content)

    def list(self, limit: int = 20, after: str | None = None) -> Page[Model]:
        """Return models, newest first; `after` goes on from an id."""
        answer = self._client.request("GET", "/v1/models", params=_given(limit=limit, after=after))
        return Page[Model].model_validate_json(answer.content)

    def predict(self, model_id: str, rows: Sequence[Mapping[str, Any]]) -> Predictions:
        """Predict the target of raw rows; a column that is None or left out is a missing value."""
        body = {"rows": [dict(row) for row in rows]}
        return Predictions.model_validate_json(
            self._client.request("POST", f"/v1/models/{model_id}/predict", json=body).content
        )

    def download_weights(self, model_id: str, path: str | Path, format: WeightsFormat = "safetensors") -> Path:
        """Write the weights to `path`, or with "onnx" the whole model; nothing stands there until they are complete."""
        path, url = Path(path), f"/v1/models/{model_id}/weights"
        partial = path.with_name(f".{path.name}.{model_id}.part")
        try:
            with self._client.stream("GET", url, params={"format": format}) as answer, partial.open("wb") as file:
                for piece in answer.iter_bytes(PIECE):
                    file.write(piece)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return path


def _pieces(file: BinaryIO, size: int, progress: Callable[[int, int], None] | None) -> Iterator[bytes]:
    sent = 0
    while piece := file.read(PIECE):
        yield piece
        sent += len(piece)
        if progress:
            progress(sent, size)


def _given(**params: Any) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}
