"""A service under load, and a killer: `make chaos MINUTES=5`.

`deltabar serve` with its worker, and a second worker, on one database. Clients post jobs with an `Idempotency-Key`,
over a line on which every other answer breaks off, and ask again with the same key until there is one; they pause,
resume, cancel, retry, and follow events over the same line. A killer ends and freezes processes at random. Then all is
let run out, and every job is looked at: none is lost, none was made or has succeeded twice, none is left claimed, no
sequence has a gap, no file is left without a row, and weights and curve are, bit for bit, those of a job of the same
kind that nobody disturbed.

The seed chooses what is done, and in which order; when it happens, the machine decides. Exits with 1 where something is
wrong, says what, and leaves the data and the logs where they are.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from service import tables
from service.client import Client, DeltabarError
from service.context import Context
from service.jobs.service import get_job
from tests.service.client.cutting import WHOLE, relaying
from tests.service.history import ended
from tests.service.invariants import Result, faults_of, result_of, stray_files
from tests.service.postgresql import Server
from tests.service.processes import eventually, processes_on
from tests.service.test_worker_processes import worker_on
from tests.service.workplace import post, upload, workplace

LEASE_SECONDS = 2.0
SETTINGS: dict[str, Any] = {
    "lease_seconds": LEASE_SECONDS,
    "checkpoint_seconds": 0.1,
    "stall_seconds": 10,
    "poll_seconds": 0.05,
    "threads": 1,
    "max_attempts": 100,
}
CLIENTS, AT_MOST_WAITING = 3, 8
PATIENCE = 300.0
# Jobs of milliseconds, of a second, and of several; all that has a state of its own is in one of them.
SPECS: dict[str, dict[str, Any]] = {
    "tiny": {"epochs": 1},
    "short": {"epochs": 150, "batch_size": 8, "optimizer": {"name": "sgd", "learning_rate": 0.05}},
    "long": {
        "network": {"layers": [{"units": 128, "dropout": 0.1}, {"units": 64, "activation": "tanh"}]},
        "epochs": 200,
        "batch_size": 2,
        "schedule": {"name": "reduce_on_plateau", "patience": 2},
        "early_stopping": {"monitor": "validation_loss", "patience": 1000},
    },
}
OFTEN = (5, 3, 2)  # of each of them
CLAIMER, TRAINER, API = "service.worker", "service.runner", "service.cli"


@dataclass
class Record:
    """What was done; safe to be added to by all."""

    counts: Counter[str] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1


class Program:
    """A program that is started again whenever it ends, until it is told not to be."""

    def __init__(self, name: str, arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._arguments, self._environment = arguments, environment
        self._log, self._stopping = (folder / f"{name}.log").open("ab"), threading.Event()
        self._process = self._start()
        self._thread = threading.Thread(target=self._supervise)
        self._thread.start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", *self._arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def _supervise(self) -> None:
        while True:
            self._process.wait()
            if self._stopping.wait(0.2):
                return
            self._process = self._start()

    def stop(self) -> None:
        self._stopping.set()
        self._process.terminate()
        self._thread.join()
        self._log.close()


class Killer(threading.Thread):
    """Ends and freezes processes that work on the data, one at a time, until `over`."""

    def __init__(self, url: str, data_dir: Path, chance: random.Random, record: Record, over: threading.Event) -> None:
        super().__init__()
        self._url, self._data_dir, self._chance, self._record, self._over = url, data_dir, chance, record, over

    def run(self) -> None:
        with Client(self._url, timeout=5) as client:
            while not self._over.wait(self._chance.uniform(0.2, 3.0)):
                if client.ready():  # what is struck while it starts has nothing to lose
                    self._strike_one()

    def _strike_one(self) -> None:
        module = self._chance.choice([TRAINER] * 5 + [CLAIMER] * 3 + [API])
        number = self._chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
        found = [pid for pid in sorted(processes_on(self._data_dir)) if module in command_of(pid)]
        if found:
            self._strike(self._chance.choice(found), number, module.rpartition(".")[2])

    def _strike(self, pid: int, number: signal.Signals, name: str) -> None:
        with suppress(ProcessLookupError):  # it has ended by itself in between
            os.kill(pid, number)
            self._record.count(f"{number.name} to {NAMES[name]}")
            if number == signal.SIGSTOP:
                self._over.wait(LEASE_SECONDS * self._chance.uniform(0.5, 2.5))
                os.kill(pid, signal.SIGCONT)


NAMES = {"runner": "a child", "worker": "a worker", "cli": "the API"}


def command_of(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_text()
    except OSError:
        return ""


class Visitor:
    """A client that posts jobs and does things with them, until `over`.

    Some answers come from `far`, the same service at the end of a line on which they break off.
    """

    def __init__(
        self, url: str, far: str, dataset_id: str, chance: random.Random, record: Record, over: threading.Event
    ) -> None:
        self._client, self._far, self._dataset_id = Client(url, timeout=10), Client(far, timeout=10), dataset_id
        self._posting = httpx.Client(base_url=far, timeout=10, headers={"Connection": "close"}, trust_env=False)
        self._chance, self._record, self._over = chance, record, over

    def run(self) -> None:
        with self._client, self._far, self._posting:
            while not self._over.wait(self._chance.uniform(0.0, 0.5)):
                try:
                    if self._client.jobs.list(limit=100, state=["queued", "running", "paused"]).data[AT_MOST_WAITING:]:
                        continue
                    if job_id := self._post():
                        self._do_something(job_id)
                except (ConnectionError, TimeoutError, DeltabarError) as error:
                    self._tolerate(error)

    def _post(self) -> str | None:
        """Post a job, again and again with the same key until there is an answer; return its id."""
        kind = self._chance.choices(list(SPECS), OFTEN)[0]
        key = f"{kind}-{self._chance.getrandbits(64):016x}"
        body = {"dataset_id": self._dataset_id, "target": "species", "device": "cpu", "metadata": {"key": key}}
        while not self._over.is_set():
            try:
                answer = self._posting.post("/v1/jobs", json=SPECS[kind] | body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                self._record.count("posts without an answer")
            else:
                if answer.status_code == 202:
                    return self._accepted(kind, answer)
                said = answer.json()
                if said["code"] != "idempotency_key_in_flight" and answer.status_code != 503:
                    self._record.faults.append(f"an answer to a post that nobody should get: {said}")
                self._record.count("posts refused")
            self._over.wait(0.2)
        return None

    def _accepted(self, kind: str, answer: httpx.Response) -> str:
        job_id = answer.json()["id"]
        self._record.count(f"jobs posted, {kind}")
        if "idempotent-replayed" in answer.headers:
            self._record.count("jobs there already when they were posted again")
        with self._record.lock:
            self._record.accepted.add(job_id)
        return job_id

    def _do_something(self, job_id: str) -> None:
        jobs, deed = self._client.jobs, self._chance.choice(["pause", "cancel", "retry", "follow", "follow", "", ""])
        self._over.wait(self._chance.uniform(0.0, 1.0))
        match deed:
            case "pause":
                jobs.pause(job_id)
                self._over.wait(self._chance.uniform(0.0, 1.0))
                jobs.resume(job_id)
            case "cancel":
                jobs.cancel(job_id)
            case "retry":
                jobs.cancel(job_id)
                if jobs.wait(job_id, timeout=20).state == "cancelled":
                    jobs.retry(job_id)
            case "follow":
                self._follow(job_id)
            case _:
                return
        self._record.count(f"jobs with {deed}")

    def _follow(self, job_id: str) -> None:
        """Read the events to the end or for some seconds; they come once each, in order, over all breaks."""
        until, last = time.monotonic() + 15, 0
        for event in self._far.jobs.events(job_id):
            if event.sequence != last + 1:
                self._record.faults.append(f"{job_id}: the stream goes from event {last} to {event.sequence}")
            last = event.sequence
            if time.monotonic() > until or self._over.is_set():
                break

    def _tolerate(self, error: Exception) -> None:
        """Go on where the service was away, or the job had got ahead of what was asked."""
        if isinstance(error, DeltabarError) and error.status not in (409, 503):
            self._record.faults.append(f"an answer that nobody should get: {error}")
        self._record.count("requests refused" if isinstance(error, DeltabarError) else "requests without an answer")


def references(folder: Path) -> dict[str, Result]:
    """Train a job of each kind undisturbed."""
    found = {}
    with workplace(folder / "data") as context, worker_on(context, threads=1):
        dataset = upload(context)
        for kind, spec in SPECS.items():
            job = ended(context, post(context, dataset, **spec), PATIENCE)
            assert (job.state, job.attempts) == ("succeeded", 1), job
            found[kind] = result_of(context, job.id)
    return found


@contextmanager
def running(folder: Path, context: Context) -> Iterator[str]:
    """Run the service on a free port of its own, with a second worker; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    chosen = context.settings
    settings = SETTINGS | {"data_dir": chosen.data_dir, "database_url": chosen.database_url, "port": port}
    environment = os.environ | {f"DELTABAR_{name.upper()}": str(value) for name, value in settings.items()}
    programs = [
        Program("service", ["service.cli", "serve"], folder, environment),
        Program("worker", ["service.worker"], folder, environment),
    ]
    try:
        with Client(url := f"http://127.0.0.1:{port}") as client:
            assert eventually(client.ready, PATIENCE), (folder / "service.log").read_text()
        yield url
    finally:
        for program in programs:
            program.stop()
        for pid in processes_on(chosen.data_dir):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def disturb(context: Context, folder: Path, minutes: float, seed: int, record: Record) -> None:
    """Let clients and the killer do what they do for `minutes`; then let all run out."""
    dataset, over = upload(context), threading.Event()
    breaks = random.Random(f"{seed}-breaks")
    with (
        running(folder, context) as url,
        relaying(int(url.rpartition(":")[2]), lambda _: breaks.choice([WHOLE, breaks.randint(1, 4000)])) as (far, _),
    ):
        chances = [random.Random(f"{seed}-{n}") for n in range(CLIENTS)]
        visitors = [Visitor(url, far, dataset.id, chance, record, over) for chance in chances]
        killer = Killer(url, context.settings.data_dir, random.Random(f"{seed}-killer"), record, over)
        with ThreadPoolExecutor(CLIENTS) as pool:
            futures = [pool.submit(visitor.run) for visitor in visitors]
            killer.start()
            try:
                time.sleep(60 * minutes)
            finally:
                over.set()
                killer.join()
            for future in futures:
                future.result()
        with Client(url) as client:
            assert eventually(client.ready, PATIENCE), (folder / "service.log").read_text()
            deadline = time.monotonic() + PATIENCE
            while (open_jobs := ids_in(context, "queued", "running", "paused")) and time.monotonic() < deadline:
                for job_id in ids_in(context, "paused"):
                    with suppress(DeltabarError):
                        client.jobs.resume(job_id)
                with suppress(TimeoutError):
                    client.jobs.wait(open_jobs[0], timeout=5)


