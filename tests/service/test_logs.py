"""Logs: lines that machines can read, that name the request and the job, and that hold no secret."""

from __future__ import annotations

import json
import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service import keys, logs
from service.client import Client
from service.datasets.files import table_key
from tests.service.history import ended
from tests.service.live import live
from tests.service.processes import PATIENCE, serving
from tests.service.test_worker_processes import worker_on
from tests.service.workplace import PENGUINS, post, upload, workplace

SECRETS = {
    "authorization": "Bearer dbar_hunter2hunter2",
    "idempotency-key": "idem-hunter3",
    "cookie": "session=hunter4",
}
HOSTILE = 'hunter5"\n{"level": "CRITICAL"}\x1b[31m.csv'


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@contextmanager
def configured(format: logs.Format) -> Iterator[None]:
    """Log as the service does; pytest's own handlers, which `configure` would close, come back afterwards."""
    root, client = logging.getLogger(), logging.getLogger("httpx")
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    logs.configure(format)
    client.setLevel(logging.WARNING)  # the test's own client, in the process of the service
    try:
        yield
    finally:
        client.setLevel(logging.NOTSET)
        logging.captureWarnings(False)
        root.handlers[:], root.level = handlers, level


def test_a_line_says_when_where_how_bad_and_about_what(capfd: pytest.CaptureFixture[str]):
    with configured("json"):
        with logs.about(job_id="job_1"), logs.about(attempt=2):
            logging.getLogger("service.x").warning("lost %d", 3, extra={"seconds": 0.5})
        logging.getLogger("service.x").info("after")
    first, second = lines_of(capfd.readouterr().err)
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "WARNING", "logger": "service.x", "message": "lost 3", "seconds": 0.5, "job_id": "job_1", "attempt": 2,
    }  # fmt: skip
    assert "job_id" not in second


def test_an_exception_is_one_line(capfd: pytest.CaptureFixture[str]):
    with configured("json"):
        try:
            raise ValueError("first\nsecond")
        except ValueError:
            logging.getLogger("service.x").exception("it failed")
    [line] = lines_of(capfd.readouterr().err)
    assert "ValueError: first\nsecond" in line["exc_info"]


def test_text_names_what_it_is_about_unless_the_message_does(capfd: pytest.CaptureFixture[str]):
    with configured("text"), logs.about(job_id="job_1", attempt=2):
        logging.getLogger("service.x").info("job_1 goes on")
    assert capfd.readouterr().err.rstrip().endswith("INFO service.x: job_1 goes on [attempt=2]")
    with configured("text"), logs.about(job_id="job_12", attempt=2):
        logging.getLogger("service.x").info("job_12 goes on")
    assert capfd.readouterr().err.rstrip().endswith("INFO service.x: job_12 goes on [attempt=2]")


def test_a_warning_is_a_line_that_says_what_it_is_about(capfd: pytest.CaptureFixture[str]):
    with configured("json"), warnings.catch_warnings(), logs.about(job_id="job_1"):
        warnings.simplefilter("always")
        warnings.warn("deprecated\nsince 3.0", stacklevel=1)
    [line] = lines_of(capfd.readouterr().err)
    assert (line["level"], line["logger"], line["job_id"]) == ("WARNING", "py.warnings", "job_1")
    assert "deprecated\nsince 3.0" in line["message"]


def test_every_request_has_a_line_and_none_has_a_secret(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    with configured("json"), live(tmp_path) as (http, context):
        _, secret = keys.create(context.database, owner="ann")
        given = SECRETS | {"authorization": f"Bearer {secret}"}
        answer = http.post("/v1/datasets", params={"name": HOSTILE}, content=PENGUINS.read_bytes(), headers=given)
        dataset = answer.json()["id"]
        http.get(f"/v1/datasets/{dataset}", headers=given)
        http.get("/v1/datasets/hunter6", headers=given)
        http.get("/hunter7?hunter8=1", headers=given)
        http.post("/v1/jobs", json={"dataset_id": dataset, "target": "hunter9"}, headers=given)
        assert http.get("/v1/jobs", headers=SECRETS).status_code == 401
        http.get("/healthz")
    text = capfd.readouterr().err
    assert "hunter" not in text
    assert secret not in text
    told = [line for line in lines_of(text) if line["logger"] == "service.request_log"]
    assert [(line["method"], line["route"], line["status"]) for line in told] == [
        ("POST", "/v1/datasets", 201),
        ("GET", "/v1/datasets/{dataset_id}", 200),
        ("GET", "/v1/datasets/{dataset_id}", 404),
        ("GET", "unmatched", 404),
        ("POST", "/v1/jobs", 422),
        ("GET", "unmatched", 401),
    ]
    assert len({line["request_id"] for line in told}) == 6
    assert told[0]["request_id"] == answer.headers["x-request-id"]
    assert told[1]["dataset_id"] == dataset
    assert "dataset_id" not in told[2], "what isn't an id of ours is not logged"
    assert all(0 < line["seconds"] < 60 for line in told)


def test_a_sane_request_id_is_kept(tmp_path: Path):
    with live(tmp_path) as (http, _):
        for given, kept in (("abc-1.2:3_4", True), ("x" * 64, True), ("x" * 65, False), ("a b", False)):
            answer = http.get("/nothing", headers={"x-request-id": given})
            said = answer.headers["x-request-id"]
            assert (said == given) == kept
            assert answer.json()["instance"] == f"urn:deltabar:request:{said}"


def test_everything_that_the_service_and_its_worker_say_is_json(tmp_path: Path):
    with serving(tmp_path) as running, Client(running.url, timeout=PATIENCE) as client:
        dataset = client.datasets.upload(PENGUINS)
        job = client.jobs.create(dataset_id=dataset.id, target="species", epochs=1).wait(PATIENCE)
        assert running.stop() == 0
    lines = lines_of(running.log.read_text())
    told = [line for line in lines if job.id in line["message"]]
    assert "attempt 1, in process" in told[0]["message"]
    assert {(line["job_id"], line["attempt"]) for line in told} == {(job.id, 1)}
    routes = {line.get("route") for line in lines}
    assert {"/v1/datasets", "/v1/jobs", "/v1/jobs/{job_id}"} <= routes


def test_what_worker_and_child_say_of_a_job_names_it_and_the_attempt(tmp_path: Path):
    """The file with the data set's rows is gone: the child can't read it, says so, and the worker tries again."""
    with workplace(tmp_path / "data") as context:
        dataset = upload(context)
        context.storage.delete(table_key(dataset.id))
        job = post(context, dataset, max_attempts=2)
        with worker_on(context) as worker:
            done = ended(context, job)
            worker.popen.send_signal(signal.SIGTERM)
            assert worker.popen.wait(PATIENCE) == 0
        lines = lines_of(worker.log)
    assert done.error is not None
    assert done.error.code == "storage_failed"
    by_attempt = [(job.id, 1), (job.id, 2)]
    for logger, said in (
        ("service.runner", "a file can't be read or written"),
        ("service.worker", "in process"),
        ("service.attempt", "failed"),
    ):
        told = [line for line in lines if line["logger"] == logger and said in line["message"]]
        assert [(line["job_id"], line["attempt"]) for line in told] == by_attempt, lines
    assert not [line for line in lines if job.id in json.dumps(line) and "attempt" not in line]
