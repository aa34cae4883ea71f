"""A service of its own for each measurement, on a free port, with workers beside it; and data to post."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from benchmarks.session import ROOT
from core.threads import cores
from service.client import Client

TINY = {"epochs": 1, "batch_size": 32, "split": None, "network": {"layers": [{"units": 16, "activation": "tanh"}]}}
"""One epoch on the irises."""
PATIENCE = 60.0


@contextmanager
def service(workers: int, **settings: str) -> Iterator[str]:
    """Run a service with so many workers, which share the cores, and these settings; yield its address."""
    with tempfile.TemporaryDirectory(prefix="deltabar-bench-") as folder, ExitStack() as stack:
        own = {"DELTABAR_DATA_DIR": folder, "DELTABAR_THREADS": str(max(1, cores() // workers))}
        environment = os.environ | own | settings
        log = stack.enter_context(Path(folder, "log").open("w", encoding="utf-8"))
        serve = [sys.executable, "-m", "service.cli", "serve", "--port", "0", "--watch-stdin"]
        process = stack.enter_context(_running(serve, environment, log))
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, Path(folder, "log").read_text(encoding="utf-8")
        for _ in range(workers - 1):
            stack.enter_context(_running([sys.executable, "-m", "service.worker", "--watch-stdin"], environment, log))
        yield found[0]


@contextmanager
def _running(command: list[str], environment: dict[str, str], log: IO[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def irises(client: Client) -> str:
    """Upload scikit-learn's irises and return the data set's id; the target is called `species`."""
    from sklearn.datasets import load_iris

    x, y = load_iris(return_X_y=True)
    lines = ["a,b,c,d,species", *(",".join([*map(str, row), f"s{label}"]) for row, label in zip(x, y, strict=True))]
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write("\n".join(lines))
        file.flush()
        return client.datasets.upload(file.name, "iris.csv").id


def numbers(client: Client, x: np.ndarray, y: np.ndarray) -> str:
    """Upload arrays and return the data set's id."""
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        np.savez(file, x=x, y=y)
        file.flush()
        return client.datasets.upload(file.name, "numbers.npz").id