def ids_in(context: Context, *states: str) -> list[str]:
    with context.database.read() as session:
        return list(session.scalars(select(tables.Job.id).where(tables.Job.state.in_(states))))


def look(context: Context, expected: dict[str, Result], record: Record) -> None:
    """Check every job, and every file once a worker that starts has swept what killed ones left."""
    keys: Counter[str] = Counter()
    with context.database.read() as session:
        rows = [(job.id, job.spec["metadata"]["key"]) for job in session.scalars(select(tables.Job))]
    for job_id, key in rows:
        keys[key] += 1
        record.faults += faults_of(context, job_id, expected[key.partition("-")[0]])
        job = get_job(context, job_id)
        record.counts[f"jobs {job.state}"] += 1
        record.counts["attempts"] += job.attempts
        if job.state == "failed":
            record.faults.append(f"{job_id}: it failed: {job.error}")
    record.faults += [f"{n} jobs were made for the Idempotency-Key {key}" for key, n in keys.items() if n > 1]
    there = {job_id for job_id, _ in rows}
    record.faults += [f"{job_id} was accepted and is lost" for job_id in sorted(record.accepted - there)]
    if left := processes_on(context.settings.data_dir):
        record.faults.append(f"processes are left: {left}")
    with worker_on(context, threads=1) as worker:
        assert eventually(lambda: "waiting for jobs" in worker.log, PATIENCE)
    record.faults += [f"a file without a row, or a row without its file: {key}" for key in stray_files(context)]


def main() -> int:
    """Run it with the arguments of the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="deltabar-chaos-"))
    print(f"seed {chosen.seed}, {chosen.minutes:g} minutes, {chosen.database}; data and logs in {folder}", flush=True)
    record = Record()
    expected = references(folder / "undisturbed")
    with ExitStack() as stack:
        database: dict[str, Any] = {}
        if chosen.database == "postgresql":
            server = Server()
            stack.callback(server.close)
            database = {"database_url": stack.enter_context(server.database())}
        context = stack.enter_context(workplace(folder / "data", **database, **SETTINGS))
        disturb(context, folder, chosen.minutes, chosen.seed, record)
        look(context, expected, record)
    table = Table("what", "times", title=f"seed {chosen.seed}, {chosen.minutes:g} minutes, {chosen.database}")
    for what, times in sorted(record.counts.items()):
        table.add_row(what, str(times))
    Console().print(table)
    if record.faults:
        print(f"{len(record.faults)} faults; data and logs are left in {folder}", *record.faults, sep="\n")
        return 1
    shutil.rmtree(folder)
    print("nothing lost, nothing twice, nothing left, all weights and curves bit-equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
