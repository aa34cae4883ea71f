"""`deltabar keys`, and a service that asks for what it makes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from service.client import Client, DeltabarError
from tests.service.commands import assert_one_message, deltabar, invoke
from tests.service.conftest import PENGUINS
from tests.service.processes import eventually, serving


def keys(data_dir: Path, command: str, *arguments: str) -> tuple[str, str]:
    done = invoke("keys", command, *arguments, "--data-dir", str(data_dir))
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_a_secret_is_alone_on_standard_output_and_shown_once(tmp_path: Path):
    chosen = ("--owner", "ann", "--name", "ann's laptop", "--max-running", "2")
    done = deltabar("keys", "create", *chosen, "--data-dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    said, about = done.stdout, done.stderr
    assert said.startswith("dbk_")
    assert said.split() == [said.rstrip("\n")]
    assert said.strip() not in about
    key_id = about.split()[0]
    assert "ann" in about

    keys(tmp_path, "create", "--owner", "ops", "--scope", "read", "--scope", "metrics", "--expires", "30")
    listed, _ = keys(tmp_path, "list")
    header, anns, ops = listed.splitlines()
    assert header.split()[:3] == ["ID", "OWNER", "SCOPES"]
    today, then = (time.strftime("%Y-%m-%d", time.localtime(time.time() + days * 86_400)) for days in (0, 30))
    assert anns.split() == [key_id, "ann", "write", "2", today, "-", "usable", "ann's", "laptop"]
    assert ops.split()[1:] == ["ops", "metrics,read", "-", today, then, "usable"]
    assert said.strip() not in listed

    assert json.loads(keys(tmp_path, "revoke", key_id, "--json")[0]) == {"revoked": [key_id]}
    assert keys(tmp_path, "list")[0].splitlines()[1].split()[6] == "revoked"


def test_what_a_key_cannot_be_is_said(tmp_path: Path):
    folder = ("--data-dir", str(tmp_path))
    assert_one_message(invoke("keys", "create", "--owner", "a/b", *folder), 2, "--owner", "'a/b'", "letters")
    assert invoke("keys", "create", *folder).returncode == 2
    assert invoke("keys", "create", "--owner", "ann", "--scope", "all", *folder).returncode == 2
    assert invoke("keys", "create", "--owner", "ann", "--expires", "0", *folder).returncode == 2
    assert_one_message(invoke("keys", "revoke", "key_1", *folder), 1, "'key_1'", "deltabar keys list")


def test_the_way_of_a_job_with_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DELTABAR_REQUIRE_KEYS", "true")
    data_dir = tmp_path / "data"
    secret, about = keys(data_dir, "create", "--owner", "ann")
    with serving(tmp_path) as running:
        with Client(running.url) as stranger, pytest.raises(DeltabarError, match="401 key_required"):
            stranger.jobs.list()
        with Client(running.url, api_key=secret.strip()) as ann:
            assert ann.ready()
            dataset = ann.datasets.upload(PENGUINS)
            job = ann.jobs.create(dataset_id=dataset.id, target="species", epochs=3)
            assert list(ann.jobs.events(job.id))[-1].data["state"] == "succeeded"
            job = ann.jobs.get(job.id)
            assert job.model_id is not None
            assert ann.models.get(job.model_id).owner == "ann"
            ann.models.download_weights(job.model_id, tmp_path / "weights.safetensors")
        monkeypatch.setenv("DELTABAR_API_KEY", secret.strip())
        with Client(running.url) as ann:
            assert [row.id for row in ann.jobs.list().data] == [job.id]
            keys(data_dir, "revoke", about.split()[0])
            assert eventually(lambda: refused(ann))
        assert running.stop() == 0
        everything = running.log.read_bytes() + b"".join(
            path.read_bytes() for path in data_dir.rglob("*") if path.is_file()
        )
    assert secret.strip().encode() not in everything
    assert os.environ["DELTABAR_API_KEY"] not in running.log.read_text()


def refused(client: Client) -> bool:
    try:
        client.jobs.list()
    except DeltabarError as error:
        return error.code == "key_not_valid"
    return False
