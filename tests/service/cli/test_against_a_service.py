"""`deltabar datasets`, `jobs` and `models`, against a real service."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from service import keys
from service.client import Client
from service.jobs.schemas import Job
from tests.service.commands import assert_one_message, invoke, ok
from tests.service.conftest import PENGUINS
from tests.service.live import live
from tests.service.processes import COMMAND, PATIENCE, Serving

NOBODYS = {"jobs": "job_" + "0" * 32, "datasets": "ds_" + "0" * 32, "models": "model_" + "0" * 32}


@pytest.fixture(autouse=True)
def _address(service: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELTABAR_URL", service.url)


@pytest.fixture
def endless(client: Client, penguins_job: Job) -> Iterator[str]:
    """A job that doesn't end by itself."""
    job = client.jobs.create(dataset_id=penguins_job.dataset_id, target="species", epochs=1_000_000)
    yield job.id
    if client.jobs.get(job.id).state not in ("cancelled", "failed"):
        client.jobs.cancel(job.id)
    client.jobs.wait(job.id, timeout=PATIENCE)


def told(*arguments: str) -> Any:
    return json.loads(ok(*arguments, "--json"))


def test_data_sets(tmp_path: Path, penguins_job: Job):
    path = tmp_path / "codes.csv"
    path.write_text("code;mass\n" + "007;1,5\n008;2,5\n" * 15)
    said = ok("datasets", "upload", str(path), "--kind", "code:categorical", "--read", "delimiter=semicolon")
    dataset_id = said.split()[1]
    for part in ("codes.csv", "30", "categorical", "decimal comma", "2.5"):
        assert part in said
    dataset = told("datasets", "show", dataset_id)
    assert dataset["columns"][0]["classes"] == {"007": 15, "008": 15}
    assert dataset_id in ok("datasets", "show", dataset_id)
    assert [each["id"] for each in told("datasets", "list", "--limit", "1")["data"]] == [dataset_id]
    assert "codes.csv" in ok("datasets", "list").splitlines()[1]
    assert ok("datasets", "delete", dataset_id) == f"{dataset_id} is deleted\n"
    assert_one_message(invoke("datasets", "show", dataset_id), 2, dataset_id)


def test_a_job_from_a_file_to_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    said = ok("jobs", "submit", str(PENGUINS), "--target", "species", "--set", "epochs=12", "--watch")
    job_id = said.partition(":")[0]
    for part in ("classification of species", "running (attempt 1)", "epoch 12/12", "▚ training", "succeeded"):
        assert part in said
    job = told("jobs", "show", job_id)
    assert job["state"] == "succeeded"
    assert job["model_id"] in said
    assert f"model       {job['model_id']}" in ok("jobs", "show", job_id)
    assert job_id in ok("jobs", "list", "--state", "succeeded").splitlines()[1]
    assert job_id not in ok("jobs", "list", "--state", "failed", "--dataset", job["dataset_id"])

    events = [json.loads(line) for line in ok("jobs", "watch", job_id, "--json").splitlines()]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    states = [line.split(maxsplit=3)[3] for line in ok("jobs", "logs", job_id).splitlines() if "  state " in line]
    assert states == ["queued", "running (attempt 1)", "succeeded"]
    logged = [json.loads(line) for line in ok("jobs", "logs", job_id, "--metrics", "--follow", "--json").splitlines()]
    assert [event["sequence"] for event in logged] == [event["sequence"] for event in events]

    for format, begins in {"png": b"\x89PNG", "svg": b"<?xml", "csv": b"epoch,"}.items():
        assert f"{job_id}.{format}: " in ok("jobs", "curve", job_id, "--format", format)
        assert Path(f"{job_id}.{format}").read_bytes().startswith(begins)
    assert_one_message(invoke("jobs", "curve", job_id), 2, f"{job_id}.png", "--force")

    model_id = job["model_id"]
    evaluated = told("models", "evaluate", model_id, job["dataset_id"])
    assert evaluated["rows"] == 344
    said = ok("models", "evaluate", model_id, str(PENGUINS))
    assert f"accuracy  {evaluated['metrics']['accuracy']:.4f}" in said
    assert "IS ↓ PREDICTED →  Adelie  Chinstrap  Gentoo" in said
    assert model_id in ok("models", "list").splitlines()[1]
    assert "Adelie, Chinstrap, Gentoo" in ok("models", "show", model_id)
    assert told("models", "show", model_id)["job_id"] == job_id
    path = told("models", "download", model_id, "--format", "npz")["path"]
    assert Path(path).read_bytes().startswith(b"PK")
    assert_one_message(invoke("models", "download", model_id, "--format", "npz"), 2, path, "--force")
    assert model_id in ok("models", "delete", model_id)
    assert told("jobs", "show", job_id)["model_id"] is None
    assert told("jobs", "delete", job_id) == {"deleted": [job_id]}


def test_steering(endless: str, client: Client):
    assert endless in ok("jobs", "pause", endless)
    for event in client.jobs.events(endless):
        if event.data.get("state") == "paused":
            break
    assert told("jobs", "pause", endless)["data"][0]["state"] == "paused"
    assert f"{endless} is " in ok("jobs", "resume", endless)  # queued, or running by now
    ok("jobs", "cancel", endless)
    assert_one_message(invoke("jobs", "watch", endless), 3, endless, "cancelled")
    assert f"{endless} is " in ok("jobs", "retry", endless, "--from-start")
    ok("jobs", "cancel", endless)
    assert client.jobs.wait(endless, timeout=PATIENCE).state == "cancelled"
    assert_one_message(invoke("jobs", "pause", endless), 1, "can't be paused")


