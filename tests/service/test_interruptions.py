"""Whatever ends a child or a worker in the midst of a job: weights and curve are those of a job left in peace.

A job must last until it is interrupted, on a fast machine and on a busy one, so its epochs take their time until then.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from service.context import Context
from service.jobs import actions, files
from service.jobs.schemas import Job
from service.jobs.service import get_job
from tests.service import slow_epochs
from tests.service.conftest import NewDatabase
from tests.service.history import checkpoints_of, ended, history_of, published, row_of, states_of
from tests.service.invariants import Result, result_of
from tests.service.obstacles import KIB, fill, freeze, let_run_out, locked, small_disk
from tests.service.processes import PATIENCE, eventually
from tests.service.test_worker_processes import LEASE, Process, worker_on
from tests.service.workplace import post, upload, workplace

EPOCH_SECONDS = 0.1
# Dropout, a schedule that listens, and early stopping have states of their own that have to come back.
SPEC: dict[str, Any] = {
    "network": {"layers": [{"units": 128, "dropout": 0.1}, {"units": 64, "activation": "tanh"}]},
    "epochs": 200,
    "schedule": {"name": "reduce_on_plateau", "patience": 2},
    "early_stopping": {"monitor": "validation_loss", "patience": 1000},
    "max_attempts": 10,
}
OFTEN = {"checkpoint_seconds": 0.02, "lease_seconds": LEASE, "threads": 1}
IMPATIENT = "?timeout=0.1"
"""Of a worker that waits for SQLite's lock for so few seconds at a time."""


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """Where nothing is interrupted, and no checkpoint written."""
    with (
        workplace(tmp_path_factory.mktemp("calm") / "data") as context,
        worker_on(context, threads=1, checkpoint_seconds=600),
    ):
        yield context


@pytest.fixture(scope="module")
def uninterrupted(calm: Context) -> Result:
    job = post(calm, upload(calm), **SPEC)
    done = ended(calm, job)
    assert (done.state, done.attempts) == ("succeeded", 1)
    assert checkpoints_of(calm, job) == []
    return result_of(calm, job.id)


@pytest.fixture
def context(tmp_path: Path, new_database: NewDatabase) -> Iterator[Context]:
    with new_database() as database, workplace(tmp_path / "data", **database) as context:
        yield context


@pytest.fixture
def over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is written once epochs need no longer take their time."""
    path = tmp_path / "over"
    monkeypatch.setenv("PYTHONPATH", slow_epochs.in_children(tmp_path, EPOCH_SECONDS, path))
    return path


def has_gone_on(context: Context, job: Job) -> bool:
    """Return whether there are two checkpoints, which is how many are kept, and an epoch after them."""
    checkpoints = checkpoints_of(context, job)
    return len(checkpoints) > 1 and get_job(context, job.id).progress.epoch > checkpoints[-1].epoch > 0


def child_killed(number: signal.Signals) -> Callable[..., int]:
    def kill(_context: Context, job: Job, worker: Process, _stack: ExitStack) -> int:
        os.kill(worker.child_of(job), number)
        return 2

    return kill


def worker_killed(context: Context, job: Job, worker: Process, stack: ExitStack) -> int:
    worker.popen.kill()
    assert eventually(worker.alone), "the children outlive their worker"
    let_run_out(context, job)
    stack.enter_context(worker_on(context, **OFTEN))
    return 2


def worker_told_to_go_five_times(context: Context, job: Job, worker: Process, stack: ExitStack) -> int:
    for _ in range(5):
        worker.popen.send_signal(signal.SIGTERM)
    assert worker.popen.wait(PATIENCE) == 0
    assert "Traceback" not in worker.log
    row = row_of(context, job.id)
    assert (row["state"], row["attempts"]) == ("queued", 0)
    assert (row["epochs_done"], row["steps_done"]) == [(c.epoch, c.step) for c in checkpoints_of(context, job)][-1]
    stack.enter_context(worker_on(context, **OFTEN))
    return 1


def worker_frozen(context: Context, job: Job, worker: Process, stack: ExitStack) -> int:
    freeze(context, job, worker.popen.pid)
    stack.enter_context(worker_on(context, **OFTEN))
    assert eventually(lambda: row_of(context, job.id)["lease_token"] == 2)
    worker.popen.send_signal(signal.SIGCONT)
    assert eventually(lambda: "the lease is lost" in worker.log)
    return 2


def child_frozen(context: Context, job: Job, worker: Process, stack: ExitStack) -> int:
    """It is that of a worker which soon loses its patience, and hands the job back to one that doesn't."""
    worker.popen.terminate()
    assert worker.popen.wait(PATIENCE) == 0
    before, stalled = get_job(context, job.id).progress.step, f"{job.id}: stalled"
    strict = stack.enter_context(worker_on(context, **OFTEN | {"stall_seconds": 5}))
    assert eventually(lambda: get_job(context, job.id).progress.step > before or stalled in strict.log)
    os.kill(strict.child_of(job), signal.SIGSTOP)
    assert eventually(lambda: stalled in strict.log)
    strict.popen.terminate()
    assert strict.popen.wait(PATIENCE) == 0
    spent = row_of(context, job.id)["attempts"]
    assert spent >= 1
    stack.enter_context(worker_on(context, **OFTEN))
    return spent + 1


