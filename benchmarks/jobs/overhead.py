"""What the service adds to a job of half a minute, against `core.fit` on the same rows."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np

from benchmarks.jobs.place import numbers, service
from benchmarks.session import ROOT
from core.threads import cores, environment
from service.client import Client

UNITS, BATCH = 64, 64
AGREEMENT = 1e-4


def samples() -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of a regression; both have mean 0 and deviation 1, so that encoding changes next to nothing."""
    random = np.random.default_rng(0)
    x = random.normal(size=(4096, 32))
    x = (x - x.mean(0)) / x.std(0)
    y = np.tanh(x @ random.normal(size=32) / 3) + 0.1 * random.normal(size=4096)
    return x, (y - y.mean()) / y.std()


def fit(epochs: int) -> tuple[float, float]:
    """Train with `core.fit`, and return its seconds and the last loss."""
    import core

    x, y = (array.astype("float32") for array in samples())  # as the service keeps what it trains on
    with core.threads(cores()):
        network = core.Network(32, [core.Dense(UNITS, "tanh"), core.Dense(1)], seed=0)
        began = time.perf_counter()
        history = core.fit(network, x, y[:, None], loss="squared_error", epochs=epochs, batch_size=BATCH, seed=0)
    return time.perf_counter() - began, float(history[-1].loss)


def overheads(seconds: float = 30.0, rounds: int = 2) -> list[float]:
    """Return for each round by which share a job took longer than `core.fit`, in turn, each about `seconds` long.

    A job's time is its client's, from the POST until it knows that the job has succeeded. Raises AssertionError where
    the two don't reach the same loss.
    """
    _apart(20)
    epochs = round(seconds / (_apart(200)[0] / 200))
    found = []
    with service(1) as url, Client(url) as client:
        dataset = numbers(client, *samples())
        network = {"layers": [{"units": UNITS, "activation": "tanh"}]}
        spec = {"network": network, "batch_size": BATCH, "split": None, "dtype": "float32", "seed": 0}
        spec |= {"optimizer": "adam"}  # that of `core.fit`
        client.jobs.wait(client.jobs.create(dataset_id=dataset, target="y", epochs=1, **spec).id, timeout=60)
        for _ in range(rounds):
            fitted, loss = _apart(epochs)
            began = time.perf_counter()
            job = client.jobs.wait(client.jobs.create(dataset_id=dataset, target="y", epochs=epochs, **spec).id)
            took = time.perf_counter() - began
            assert job.result is not None, job.error
            assert abs(job.result.loss - loss) <= AGREEMENT * loss, (job.result.loss, loss)
            found.append(took / fitted - 1)
    return found


def _apart(epochs: int) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.jobs.overhead", str(epochs)]
    ran = subprocess.run(command, cwd=ROOT, env=environment(cores()), stdout=subprocess.PIPE, text=True, check=True)
    seconds, loss = json.loads(ran.stdout)
    return seconds, loss


if __name__ == "__main__":
    fit(1)  # compiled, as it is in a warm child
    print(json.dumps(fit(int(sys.argv[1]))))
