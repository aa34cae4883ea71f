from __future__ import annotations

import csv
import io

import httpx

from service.context import Context
from service.jobs import held, queue
from service.jobs.queue import Lease
from tests.service.jobs.api.asking import problem, tell


def test_metrics_come_as_columns_and_as_csv(http: httpx.Client, context: Context, lease: Lease):
    path = f"/v1/jobs/{lease.job_id}/metrics"
    assert http.get(path).json()["columns"]["epoch"] == []
    tell(context, lease, 1, 2)
    assert http.get(path).json() == {
        "object": "metrics",
        "n_epochs": 2,
        "columns": {
            "epoch": [1, 2], "step": [9, 18], "seconds": [0.125, 0.25], "loss": [1.0, 0.5],
            "validation_loss": [None, None], "accuracy": [0.5, 0.5],
        },
    }  # fmt: skip
    for answer in (http.get(path, headers={"accept": "text/csv"}), http.get(path, params={"format": "csv"})):
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert list(csv.reader(io.StringIO(answer.text))) == [
            ["epoch", "step", "seconds", "loss", "validation_loss", "accuracy"],
            ["1", "9", "0.125", "1.0", "", "0.5"],
            ["2", "18", "0.25", "0.5", "", "0.5"],
        ]
    assert http.get(path, params={"format": "json"}, headers={"accept": "text/csv"}).json()["object"] == "metrics"


def test_metrics_are_those_of_the_last_attempt(http: httpx.Client, context: Context, lease: Lease):
    tell(context, lease, 1, 2, 3)
    held.put_back(context.database, lease, "child_died", "it died")
    again = queue.claim(context.database, lease_seconds=30)
    assert again is not None
    tell(context, again, 1)
    assert http.get(f"/v1/jobs/{lease.job_id}/metrics").json()["columns"]["epoch"] == [1]
    assert http.get(f"/v1/jobs/{lease.job_id}").json()["progress"]["epoch"] == 1


def test_the_loss_curve_is_a_picture(http: httpx.Client, context: Context, lease: Lease):
    path = f"/v1/jobs/{lease.job_id}/loss-curve"
    problem(http.get(f"{path}.png"), 409, "no_epoch_yet")
    tell(context, lease, 1, 2, 3)
    png, svg = http.get(f"{path}.png"), http.get(f"{path}.svg")
    assert (png.headers["content-type"], svg.headers["content-type"]) == ("image/png", "image/svg+xml")
    assert png.content.startswith(b"\x89PNG\r\n\x1a\n")
    assert svg.text.startswith("<?xml")
    assert lease.job_id in svg.text
