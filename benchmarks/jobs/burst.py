"""Very many tiny jobs at once: how many a second, and how long each takes from its posting to its end."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from benchmarks.jobs.place import TINY, irises, service
from service.client import Client
from service.jobs.schemas import Job

CLIENTS, WORKERS, JOBS = 20, 2, 1000
PATIENCE = 600.0


@dataclass(frozen=True)
class Burst:
    """What came of it, in seconds; `turnaround` is from a job's row to its end, as the service has written them."""

    jobs: int
    seconds: float
    turnaround: list[float]

    @property
    def rate(self) -> float:
        """Jobs a second, from the first posting until every client knows that its last job has succeeded."""
        return self.jobs / self.seconds


def burst(jobs: int = JOBS) -> Burst:
    """Let 20 clients post `jobs` at once and wait for them; raises AssertionError unless each succeeded, once."""
    with service(WORKERS) as url, Client(url) as first, ThreadPoolExecutor(CLIENTS) as pool:
        dataset = irises(first)
        for _ in range(WORKERS * 2):  # every worker and child has had one
            first.jobs.wait(first.jobs.create(dataset_id=dataset, target="species", **TINY).id, timeout=PATIENCE)
        began = time.perf_counter()
        mine = pool.map(lambda _: _post_and_wait(url, dataset, jobs // CLIENTS), range(CLIENTS))
        done = [job for each in mine for job in each]
        seconds = time.perf_counter() - began
        assert len({job.model_id for job in done}) == jobs // CLIENTS * CLIENTS
        assert {(job.state, job.attempts) for job in done} == {("succeeded", 1)}
    turnaround = [(job.finished_at or np.nan) - job.created_at for job in done]
    return Burst(len(done), seconds, turnaround)


def _post_and_wait(url: str, dataset: str, count: int) -> list[Job]:
    with Client(url) as client:
        posted = [client.jobs.create(dataset_id=dataset, target="species", **TINY) for _ in range(count)]
        return [client.jobs.wait(job.id, timeout=PATIENCE) for job in posted]
