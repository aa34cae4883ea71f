"""The command line, in real processes; what ends before it does anything is asked for in the test's own."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import text

import core
from core.threads import cores
from service.client import Client
from service.data_dir import prepare
from service.db import Database
from service.demo import follow
from service.jobs.schemas import Job
from service.settings import Settings
from tests.service.commands import assert_one_message, deltabar, invoke
from tests.service.conftest import PENGUINS
from tests.service.processes import COMMAND, PATIENCE, eventually, processes_on, serving

linux_only = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes through /proc")


@pytest.mark.parametrize("arguments", [["--version"], ["version"]])
def test_version(arguments: list[str]):
    done = deltabar(*arguments)
    assert done.returncode == 0
    assert done.stdout.startswith("deltabar 0.")


def test_version_for_programs():
    [(name, number)] = json.loads(invoke("version", "--json").stdout).items()
    assert (name, number[:2]) == ("version", "0.")


def test_without_a_command_it_shows_the_help():
    done = deltabar()
    assert done.returncode == 2
    assert "serve" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments", [["serv"], ["serve", "--prot", "1"], ["serve", "--port", "65536"], ["serve", "--port", "x"]]
)
def test_wrong_arguments_end_with_2(arguments: list[str]):
    assert invoke(*arguments).returncode == 2


def test_an_address_that_others_could_reach_needs_keys(tmp_path: Path):
    arguments = ("serve", "--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path))
    for _ in range(2):
        assert_one_message(deltabar(*arguments), 1, "0.0.0.0", "API key", "deltabar keys create --owner NAME")
        key_id = invoke("keys", "create", "--owner", "ann", "--data-dir", str(tmp_path)).stderr.split()[0]
        invoke("keys", "revoke", key_id, "--data-dir", str(tmp_path))
    open_to_all = invoke(*arguments, DELTABAR_REQUIRE_KEYS="false")
    assert_one_message(open_to_all, 2, "DELTABAR_REQUIRE_KEYS", "'0.0.0.0'", "deltabar keys create", "127.0.0.1")


def test_an_address_that_is_none(tmp_path: Path):
    done = deltabar("serve", "--host", "no.such.host.invalid", "--data-dir", str(tmp_path))
    assert_one_message(done, 1, "'no.such.host.invalid'", "--host")


def test_a_wrong_variable_is_named():
    assert_one_message(invoke("serve", DELTABAR_PORT="http"), 2, "DELTABAR_PORT", "'http'")
    assert_one_message(invoke("worker", DELTABAR_PROT="1"), 2, "DELTABAR_PROT", "DELTABAR_PORT")


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_data_folder_that_cannot_be_written_to(command: str, tmp_path: Path):
    (tmp_path / "file").write_text("")
    arguments = ["--port", "0"] if command == "serve" else []
    done = deltabar(command, *arguments, "--data-dir", str(tmp_path / "file" / "data"))
    assert_one_message(done, 1, str(tmp_path / "file" / "data"), "--data-dir")


def test_a_database_that_is_not_ours(tmp_path: Path):
    (tmp_path / "deltabar.db").write_bytes(b"not a database, but long enough to look at" * 100)
    assert_one_message(
        deltabar("serve", "--port", "0", "--data-dir", str(tmp_path)), 1, "deltabar.db", "not a database"
    )


def test_a_database_of_a_newer_version(tmp_path: Path):
    settings = Settings(data_dir=tmp_path)
    prepare(settings)
    database = Database(settings.database_url)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    done = deltabar("serve", "--port", "0", "--data-dir", str(tmp_path))
    assert_one_message(done, 1, "another version", "9999", str(tmp_path))


def test_a_port_that_is_taken(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = deltabar("serve", "--port", port, "--data-dir", str(tmp_path / "data"))
    assert_one_message(done, 1, port, "--port")
    assert not (tmp_path / "data").exists()


@linux_only
def test_the_way_of_a_job_without_a_worker_at_first_then_ctrl_c_and_nothing_is_left(tmp_path: Path):
    with serving(tmp_path, "--workers", "0") as running, Client(running.url, timeout=PATIENCE) as client:
        dataset = client.datasets.upload(PENGUINS)
        job = client.jobs.create(dataset_id=dataset.id, target="species", epochs=5)
        assert not workers_on(running.data_dir)
        assert client.jobs.get(job.id).state == "queued"
        assert "processor" in running.log.read_text()  # what a worker would have told
        assert running.stop() == 0
    with serving(tmp_path, "--workers", "2") as running, Client(running.url, timeout=PATIENCE) as client:
        job = client.jobs.wait(job.id, timeout=PATIENCE)
        assert job.state == "succeeded"
        assert job.model_id is not None
        assert eventually(lambda: len(workers_on(running.data_dir)) == 2)
        threads = {environment_of(pid)["DELTABAR_THREADS"] for pid in workers_on(running.data_dir)}
        assert threads == {str(max(1, cores() // 2))}
        weights = client.models.download_weights(job.model_id, tmp_path / "weights.safetensors")
        assert core.load(weights).n_outputs == 3
        assert len(client.models.predict(job.model_id, [{"year": 2008}]).data) == 1
        assert eventually(lambda: len(processes_on(running.data_dir)) >= 5)  # this one, the workers, their children
        assert running.stop() == 0
        assert processes_on(running.data_dir) == set()
        socket.create_server(("127.0.0.1", running.port)).close()
        assert running.process.stdout is not None
        said = running.process.stdout.read()
    assert str(running.data_dir) in said
    assert "has stopped" in said
    assert "Traceback" not in running.log.read_text()
    assert not [path for path in running.data_dir.rglob("*") if path.is_file() and "draft" in str(path)]


@linux_only
def test_it_stops_while_a_job_trains_and_the_job_goes_on_later_and_no_worker_outlives_it(tmp_path: Path):
    with serving(tmp_path, "--json") as running, Client(running.url, timeout=PATIENCE) as client:
        dataset = client.datasets.upload(PENGUINS)
        job = client.jobs.create(dataset_id=dataset.id, target="species", epochs=1_000_000)
        events = client.jobs.events(job.id)
        assert next(event for event in events if event.kind == "metrics")
        waiting = threading.Thread(target=lambda: client.jobs.get(job.id, wait=60))
        waiting.start()
        assert running.stop(signal.SIGTERM) == 0
        assert running.process.stdout is not None
        assert running.process.stdout.read() == ""  # after its one line
        waiting.join()
        events.close()
        assert processes_on(running.data_dir) == set()
        assert "Traceback" not in running.log.read_text()
    with serving(tmp_path) as again, Client(again.url, timeout=PATIENCE) as client:
        assert eventually(lambda: client.jobs.get(job.id).state == "running")
        assert client.jobs.get(job.id).attempts == 1  # the one that was handed back is not spent
        client.jobs.cancel(job.id)
        assert client.jobs.wait(job.id, timeout=PATIENCE).state == "cancelled"

        [worker] = workers_on(again.data_dir)
        os.kill(worker, signal.SIGKILL)  # another is started
        job = client.jobs.create(dataset_id=dataset.id, target="species", epochs=1_000_000)
        assert eventually(lambda: client.jobs.get(job.id).progress.epoch > 0)
        assert "the worker ended unexpectedly" in again.log.read_text()
        assert again.stop(signal.SIGKILL) == -signal.SIGKILL
        assert eventually(lambda: not processes_on(again.data_dir))


def test_a_worker_of_its_own_stops_at_ctrl_c(tmp_path: Path):
    process = subprocess.Popen(
        [*COMMAND, "worker", "--data-dir", str(tmp_path), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout as said, process.stderr as log:
        told = json.loads(said.readline())
        assert (told["devices"], told["data_dir"]) == (["cpu"], str(tmp_path))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert "Traceback" not in log.read()


def test_the_demo_without_a_terminal(tmp_path: Path):
    done = deltabar("demo", str(PENGUINS), "--output", str(tmp_path / "out"), "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["job"]["result"]["metrics"]["accuracy"] >= 0.97
    assert [bird["label"] for bird in shown["predictions"]] == ["Adelie", "Gentoo", "Chinstrap"]
    assert all(Path(path).is_file() for path in shown["files"])
    for part in (
        "344 rows",
        "epoch 100/100",
        "validation loss",
        "Accuracy on the 69 held-out rows",
        "missing",
        "Gentoo",
    ):
        assert part in done.stderr
    assert "\x1b" not in done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "weights.safetensors",
        "loss-curve.csv",
        "loss-curve.png",
        "service.log",
    }
    assert core.load(tmp_path / "out" / "weights.safetensors").n_outputs == 3


def test_on_a_terminal_the_demo_draws_a_bar(client: Client, penguins_job: Job):
    said = io.StringIO()
    follow(client, Console(file=said, force_terminal=True, width=100), penguins_job)
    assert "━" in said.getvalue()
    assert "100/100" in said.getvalue()
    assert "validation loss" in said.getvalue()


def test_the_demo_without_its_table_or_its_folder(tmp_path: Path):
    missing = tmp_path / "missing.csv"
    assert_one_message(invoke("demo", str(missing)), 1, str(missing), "leave the file out")
    output = tmp_path / "file"
    output.write_text("")
    assert_one_message(invoke("demo", str(PENGUINS), "--output", str(output)), 1, str(output))


def test_the_demo_with_another_table_fails_and_stops_the_service(tmp_path: Path):
    table = tmp_path / "table.csv"
    table.write_text("x,y\n1,a\n2,b\n3,a\n4,b\n")
    done = deltabar("demo", str(table), "--output", str(tmp_path / "out"), TMPDIR=str(tmp_path))
    assert_one_message(done, 1, "target", "species", "x, y", "service.log")
    assert processes_on(tmp_path) == set()


@linux_only
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_demo_stops_the_service_however_it_ends(number: int, tmp_path: Path):
    process = subprocess.Popen(
        [*COMMAND, "demo", str(PENGUINS), "--output", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        with process.stdout as said:
            assert any("Posted" in line for line in said)
            process.send_signal(number)
            assert process.wait(PATIENCE) != 0
            assert ("Interrupted" in said.read()) == (number != signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert eventually(lambda: not processes_on(tmp_path))
    if number != signal.SIGKILL:
        assert not list(tmp_path.glob("deltabar-demo-*"))


def workers_on(data_dir: Path) -> set[int]:
    return {pid for pid in processes_on(data_dir) if b"service.worker" in command_of(pid)}


def environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
