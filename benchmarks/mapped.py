"""Training from a memory-mapped `.npy` larger than the memory that the process is allowed, beside one in memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np

import core
from benchmarks.bars import Verdict
from benchmarks.session import ROOT
from benchmarks.shapes import TABLE
from benchmarks.threads import cores_for
from benchmarks.timing import Spread
from core.threads import environment

SAMPLES = 200_000
"""Of the medium shape: 627 MB."""
ALLOWED = 400_000_000
"""Bytes of memory of its own that the process with the mapped file may have; pages of a file don't count."""
EPOCHS = 3
LEAST = 0.8
MAPPED, LOADED = "mapped", "loaded"
SHAPE = TABLE[2]


def load(path: Path, how: str) -> np.ndarray:
    """Return the array in `path`; where it is to be mapped, this process may have `ALLOWED` bytes from now on."""
    if how == LOADED:
        return np.load(path)
    resource.setrlimit(resource.RLIMIT_DATA, (ALLOWED, ALLOWED))
    return np.load(path, mmap_mode="r")


def epoch_seconds(path: Path, how: str) -> float:
    """Return the median time of the epochs after the first."""
    x = load(path, how)
    y = np.random.default_rng(1).integers(0, SHAPE.widths[-1], len(x))
    hidden = [core.Dense(units, SHAPE.activation) for units in SHAPE.widths[1:-1]]
    net = core.Network(SHAPE.widths[0], [*hidden, core.Dense(SHAPE.widths[-1], "softmax")])
    records = core.fit(net, x, y, loss=SHAPE.loss, epochs=EPOCHS, batch_size=SHAPE.batch)
    return float(np.median([after.seconds - before.seconds for before, after in pairwise(records)]))


def write(path: Path, samples: int) -> None:
    """Write `samples` random samples, a piece at a time."""
    file = np.lib.format.open_memmap(path, "w+", np.float32, (samples, SHAPE.widths[0]))
    rng = np.random.default_rng(0)
    for start in range(0, samples, 4096):
        piece = file[start : start + 4096]
        piece[...] = rng.standard_normal(piece.shape, dtype=np.float32)
    file.flush()


def speeds(threads: int, rounds: int) -> list[float]:
    """Return for each round the speed with the mapped file, divided by that with the same data in memory."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        write(path, SAMPLES)
        for _ in range(rounds):
            seconds = {how: _in_a_process(path, how, threads) for how in (LOADED, MAPPED)}
            found.append(seconds[LOADED] / seconds[MAPPED])
    return found


def verdict(found: list[float]) -> Verdict:
    """Return the verdict on `speeds`."""
    what = f"of the speed in memory, from a file of {SAMPLES * SHAPE.widths[0] * 4 / 1e6:.0f} MB"
    return Verdict(f"memory-mapped, {ALLOWED / 1e6:.0f} MB allowed", what, LEAST, Spread.of(found))


def _in_a_process(path: Path, how: str, threads: int) -> float:
    command = [sys.executable, "-m", "benchmarks.mapped", str(path), how]
    with cores_for(threads):
        ran = subprocess.run(command, cwd=ROOT, env=environment(threads), stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(ran.stdout))


if __name__ == "__main__":
    print(json.dumps(epoch_seconds(Path(sys.argv[1]), sys.argv[2])))
