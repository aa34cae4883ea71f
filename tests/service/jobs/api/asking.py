"""Asking the API, and telling it things as a worker would."""

from __future__ import annotations

import time
from typing import Any

import httpx

from service.context import Context
from service.jobs import held
from service.jobs.queue import Lease
from service.problems import MEDIA_TYPE
from tests.service.news import of_epoch


def post(http: httpx.Client, dataset_id: str, **spec: Any) -> dict[str, Any]:
    """Queue a job on the penguins and return it."""
    answer = http.post("/v1/jobs", json={"dataset_id": dataset_id, "target": "species", **spec})
    assert answer.status_code == 202, answer.text
    return answer.json()


def tell(context: Context, lease: Lease, *epochs: int) -> None:
    """Report epochs, as the worker that holds the lease."""
    constant = {"epochs": 100, "validation_loss": None, "accuracy": 0.5}
    rows = [{"epoch": n, "step": 9 * n, "seconds": n / 8, "loss": 1 / n} for n in epochs]
    news = [of_epoch(row | constant, time.time()) for row in rows]
    held.append(context.database, lease, news, lease_seconds=30)


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that the answer is this problem, and return its document."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE), answer.text
    assert answer.json()["code"] == code
    return answer.json()


def stream(http: httpx.Client, job_id: str, **headers: str) -> tuple[str, httpx.Headers]:
    """Read an event stream to its end; return its text, without the hint how to come back, and the answer's headers."""
    answer = http.get(f"/v1/jobs/{job_id}/events/stream", headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert answer.status_code == 200
    assert answer.text.startswith("retry: 1000\n\n")
    return answer.text.removeprefix("retry: 1000\n\n"), answer.headers
