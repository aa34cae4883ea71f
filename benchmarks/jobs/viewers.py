"""What two hundred viewers of a job's event stream cost the job, whose training has all cores."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from benchmarks.jobs import watching
from benchmarks.jobs.overhead import BATCH, UNITS, samples
from benchmarks.jobs.place import numbers, service
from service.client import Client

VIEWERS = 200
ENDLESS = 10**6


def slowdowns(seconds: float = 10.0, rounds: int = 3) -> list[float]:
    """Return for each round by which share a job of about `seconds` took longer with viewers than without.

    The job waits behind another until all have connected, so that what is measured is a job that is watched; a stream
    is opened once, and followed for as long as the job takes.
    """
    network = {"layers": [{"units": UNITS, "activation": "tanh"}]}
    found = []
    with service(1) as url, Client(url) as client:
        spec = {"dataset_id": numbers(client, *samples()), "target": "y", "network": network, "batch_size": BATCH}

        def training(epochs: int, viewers: int) -> float:
            """Return the seconds of the training, as the service tells them."""
            before = client.jobs.create(**spec, epochs=ENDLESS)
            while client.jobs.get(before.id).progress.step < 1:
                time.sleep(0.01)
            job = client.jobs.create(**spec, epochs=epochs)
            with _watching(url, job.id, viewers):
                client.jobs.cancel(before.id)
                done = client.jobs.wait(job.id)
            assert done.result is not None, done.error
            return done.result.seconds

        training(1, 0)
        epochs = round(seconds / (training(200, 0) / 200))
        for _ in range(rounds):
            alone = training(epochs, 0)
            found.append(training(epochs, VIEWERS) / alone - 1)
    return found


@contextmanager
def _watching(url: str, job_id: str, viewers: int) -> Iterator[None]:
    """Let so many follow the job, connected before and to its end after; none is no process."""
    if not viewers:
        yield
        return
    address = urlsplit(url)
    where = [str(address.hostname), str(address.port), f"/v1/jobs/{job_id}/events/stream"]
    command = [sys.executable, watching.__file__, *where, str(viewers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "connected\n", "not every viewer was let in"
        yield
        assert int(process.stdout.readline()) == viewers, "a viewer did not see the end"
