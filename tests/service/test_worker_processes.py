from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.context import Context
from service.datasets.schemas import Dataset
from service.jobs import actions, files, held, queue
from service.jobs.schemas import Job
from service.jobs.service import get_job
from tests.service import slow_epochs
from tests.service.conftest import NewDatabase
from tests.service.history import checkpoints_of, ended, history_of, published, row_of, states_of, training
from tests.service.obstacles import freeze, let_run_out
from tests.service.processes import PATIENCE, eventually, processes_on
from tests.service.workplace import post, upload, workplace

ENDLESS: dict[str, Any] = {"epochs": 1_000_000}
POLL = 0.02
LEASE = 60.0
"""Of all workers: one that a busy machine doesn't keep them from renewing. Who is to lose it doesn't wait so long."""


class Process:
    """`python -m service.worker` on the data of `context`."""

    def __init__(self, context: Context, log: Path, *options: str, **settings: object) -> None:
        chosen = context.settings
        known = {"data_dir": chosen.data_dir, "database_url": chosen.database_url, "poll_seconds": POLL}
        self._log, self._data_dir = log, context.settings.data_dir
        with log.open("w") as errors:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "service.worker", *options],
                env=os.environ | {f"DELTABAR_{name.upper()}": str(value) for name, value in (known | settings).items()},
                stdin=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def child_of(self, job: Job) -> int:
        """Return the process id of the child that was given the job last."""
        return int(re.findall(rf"{job.id}: attempt \d+, in process (\d+)", self.log)[-1])

    def alone(self) -> bool:
        """Return whether nothing that worked on the data is left."""
        return not processes_on(self._data_dir)

    def end(self) -> None:
        for pid in processes_on(self._data_dir):
            os.kill(pid, signal.SIGKILL)
        self.popen.wait()
        assert self.popen.stdin is not None
        self.popen.stdin.close()


@pytest.fixture
def context(tmp_path: Path, new_database: NewDatabase) -> Iterator[Context]:
    with new_database() as database, workplace(tmp_path / "data", **database) as context:
        yield context


@pytest.fixture
def dataset(context: Context) -> Dataset:
    return upload(context)


@contextmanager
def worker_on(context: Context, *options: str, **settings: object) -> Iterator[Process]:
    logs = len(list(context.settings.data_dir.parent.glob("worker*.log")))
    process = Process(context, context.settings.data_dir.with_name(f"worker{logs}.log"), *options, **settings)
    try:
        yield process
    finally:
        process.end()


def claimed(context: Context) -> queue.Lease:
    """Return the lease of the job that is next, once there is one."""
    found: list[queue.Lease | None] = [None]
    assert eventually(lambda: found.append(queue.claim(context.database, lease_seconds=300)) or found[-1])
    assert found[-1]
    return found[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_hands_the_job_back_unspent(context: Context, dataset: Dataset, number: int):
    job = post(context, dataset, **ENDLESS)
    with worker_on(context) as worker:
        training(context, job)
        worker.popen.send_signal(number)
        assert worker.popen.wait(PATIENCE) == 0
        assert eventually(worker.alone)
        assert "Traceback" not in worker.log
    row = row_of(context, job.id)
    assert (row["state"], row["attempts"], row["worker_id"] is None) == ("queued", 0, False)
    assert states_of(context, job) == ["queued", "running", "queued"]
    assert published(context) == []
    [checkpoint] = checkpoints_of(context, job)
    assert row["checkpoint_id"] == checkpoint.id
    assert (row["epochs_done"], row["steps_done"]) == (checkpoint.epoch, checkpoint.step)


def test_a_killed_worker_loses_nothing(context: Context, dataset: Dataset):
    job = post(context, dataset, **ENDLESS)
    with worker_on(context, lease_seconds=LEASE) as worker:
        training(context, job)
        worker.popen.kill()
        assert eventually(worker.alone), "the children outlive their worker"
    let_run_out(context, job)
    leftover = files.draft(context.storage, files.folder(job.id, 1))
    leftover.mkdir(parents=True)
    with worker_on(context, lease_seconds=LEASE) as worker:
        assert eventually(lambda: row_of(context, job.id)["attempts"] == 2)
        training(context, job)
        actions.cancel(context, job.id)
        assert (ended(context, job).state, get_job(context, job.id).attempts) == ("cancelled", 2)
        last = post(context, dataset, epochs=1)
        assert ended(context, last).state == "succeeded"
    assert states_of(context, job) == ["queued", "running", "queued", "running", "cancelled"]
    history = history_of(context, job.id)
    assert [sequence for sequence, _, _ in history] == list(range(1, len(history) + 1))
    assert published(context) == [f"{last.id}-1"]


def test_a_killed_child_costs_an_attempt_at_once(context: Context, dataset: Dataset):
    job = post(context, dataset, **ENDLESS, max_attempts=2)
    with worker_on(context) as worker:
        training(context, job)
        os.kill(worker.child_of(job), signal.SIGKILL)
        assert eventually(lambda: row_of(context, job.id)["attempts"] == 2)
        training(context, job)
        os.kill(worker.child_of(job), signal.SIGKILL)
        done = ended(context, job)
        assert done.error is not None
        assert (done.state, done.attempts, done.error.code) == ("failed", 2, "child_died")
        assert "SIGKILL" in done.error.message
        assert ended(context, post(context, dataset, epochs=1)).state == "succeeded"


def test_a_frozen_worker_finds_its_job_gone(context: Context, dataset: Dataset):
    job = post(context, dataset, **ENDLESS)
    with worker_on(context, lease_seconds=LEASE) as worker:
        training(context, job)
        freeze(context, job, worker.popen.pid)
        lease = claimed(context)
        assert lease.attempt == 2
        before = history_of(context, job.id)
        worker.popen.send_signal(signal.SIGCONT)
        assert eventually(lambda: "the lease is lost" in worker.log)
        assert history_of(context, job.id) == before
        held.cancel(context.database, lease)


def test_a_lease_is_kept_while_an_epoch_takes_longer(
    context: Context, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seconds = 4.0
    monkeypatch.setenv("PYTHONPATH", slow_epochs.in_children(tmp_path, 2 * PATIENCE, tmp_path / "never"))
    job = post(context, dataset)
    with worker_on(context, lease_seconds=seconds):
        assert eventually(lambda: row_of(context, job.id)["state"] == "running")
        first = row_of(context, job.id)["lease_expires_at"]
        assert eventually(lambda: row_of(context, job.id)["lease_expires_at"] > first + seconds)
        row = row_of(context, job.id)
        assert (row["state"], row["epochs_done"], row["lease_token"]) == ("running", 0, 1)


def test_the_end_of_standard_input_stops_a_worker_that_watches_it(context: Context):
    with worker_on(context, "--watch-stdin") as worker:
        assert eventually(lambda: "waiting for jobs" in worker.log)
        assert worker.popen.stdin is not None
        worker.popen.stdin.close()
        assert worker.popen.wait(PATIENCE) == 0
        assert eventually(worker.alone)


def test_a_worker_that_cannot_write_says_so(tmp_path: Path):
    occupied = tmp_path / "file"
    occupied.touch()
    answer = subprocess.run(
        [sys.executable, "-m", "service.worker"],
        env=os.environ | {"DELTABAR_DATA_DIR": str(occupied)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert "the worker can't start: can't write to the data folder" in answer.stderr
    assert "Traceback" not in answer.stderr
