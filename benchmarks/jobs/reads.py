"""Reading from the service while all cores train."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.jobs.place import numbers, service
from service.client import Client

WIDE = {"layers": [{"units": 512}, {"units": 512}]}


def reads(seconds: float = 15.0) -> list[float]:
    """Return the seconds of each read: of a job, the list, its metrics and events, a data set, in turn."""
    x = np.random.default_rng(0).normal(size=(20_000, 64))
    found = []
    with service(1) as url, Client(url) as client:
        dataset = numbers(client, x, x[:, 0])
        spec = {"epochs": 100_000, "batch_size": 256, "network": WIDE}
        job = client.jobs.create(dataset_id=dataset, target="y", **spec).id
        while client.jobs.get(job).progress.epoch < 1:
            time.sleep(0.05)
        paths = ["/v1/jobs", *(f"/v1/jobs/{job}{part}" for part in ("", "/metrics", "/events"))]
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            for path in [*paths, f"/v1/datasets/{dataset}"]:
                began = time.perf_counter()
                client.request("GET", path)
                found.append(time.perf_counter() - began)
                time.sleep(0.005)
        client.jobs.cancel(job)
        client.jobs.wait(job, timeout=60)
    return found
