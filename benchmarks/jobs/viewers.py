"""What two hundred viewers of a job's event stream cost the job, whose training has all cores."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from urllib.parse import urlsplit

from benchmarks.jobs.overhead import BATCH, UNITS, samples
from benchmarks.jobs.place import numbers, service
from benchmarks.session import ROOT
from service.client import Client

VIEWERS = 200


def slowdowns(seconds: float = 10.0, rounds: int = 3) -> list[float]:
    """Return for each round by which share a job of about `seconds` took longer with viewers than without."""
    network = {"layers": [{"units": UNITS, "activation": "tanh"}]}
    found = []
    with service(1) as url, Client(url) as client:
        spec = {"dataset_id": numbers(client, *samples()), "target": "y", "network": network, "batch_size": BATCH}

        def training(epochs: int, viewers: int) -> float:
            """Return the seconds of the training, as the service tells them."""
            job = client.jobs.create(**spec, epochs=epochs)
            if viewers:
                watching = subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.jobs.viewers", url, job.id, str(viewers)],
                    cwd=ROOT,
                    stdout=subprocess.PIPE,
                )
                with watching:
                    done = client.jobs.wait(job.id)
                    assert watching.stdout is not None
                    assert int(watching.stdout.read()) == viewers, "a viewer did not see the end"
            else:
                done = client.jobs.wait(job.id)
            assert done.result is not None, done.error
            return done.result.seconds

        training(1, 0)
        epochs = round(seconds / (training(200, 0) / 200))
        for _ in range(rounds):
            alone = training(epochs, 0)
            found.append(training(epochs, VIEWERS) / alone - 1)
    return found


async def watch(url: str, job_id: str, viewers: int) -> int:
    """Follow the job's stream to its end with so many connections; return how many saw it succeed."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_view(url, job_id)) for _ in range(viewers)]
    return sum(task.result() for task in tasks)


async def _view(url: str, job_id: str) -> bool:
    # No client library: what it costs to take an answer apart isn't the service's.
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    request = f"GET /v1/jobs/{job_id}/events/stream HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n"
    writer.write(request.encode())
    tail = b""
    while piece := await reader.read(2**16):
        tail = (tail + piece)[-1000:]
    writer.close()
    return b'"succeeded"' in tail


if __name__ == "__main__":
    print(asyncio.run(watch(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
