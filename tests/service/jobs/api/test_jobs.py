from __future__ import annotations

import threading
import time

import httpx
import pytest
from sqlalchemy import func, select

from service import tables
from service.context import Context
from service.jobs import files, held
from service.jobs.queue import Lease
from tests.service.jobs.api.asking import post, problem

START = {"epoch": 0, "epochs": 100, "step": 0, "steps": 900, "seconds_left": None}
UNKNOWN = "job_" + "0" * 32
RESULT = {
    "epoch": 1, "loss": 0.25, "validation_loss": None, "metrics": {"accuracy": 0.75}, "seconds": 0.5,
    "test_loss": None, "test_metrics": {}, "n_parameters": 10, "n_train": 3, "n_validation": 1, "n_test": 0,
    "device": "cpu",
    "actual": {"steps": 9, "seconds": 0.75, "peak_bytes": 2**28},
}  # fmt: skip


def test_a_posted_job_is_queued_with_its_resolved_spec(http: httpx.Client, dataset_id: str):
    answer = http.post("/v1/jobs", json={"dataset_id": dataset_id, "target": "species", "metadata": {"by": "me"}})
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["object"], job["state"], job["requested"], job["attempts"]) == ("job", "queued", None, 0)
    assert (job["spec"]["loss"]["name"], job["spec"]["output"]) == (
        "softmax_cross_entropy",
        {"units": 3, "activation": "softmax"},
    )
    assert (job["spec"]["metadata"], job["progress"]) == ({"by": "me"}, START)
    assert http.get(answer.headers["location"]).json() == job


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ('{"dataset_id": "DATASET", "target": "colour"}', ["target"]),
        ('{"dataset_id": "ds_00000000000000000000000000000000", "target": "species"}', ["dataset_id"]),
        ('{"target": "species", "epochs": 0, "speed": 1}', ["dataset_id", "epochs", "speed"]),
        ('{VALID, "optimizer": {"learning_rate": NaN}}', ["optimizer.learning_rate"]),
        ('{VALID, "optimizer": {"learning_rate": 1e999}}', ["optimizer.learning_rate"]),
        ('{VALID, "network": {"layers": [{"units": 0}]}}', ["network.layers.0.units"]),
        ('{VALID, "network": 3}', ["network"]),
        ('{VALID, "optimizer": {"name": "adamx"}}', ["optimizer.name"]),
        ('{VALID, "schedule": {"name": "warmup", "then": {"name": "step", "gama": 1}}}', ["schedule.then.gama"]),
        ('{VALID, "class_weight": {"Adelie": 1, "Puffin": 2}}', ["class_weight.Puffin"]),
        ('{VALID, "seed": true}', ["seed"]),
        ("[]", ["body"]),
        ("{", ["body"]),
    ],
)
def test_a_wrong_job_is_refused_by_field_and_leaves_nothing(
    http: httpx.Client, context: Context, dataset_id: str, body: str, fields: list[str]
):
    def count() -> list[int]:
        with context.database.read() as session:
            return [
                session.scalars(select(func.count()).select_from(table)).one() for table in (tables.Job, tables.Event)
            ]

    before = count()
    body = body.replace("VALID", '"dataset_id": "DATASET", "target": "species"').replace("DATASET", dataset_id)
    answer = http.post("/v1/jobs", content=body, headers={"content-type": "application/json"})
    errors = problem(answer, 422, "invalid_request")["errors"]
    assert sorted(error["field"] for error in errors) == sorted(fields)
    assert count() == before


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/metrics",
        "/loss-curve.png",
        "/loss-curve.svg",
        "/events",
        "/events/stream",
        "/metrics?format=csv",
        "?wait=9",
    ],
)
def test_an_unknown_job_is_404_at_once(http: httpx.Client, path: str):
    problem(http.get(f"/v1/jobs/{UNKNOWN}{path}"), 404, "job_not_found")


def test_cancelling_and_deleting_an_unknown_job_is_404(http: httpx.Client):
    problem(http.post(f"/v1/jobs/{UNKNOWN}/cancel"), 404, "job_not_found")
    problem(http.delete(f"/v1/jobs/{UNKNOWN}"), 404, "job_not_found")


