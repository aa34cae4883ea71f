"""`kill -9` of a child, a worker or the API at every event of a job: it ends as if nothing had happened.

A job is struck at each event that tells something new, and goes on to the next: one job meets all positions, and costs
one start of a process for each. `make kills` lets a fresh job meet each position alone, on both databases.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import pytest

from service.context import Context
from service.jobs.schemas import Job
from service.jobs.service import get_job
from service.jobs.states import ENDED
from tests.service import slow_epochs
from tests.service.conftest import NewDatabase
from tests.service.history import ended, history_of, row_of
from tests.service.invariants import Result, faults_of, result_of, stray_files
from tests.service.processes import PATIENCE, Serving, eventually, processes_on, serving
from tests.service.test_worker_processes import POLL, Process, worker_on
from tests.service.workplace import post, upload, workplace

ALONE = os.environ.get("TESTS_KILLS") == "alone"
EPOCH_SECONDS = 0.25
"""So much longer do epochs take that whoever looks for news between two of them finds some, on a busy machine too."""
EPOCHS = 8 if "TESTS_KILLS" in os.environ else 4
"""The first, the last, and some between."""
# With states of their own that have to come back.
SPEC: dict[str, Any] = {
    "network": {"layers": [{"units": 128, "dropout": 0.1}, {"units": 64, "activation": "tanh"}]},
    "epochs": EPOCHS,
    "schedule": {"name": "reduce_on_plateau", "patience": 2},
    "early_stopping": {"monitor": "validation_loss", "patience": 100},
    "max_attempts": 100,
}
SETTINGS: dict[str, Any] = {"checkpoint_seconds": 0.1, "lease_seconds": 1.5, "threads": 1, "poll_seconds": POLL}


class Victim(Protocol):
    """What is killed: `strike` kills what works on the job, or would, and sees to it that there is another."""

    def strike(self, job: Job) -> None: ...


class Child:
    """The child that trains, of a worker that stays."""

    def __init__(self, context: Context, stack: ExitStack) -> None:
        self._context = context
        self._worker = stack.enter_context(worker_on(context, **SETTINGS | {"lease_seconds": 60}))

    def strike(self, job: Job) -> None:
        running = row_of(self._context, job.id)["state"] == "running"
        # While the job is queued: the children that wait for one.
        pids = {self._trains(job)} if running else processes_on(self._context.settings.data_dir)
        for pid in pids - {self._worker.popen.pid}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _trains(self, job: Job) -> int:
        started = f"{job.id}: attempt {row_of(self._context, job.id)['attempts']},"
        assert eventually(lambda: started in self._worker.log, PATIENCE)
        return self._worker.child_of(job)


class Worker:
    """The worker that has the job, of two; another comes in its place."""

    def __init__(self, context: Context, stack: ExitStack) -> None:
        self._context, self._stack = context, stack
        self._workers: list[Process] = []
        self._fill()

    def strike(self, job: Job) -> None:
        attempt = f"{job.id}: attempt {row_of(self._context, job.id)['attempts']},"
        for worker in [worker for worker in self._workers if attempt in worker.log] or list(self._workers):
            worker.popen.kill()
            worker.popen.wait()
            self._workers.remove(worker)
        self._fill()

    def _fill(self) -> None:
        while len(self._workers) < 2:
            self._workers.append(self._stack.enter_context(worker_on(self._context, **SETTINGS)))


class Api:
    """`deltabar serve`, and with it its worker; then started again on the same folder."""

    def __init__(self, context: Context, stack: ExitStack) -> None:
        self._context, self._stack = context, stack
        self._serving = self._start()

    def strike(self, _job: Job) -> None:
        self._serving.process.kill()
        self._serving.process.wait()
        self._serving = self._start()

    def _start(self) -> Serving:
        folder, url = self._context.settings.data_dir.parent, self._context.settings.database_url
        return self._stack.enter_context(serving(folder, port=0, database_url=url, **SETTINGS))


@contextmanager
def place(folder: Path, new_database: NewDatabase) -> Iterator[Context]:
    with new_database() as database, workplace(folder / "data", **database) as context:
        yield context


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """Where nobody is killed."""
    with (
        workplace(tmp_path_factory.mktemp("calm") / "data") as context,
        worker_on(context, **SETTINGS | {"lease_seconds": 60}),
    ):
        yield context


@pytest.fixture(scope="module")
def undisturbed(calm: Context) -> Result:
    """What the job comes to."""
    job = post(calm, upload(calm), **SPEC)
    done = ended(calm, job, PATIENCE)
    assert (done.state, done.attempts) == ("succeeded", 1)
    assert faults_of(calm, job.id) == []
    return result_of(calm, job.id)


@pytest.fixture
def _slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", slow_epochs.in_children(tmp_path, EPOCH_SECONDS, tmp_path / "never"))


def of_each_epoch(kind: str, data: dict[str, Any]) -> str:
    """Name a position by all that it tells."""
    return f"{kind} {data.get('state') or data.get('epoch', '')}"


def of_each_kind(kind: str, data: dict[str, Any]) -> str:
    """Name a position by the kind of event alone."""
    return f"{kind} {data.get('state', '')}"


def struck_at_each(
    context: Context, job: Job, victim: Victim, name_of: Callable[[str, dict[str, Any]], str]
) -> list[str]:
    """Strike at each position that has not been met yet, until the job has ended; return those that were met."""
    met: list[str] = []

    def news() -> set[str]:
        return {name_of(kind, data) for _, kind, data in history_of(context, job.id)} - set(met)

    def has_ended() -> bool:
        return get_job(context, job.id).state in ENDED

    while eventually(lambda: news() or has_ended()) and not has_ended():
        names, token = news(), row_of(context, job.id)["lease_token"]
        victim.strike(job)
        met += sorted(names)
        assert eventually(lambda: is_past(context, job, token)), history_of(context, job.id)[-5:]  # noqa: B023
    return met


def struck_at(context: Context, job: Job, victim: Victim, sequence: int) -> list[str]:
    """Strike once, as soon as the event `sequence` is there; return what there was when it was done.

    How many events there are, the machine decides: none is returned of a job that ended before this one.
    """
    while (row := row_of(context, job.id))["last_event"] < sequence:
        if row["state"] in ENDED:
            return []
    victim.strike(job)
    return [of_each_epoch(kind, data) for _, kind, data in history_of(context, job.id)][sequence - 1 :]


def is_past(context: Context, job: Job, token: int) -> bool:
    """Return whether the attempt `token` is over, and another has begun where the job has not ended."""
    row = row_of(context, job.id)
    return row["lease_token"] > token or row["state"] in ENDED


def end_well(context: Context, job: Job, expected: Result) -> None:
    done = ended(context, job, PATIENCE)
    assert done.state == "succeeded", done.error
    assert faults_of(context, job.id, expected) == []


@pytest.mark.usefixtures("_slow")
@pytest.mark.skipif(ALONE, reason="each position is met alone")
@pytest.mark.parametrize("victim", [Child, Worker, Api] if "TESTS_KILLS" in os.environ else [Child])
def test_a_job_is_killed_at_all_of_its_events(
    tmp_path: Path,
    new_database: NewDatabase,
    undisturbed: Result,
    victim: Callable[[Context, ExitStack], Victim],
    request: pytest.FixtureRequest,
):
    everywhere = victim is not Api and request.node.callspec.params["new_database"] == "sqlite"
    with place(tmp_path, new_database) as context:
        with ExitStack() as stack:
            killed = victim(context, stack)
            assert eventually(lambda: re.search(r"service.(runner|worker)", names_on(context)), PATIENCE)
            job = post(context, upload(context), **SPEC)
            met = struck_at_each(context, job, killed, of_each_epoch if everywhere else of_each_kind)
            end_well(context, job, undisturbed)
        assert {"state queued", "state running"} < set(met)
        assert {"metrics", "checkpoint"} == {name.split()[0] for name in met} - {"state"}
        assert_nothing_is_left(context)


@pytest.mark.usefixtures("_slow")
@pytest.mark.skipif(not ALONE, reason="`make kills` does it: it takes minutes")
@pytest.mark.parametrize("victim", [Child, Worker, Api])
def test_each_position_alone(
    tmp_path: Path,
    new_database: NewDatabase,
    undisturbed: Result,
    victim: Callable[[Context, ExitStack], Victim],
):
    everything: set[str] = set()
    with place(tmp_path, new_database) as context:
        dataset = upload(context)
        with ExitStack() as stack:
            killed = victim(context, stack)
            for sequence in itertools.count(1):
                job = post(context, dataset, **SPEC)
                met = struck_at(context, job, killed, sequence)
                end_well(context, job, undisturbed)
                if not met:
                    break
                print(f"{victim.__name__} at event {sequence}: {', '.join(met)}")
                everything |= {name.split()[0] for name in met}
        assert everything == {"state", "metrics", "checkpoint"}
        assert_nothing_is_left(context)


def names_on(context: Context) -> str:
    pids = processes_on(context.settings.data_dir)
    return "".join((Path("/proc") / str(pid) / "cmdline").read_text() for pid in pids)


def assert_nothing_is_left(context: Context) -> None:
    """A worker that starts sweeps what killed ones have left; then there is nothing that no row shows."""
    assert eventually(lambda: not processes_on(context.settings.data_dir), PATIENCE)
    with worker_on(context, **SETTINGS) as worker:
        assert eventually(lambda: "waiting for jobs" in worker.log, PATIENCE)
    assert stray_files(context) == []
