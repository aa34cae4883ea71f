"""One tiny job at a time on an idle, warm service: from the POST until its client knows that it has succeeded."""

from __future__ import annotations

import time

from benchmarks.jobs.place import TINY, irises, service
from service.client import Client


def turnarounds(count: int = 60, warm_up: int = 5) -> list[float]:
    """Return the seconds of each of `count` jobs, posted one after the other, as their client measures them."""
    seconds = []
    with service(1) as url, Client(url) as client:
        dataset = irises(client)
        for k in range(warm_up + count):
            began = time.perf_counter()
            job = client.jobs.wait(client.jobs.create(dataset_id=dataset, target="species", **TINY).id, timeout=60)
            assert job.state == "succeeded", job.error
            if k >= warm_up:
                seconds.append(time.perf_counter() - began)
            time.sleep(0.1)  # idle again
    return seconds