def test_watching_can_be_left(endless: str):
    process = subprocess.Popen(
        [*COMMAND, "jobs", "watch", endless], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"TERM": "dumb"}, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert any("running" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert errors == "deltabar: the job goes on\n"
    assert told("jobs", "show", endless)["state"] == "running"


def test_refusals_are_lines_with_the_field_the_value_and_what_is_allowed(penguins_job: Job):
    submit = ("jobs", "submit", penguins_job.dataset_id, "--target", "species")
    done = invoke(*submit, "--set", "epochs=0", "--set", "dropout=0.5")
    assert_one_message(done, 2, "epochs: ", "given: 0", "allowed: ≥ 1", "dropout: there is no such field")
    assert len(done.stderr.splitlines()) == 2
    assert_one_message(invoke(*submit, "--kind", "year:text"), 2, "--kind", penguins_job.dataset_id)
    assert_one_message(invoke("jobs", "submit", "none.csv", "--target", "y"), 2, "none.csv")
    assert_one_message(invoke("jobs", "list", "--state", "done"), 2, "state", '"done"', "queued")
    for group, nobodys in NOBODYS.items():
        assert_one_message(invoke(group, "show", nobodys), 2, nobodys)
        assert_one_message(invoke(group, "delete", nobodys), 2, nobodys)


def test_without_a_service():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert_one_message(invoke("jobs", "list", "--url", url), 4, url, "deltabar serve")
    assert_one_message(invoke("jobs", "list", DELTABAR_URL="localhost:8000"), 2, "localhost:8000", "http://")


def test_a_key_comes_from_the_environment_or_a_file(tmp_path: Path):
    with live(tmp_path / "data", require_keys=True) as (http, context):
        secret = keys.create(context.database, owner="ann")[1]
        path = tmp_path / "key"
        path.write_text(f"{secret}\n")
        url = ("--url", str(http.base_url))
        assert_one_message(invoke("jobs", "list", *url), 1, "API key is needed")
        assert_one_message(invoke("jobs", "list", *url, DELTABAR_API_KEY="dbk_wrong"), 1, "isn't valid")
        assert ok("jobs", "list", *url, DELTABAR_API_KEY=secret).startswith("ID")
        assert ok("jobs", "list", *url, "--api-key-file", str(path)).startswith("ID")
        assert ok("jobs", "list", *url, DELTABAR_API_KEY_FILE=str(path)).startswith("ID")
        assert_one_message(
            invoke("jobs", "list", *url, "--api-key-file", str(tmp_path / "no")), 2, "no", "No such file"
        )


def test_predictions(penguins_job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    submit = ["predictions", "submit", str(penguins_job.model_id), str(PENGUINS)]
    made = told(*submit, "--output", "predictions.csv")
    assert (made["state"], made["rows_done"]) == ("succeeded", 344)
    head, *lines = Path("predictions.csv").read_text().splitlines()
    assert head == "species,probability_Adelie,probability_Chinstrap,probability_Gentoo"
    assert [line.split(",")[0] for line in lines].count("Gentoo") == pytest.approx(124, abs=5)
    assert_one_message(invoke(*submit, "--output", "predictions.csv"), 2, "predictions.csv is there already")
    events = [json.loads(line) for line in ok("predictions", "watch", made["id"], "--json").splitlines()]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert [event["data"]["rows_done"] for event in events if event["kind"] == "rows"][-1] == 344
    said = ok(*submit, "--watch")
    for part in ("running (attempt 1)", "row 344/344", "succeeded", "bytes of csv"):
        assert part in said
    ok("predictions", "delete", said.partition(":")[0])

    other = ok("predictions", "submit", str(penguins_job.model_id), penguins_job.dataset_id, "--format", "parquet")
    assert f"{other.strip()}.parquet: " in ok("predictions", "download", other.strip())
    assert pl.read_parquet(f"{other.strip()}.parquet").write_csv() == Path("predictions.csv").read_text()
    assert "344 of 344" in ok("predictions", "show", other.strip())
    assert [each["id"] for each in told("predictions", "list", "--limit", "2")["data"]] == [other.strip(), made["id"]]
    assert made["id"] in ok("predictions", "list", "--model", str(penguins_job.model_id))
    assert_one_message(invoke("predictions", "cancel", made["id"]), 1, "can't be cancelled")
    assert_one_message(invoke("predictions", "retry", made["id"]), 1, "can't be retried")
    assert ok("predictions", "delete", made["id"]) == f"{made['id']} is deleted\n"
    assert_one_message(invoke("predictions", "show", made["id"]), 2, made["id"])


def test_a_job_shows_what_it_came_to_on_its_test_rows(client: Client, penguins_job: Job):
    split = {"by": "fraction", "test": 0.25}
    job = client.jobs.create(dataset_id=penguins_job.dataset_id, target="species", epochs=1, split=split).wait(PATIENCE)
    assert job.result is not None
    assert f"accuracy {job.result.test_metrics['accuracy']:.4f}" in ok("jobs", "show", job.id).partition("test")[2]
