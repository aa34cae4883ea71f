"""Metrics: what Prometheus reads is what was done."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import delete, text

from service.context import Context
from service.jobs import actions, held, queue
from service.jobs.queue import Lease
from service.jobs.states import Stale
from service.tables import Worker
from tests.service.jobs.api.asking import post, tell
from tests.service.live import live
from tests.service.workplace import PENGUINS

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[tuple[httpx.Client, Context]]:
    with live(tmp_path) as running:
        yield running


def samples(http: httpx.Client) -> Samples:
    families = text_string_to_metric_families(http.get("/metrics").text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found["deltabar_" + name, frozenset(labels.items())]


def claimed(context: Context) -> Lease:
    lease = queue.claim(context.database, lease_seconds=30)
    assert lease is not None
    return lease


def uploaded(http: httpx.Client) -> str:
    return http.post("/v1/datasets", params={"name": "penguins"}, content=PENGUINS.read_bytes()).json()["id"]


def test_an_unused_service_has_zeros_not_gaps(app: tuple[httpx.Client, Context]):
    found = samples(app[0])
    for name in ("oldest_queued_job_age_seconds", "workers", "job_attempts_total", "training_steps_total"):
        assert value(found, name) == 0
    for state in ("queued", "running", "paused", "succeeded", "failed", "cancelled"):
        assert value(found, "jobs", state=state) == 0
    assert value(found, "job_wait_seconds_count") == value(found, "job_wait_seconds_sum") == 0
    assert value(found, "database_up") == 1
    assert ("process_resident_memory_bytes", frozenset()) in found


def test_jobs_are_counted_once_whatever_becomes_of_their_rows(app: tuple[httpx.Client, Context]):
    http, context = app
    dataset = uploaded(http)
    for _ in range(4):
        post(http, dataset)
    done, broken, lost = claimed(context), claimed(context), claimed(context)
    tell(context, done, 1, 2)
    held.succeed(context.database, done, result={}, card={})
    held.fail(context.database, broken, "non_finite_loss", "message")
    tell(context, lost, 1)
    held.put_back(context.database, lost, "child_died", "it died")
    again = claimed(context)
    assert (again.job_id, again.attempt) == (lost.job_id, 2)
    with pytest.raises(Stale):
        tell(context, lost, 2)

    found = samples(http)
    assert [value(found, "jobs", state=s) for s in ("queued", "running", "succeeded", "failed")] == [1, 1, 1, 1]
    assert value(found, "oldest_queued_job_age_seconds") > 0
    assert value(found, "job_attempts_total") == 4
    assert value(found, "job_wait_seconds_count") == 3, "the second attempt hasn't waited again"
    assert value(found, "job_run_seconds_count", state="succeeded") == 1
    assert value(found, "job_failures_total", code="non_finite_loss") == 1
    assert value(found, "job_events_total", kind="metrics") == 2, "two epochs told of together are one event"
    assert value(found, "job_events_total", kind="state") == 4 + 4 + 3
    assert value(found, "training_steps_total") == 18 + 9

    # A histogram's buckets are cumulative and end with its count; its sum is that of what was observed.
    buckets = {
        dict(labels)["le"]: n for (name, labels), n in found.items() if name == "deltabar_job_wait_seconds_bucket"
    }
    counts = [buckets[limit] for limit in sorted(buckets, key=float)]
    assert counts == sorted(counts)
    assert counts[-1] == buckets["+Inf"] == 3
    assert value(found, "job_wait_seconds_sum") > 0

    actions.delete_job(context, done.job_id)
    after = samples(http)
    assert value(after, "jobs", state="succeeded") == 0
    assert value(after, "job_run_seconds_count", state="succeeded") == 1


def test_two_web_processes_tell_the_same_of_jobs(app: tuple[httpx.Client, Context]):
    http, context = app
    dataset = uploaded(http)
    post(http, dataset)
    held.fail(context.database, claimed(context), "code", "message")
    with live(context.settings.data_dir) as (other, _):
        for name, labels in (("job_failures_total", {"code": "code"}), ("job_attempts_total", {})):
            assert value(samples(other), name, **labels) == value(samples(http), name, **labels) == 1


def test_workers_count_while_they_show_signs_of_life(app: tuple[httpx.Client, Context]):
    http, context = app
    about = {"host": "here", "pid": 1, "version": "0", "devices": ["cpu"]}
    with context.database.write() as session:
        session.add_all([Worker(id="worker_1", **about), Worker(id="worker_2", **about, seen_at=1.0)])
    assert value(samples(http), "workers") == 1
    assert http.get("/readyz").json()["checks"]["workers"] == "1 at work"


def test_workers_whose_devices_are_lost_are_told_of_and_those_beside_the_service_make_it_unready(
    app: tuple[httpx.Client, Context],
):
    http, context = app
    about = {"pid": 1, "version": "0", "devices": ["cuda:0", "cuda:0", "cuda:1"]}
    two, one = {"cuda:0": "error 214", "cuda:1": "error 100"}, {"cuda:1": "error 100"}

    def told(**hosts: dict[str, str]) -> httpx.Response:
        with context.database.write() as session:
            session.execute(delete(Worker))
            here = {"here": socket.gethostname(), "there": "elsewhere"}
            session.add_all(Worker(id=name, host=here[name], faults=faults, **about) for name, faults in hosts.items())
        return http.get("/readyz")

    assert told(here=one).json()["checks"]["workers"] == "1 at work"
    assert told(here={}, there=two).json()["checks"]["workers"] == "1 at work, and 1 whose devices can't be used"
    assert value(samples(http), "lost_devices") == 2
    answer = told(here=two, there={})
    assert answer.status_code == 503
    [error] = answer.json()["errors"]
    assert error["field"] == "workers"
    assert "cuda:0, cuda:1 can't be used" in error["message"]
    assert "214" not in answer.text  # for the operator, not for anyone


def test_requests_are_counted_by_route_and_never_by_path(app: tuple[httpx.Client, Context]):
    http, _ = app
    dataset = uploaded(http)
    for path in (f"/v1/datasets/{dataset}", "/v1/datasets/secret", "/v1/datasets/other", "/no/such/secret"):
        http.get(path)
    http.request("SECRET", "/v1/jobs")
    text, found = http.get("/metrics").text, samples(http)
    assert "secret" not in text.lower()
    of_one = {"method": "GET", "route": "/v1/datasets/{dataset_id}"}
    assert value(found, "http_requests_total", **of_one, status="200") == 1
    assert value(found, "http_requests_total", **of_one, status="404") == 2
    assert value(found, "http_requests_total", method="GET", route="unmatched", status="404") == 1
    assert value(found, "http_request_duration_seconds_count", **of_one) == 3
    upload = {"method": "POST", "route": "/v1/datasets"}
    assert value(found, "http_request_body_bytes_total", **upload) == PENGUINS.stat().st_size
    assert value(found, "http_requests_total", **upload, status="201") == 1


def test_an_unforeseen_error_is_counted_and_answered(app: tuple[httpx.Client, Context]):
    http, context = app
    with context.database.write() as session:
        session.execute(text("DROP TABLE datasets"))
    answer = http.get("/v1/datasets")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["x-request-id"] in answer.json()["instance"]
    assert value(samples(http), "http_requests_total", method="GET", route="/v1/datasets", status="500") == 1


def test_a_database_that_cannot_be_read_is_told_of(app: tuple[httpx.Client, Context]):
    http, context = app
    with context.database.write() as session:
        session.execute(text("DROP TABLE jobs"))
    found = samples(http)
    assert value(found, "database_up") == 0
    assert not [name for name, _ in found if name.startswith("deltabar_job")]
    answer = http.get("/readyz")
    assert [error["field"] for error in answer.json()["errors"]] == ["tables"]


def test_storage_that_cannot_be_written_is_not_ready(app: tuple[httpx.Client, Context]):
    http, context = app
    drafts = context.settings.data_dir / "files" / "drafts"
    drafts.rmdir()
    drafts.write_text("a file where the folder was")
    answer = http.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert [error["field"] for error in answer.json()["errors"]] == ["storage"]
    assert "Not a directory" in answer.json()["detail"]
    assert str(context.settings.data_dir) not in answer.text
    assert http.get("/healthz").status_code == 200


def test_open_metrics_is_spoken_too(app: tuple[httpx.Client, Context]):
    answer = app[0].get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name: family.type for family in openmetrics.text_string_to_metric_families(answer.text)}
    assert families["deltabar_jobs"] == "gauge"
    assert families["deltabar_job_attempts"] == "counter"
    assert families["deltabar_job_wait_seconds"] == "histogram"
