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
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from service import tables
from service.client import Client, DeltabarError
from service.context import Context
from service.jobs.service import get_job
from tests.chaos.killer import Killer
from tests.chaos.programs import SETTINGS, running
from tests.chaos.record import Record
from tests.chaos.visitor import SPECS, Visitor
from tests.service.client.cutting import WHOLE, relaying
from tests.service.history import ended
from tests.service.invariants import Result, faults_of, result_of, stray_files
from tests.service.postgresql import Server
from tests.service.processes import PATIENCE, eventually, processes_on
from tests.service.test_worker_processes import worker_on
from tests.service.workplace import post, upload, workplace

CLIENTS = 3


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


def disturb(context: Context, folder: Path, minutes: float, seed: int, record: Record) -> None:
    """Let clients and the killer do what they do for `minutes`; then let all run out."""
    dataset, over = upload(context), threading.Event()
    breaks = random.Random(f"{seed}-breaks")
    with (
        running(folder, context) as url,
        relaying(int(url.rpartition(":")[2]), lambda _: breaks.choice([WHOLE, breaks.randint(1, 1000)])) as (far, _),
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