def test_jobs_are_listed_newest_first_in_pages_and_by_state(http: httpx.Client, dataset_id: str):
    made = []
    for _ in range(3):
        made.append(post(http, dataset_id)["id"])
        time.sleep(0.002)
    first = http.get("/v1/jobs", params={"limit": 2, "state": "queued"}).json()
    rest = http.get("/v1/jobs", params={"limit": 100, "after": first["last_id"], "state": "queued"}).json()
    assert [job["id"] for job in first["data"] + rest["data"]] == made[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert http.get("/v1/jobs", params={"state": "running"}).json()["data"] == []
    assert problem(http.get("/v1/jobs?state=lost"), 422, "invalid_request")["errors"][0]["field"] == "query.state.0"


def test_a_queued_job_is_cancelled_at_once_and_again(http: httpx.Client, job_id: str):
    for _ in range(2):
        answer = http.post(f"/v1/jobs/{job_id}/cancel")
        assert answer.status_code == 202
        assert (answer.json()["state"], answer.json()["requested"]) == ("cancelled", None)


def test_cancelling_a_running_job_asks_its_worker(http: httpx.Client, context: Context, lease: Lease):
    for _ in range(2):
        answer = http.post(f"/v1/jobs/{lease.job_id}/cancel").json()
        assert (answer["state"], answer["requested"]) == ("running", "cancel")
    assert held.requested(context.database, lease) == "cancel"
    held.cancel(context.database, lease)
    assert http.get(f"/v1/jobs/{lease.job_id}").json()["state"] == "cancelled"


def test_an_ended_job_cannot_be_cancelled(http: httpx.Client, context: Context, lease: Lease):
    held.fail(context.database, lease, "non_finite_loss", "too large")
    said = problem(http.post(f"/v1/jobs/{lease.job_id}/cancel"), 409, "action_not_allowed")
    assert "failed" in said["detail"]
    assert "DELETE" in said["detail"]
    job = http.get(f"/v1/jobs/{lease.job_id}").json()
    assert job["error"] == {"code": "non_finite_loss", "message": "too large"}


def test_deleting_takes_events_model_and_files_along(http: httpx.Client, context: Context, lease: Lease):
    problem(http.delete(f"/v1/jobs/{lease.job_id}"), 409, "action_not_allowed")
    draft = files.draft(context.storage, lease.folder)
    draft.mkdir(parents=True)
    (draft / "weights.safetensors").write_bytes(b"weights")
    folder = context.storage.publish(draft, lease.folder)
    model_id = held.succeed(context.database, lease, result=RESULT, card={})
    job = http.get(f"/v1/jobs/{lease.job_id}").json()
    told = {name: job["estimate"][name] for name in ("steps", "seconds", "peak_bytes")}
    assert job["result"] == RESULT | {"estimated": told}
    assert http.delete(f"/v1/jobs/{lease.job_id}").status_code == 204
    assert not folder.exists()
    problem(http.get(f"/v1/jobs/{lease.job_id}"), 404, "job_not_found")
    with context.database.read() as session:
        assert session.get(tables.Model, model_id) is None
        assert session.scalars(select(tables.Event).where(tables.Event.job_id == lease.job_id)).all() == []


def test_waiting_ends_with_the_job(http: httpx.Client, context: Context, lease: Lease):
    ending = threading.Timer(0.3, held.fail, (context.database, lease, "code", "message"))
    ending.start()
    began = time.monotonic()
    job = http.get(f"/v1/jobs/{lease.job_id}", params={"wait": 60}).json()
    ending.join()
    assert job["state"] == "failed"
    assert time.monotonic() - began < 30


def test_waiting_ends_with_the_time(http: httpx.Client, job_id: str):
    began = time.monotonic()
    assert http.get(f"/v1/jobs/{job_id}", params={"wait": 0.2}).json()["state"] == "queued"
    assert time.monotonic() - began >= 0.2
    assert problem(http.get(f"/v1/jobs/{job_id}?wait=61"), 422, "invalid_request")["errors"][0]["field"] == "query.wait"