def paused(context: Context, job: Job, _worker: Process, _stack: ExitStack) -> int:
    actions.pause(context, job.id)
    assert eventually(lambda: get_job(context, job.id).state == "paused")
    row = row_of(context, job.id)
    assert (row["attempts"], row["requested"]) == (0, None)
    assert (row["epochs_done"], row["steps_done"]) == [(c.epoch, c.step) for c in checkpoints_of(context, job)][-1]
    actions.resume(context, job.id)
    return 1


def database_locked(context: Context, _job: Job, worker: Process, _stack: ExitStack) -> int:
    with locked(Path(make_url(context.settings.database_url).database or "")):
        assert eventually(lambda: worker.log.count("database_locked") > 2)
    return 1


def disk_full(context: Context, job: Job, worker: Process, _stack: ExitStack) -> int:
    filler = context.settings.data_dir / "filler"
    fill(filler)
    assert eventually(lambda: "it is tried again" in worker.log or cannot_keep(context, job))
    filler.unlink()
    return 1


def cannot_keep(context: Context, job: Job) -> bool:
    """Return whether the job has told that no checkpoint could be written."""
    return any("no checkpoint" in data["message"] for _, kind, data in history_of(context, job.id) if kind == "log")


@pytest.mark.parametrize(
    "interrupt",
    [
        pytest.param(child_killed(signal.SIGKILL), id="child killed"),
        pytest.param(child_killed(signal.SIGSEGV), id="child hit by a segmentation fault"),
        child_frozen,
        worker_killed,
        worker_told_to_go_five_times,
        worker_frozen,
        paused,
    ],
)
def test_an_interrupted_job_ends_as_if_it_had_not_been(
    context: Context, over: Path, uninterrupted: Result, interrupt: Callable[..., int]
):
    starts = starts_of_one_interrupted(context, over, uninterrupted, interrupt)
    assert starts[0] == 0 < starts[1] < SPEC["epochs"]


def test_a_lock_held_for_too_long_costs_a_running_job_nothing(tmp_path: Path, over: Path, uninterrupted: Result):
    with workplace(tmp_path / "data") as context:
        url = context.settings.database_url + IMPATIENT
        assert starts_of_one_interrupted(context, over, uninterrupted, database_locked, database_url=url) == [0]


def test_a_full_disk_costs_a_running_job_nothing_but_checkpoints(
    tmp_path: Path, new_database: NewDatabase, over: Path, uninterrupted: Result
):
    with (
        new_database() as database,
        small_disk(tmp_path / "disk", 32 * KIB * KIB) as disk,
        workplace(disk, **database) as context,
    ):
        assert starts_of_one_interrupted(context, over, uninterrupted, disk_full) == [0]


def starts_of_one_interrupted(
    context: Context, over: Path, uninterrupted: Result, interrupt: Callable[..., int], **settings: Any
) -> list[int]:
    """Interrupt the job once it has gone on from a checkpoint; return the epochs that its attempts start after."""
    job = post(context, upload(context), **SPEC)
    with ExitStack() as stack:
        worker = stack.enter_context(worker_on(context, **OFTEN | settings))
        assert eventually(lambda: has_gone_on(context, job)), history_of(context, job.id)[-5:]
        attempts = interrupt(context, job, worker, stack)
        over.touch()
        done = ended(context, job)
    assert (done.state, done.attempts) == ("succeeded", attempts)
    assert result_of(context, job.id) == uninterrupted

    history = history_of(context, job.id)
    assert [sequence for sequence, _, _ in history] == list(range(1, len(history) + 1))
    assert states_of(context, job).count("succeeded") == 1
    assert len(published(context)) == 1
    left = {f"{files.CHECKPOINTS}/{path.name}" for path in context.storage.path(files.CHECKPOINTS).iterdir()}
    kept = {checkpoint.folder for checkpoint in checkpoints_of(context, job)}
    assert len(kept) == 2
    assert kept == {key for key in left if not key.endswith(files.DRAFT)}
    return [data["epoch"] for _, kind, data in history if kind == "state" and data["state"] == "running"]
