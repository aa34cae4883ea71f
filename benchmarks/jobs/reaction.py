"""How soon a training job does what is asked of it: cancel, pause, and go on after its process was killed."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.jobs.place import numbers, service
from benchmarks.jobs.reads import WIDE
from service.client import Client
from service.jobs.schemas import Job

LOOK_SECONDS = 0.002


@dataclass
class Reactions:
    """Seconds, as the client sees them: from the request, or from the signal."""

    cancelled: list[float] = field(default_factory=list)
    paused: list[float] = field(default_factory=list)
    on_again: list[float] = field(default_factory=list)
    """From `kill -9` of the child until the next attempt has begun."""


def reactions(rounds: int = 10) -> Reactions:
    """Measure each of them `rounds` times, on a job whose epochs take seconds."""
    x = np.random.default_rng(0).normal(size=(100_000, 64))
    found = Reactions()
    with service(1) as url, Client(url) as client:
        spec = {"dataset_id": numbers(client, x, x[:, 0]), "target": "y", "epochs": 10_000, "network": WIDE}

        def training() -> Job:
            job = client.jobs.create(**spec, max_attempts=2)
            while client.jobs.get(job.id).progress.step < 1:
                time.sleep(0.05)
            return job

        for _ in range(rounds):
            job = training()
            began = time.perf_counter()
            client.jobs.pause(job.id)
            found.paused.append(_until(client, job.id, "paused", began))
            client.jobs.cancel(job.id)

            job = training()
            trainer = _trainer()
            began = time.perf_counter()
            os.kill(trainer, signal.SIGKILL)
            while client.jobs.get(job.id).attempts < 2:
                time.sleep(LOOK_SECONDS)
            found.on_again.append(time.perf_counter() - began)
            while client.jobs.get(job.id).progress.step < 1:
                time.sleep(0.05)
            began = time.perf_counter()
            client.jobs.cancel(job.id)
            found.cancelled.append(_until(client, job.id, "cancelled", began))
    return found


def _until(client: Client, job_id: str, state: str, began: float) -> float:
    while client.jobs.get(job_id).state != state:
        time.sleep(LOOK_SECONDS)
    return time.perf_counter() - began


def _trainer() -> int:
    """Return the process id of the child that trains: of those that this benchmark's worker has, the busiest."""
    found = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit() and b"service.runner" in (folder / "cmdline").read_bytes():
                seconds = sum(map(int, _stat(folder.name)[11:13]))
                worker = _stat(folder.name)[1]
                if int(_stat(_stat(worker)[1])[1]) == os.getpid():
                    found[int(folder.name)] = seconds
    return max(found, key=lambda pid: found[pid])


def _stat(pid: str) -> list[str]:
    """Return the fields that follow the name in https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html."""
    return (Path("/proc") / pid / "stat").read_text().rpartition(")")[2].split()
