"""A worker's machine measures itself, in about a second: `python -m service.calibration THREADS` prints it as JSON.

It is a process of its own, so that neither the worker nor the jobs of its children wait for it. It prints with it what
the doctor finds of the CPU, for the worker's log.
"""

from __future__ import annotations

import itertools
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import core
from core.threads import allowed
from service import doctor
from service.datasets.encoding import fit_encoding
from service.datasets.ingest import Request, ingest
from service.datasets.limits import Limits
from service.datasets.readers import read_table
from service.datasets.reading import Reading
from service.datasets.summary import summarize
from service.jobs.duration import Calibration, Rate, Work, seconds, step_seconds
from service.jobs.request import JobRequest
from service.jobs.resolve import resolve
from service.memory import resident_bytes
from service.problems import dump
from service.protocol import Assignment
from service.settings import Settings
from service.tables import Dataset
from service.training.course import Wish, train
from service.training.samples import Tables

SHAPES = ((32, 4, 4), (32, 16, 16), (32, 64, 32), (64, 64, 64), (128, 128, 128), (128, 784, 256), (512, 1024, 512))
"""(m, k, n) of NumPy's products that are timed."""
SQUARES = ((32, 32), (32, 64), (32, 128), (128, 256), (256, 512))
"""(m, n) of the compiled steps that are timed: m samples of a step, n inputs and units of both layers."""
LOW, TALL = SQUARES[3], (2048, 64)
"""Two with products of the same size, but three and four times as many numbers go through the second."""
PRODUCTS = 5
"""Of such a step: two forward, Θ̄ twice, and x̄ of the second layer."""
SQUARES_FLOPS = 2e8
"""About so many operations are timed at once."""
LOSS = "squared_error"
MOST_CALLS = 200
EPOCHS = 20
DATASET_ID = "ds_" + "0" * 32


def measure() -> Calibration:
    """Return what this machine takes, with the threads that this process may have.

    Each constant is found from a training in which it weighs most, less what the others explain of it.
    """
    found = Calibration(
        rates={dtype: [_rate(*shape, dtype) for shape in SHAPES] for dtype in ("float32", "float64")},
    )
    tiny = Work((4, 16, 1), "float32", True, 32, 3200, 0, 1)
    found.row = _fastest(lambda: np.random.default_rng(0).permutation(20_000), 0.005) / 20_000
    wide = replace(tiny, widths=(16, 64, 64, 1), compiled=False, batch_size=2048, n_train=2048)
    found.element = max(0.0, _step(wide) - step_seconds(wide, found)) / (2048 * sum(wide.widths))
    plain = replace(tiny, compiled=False)
    found.plain_step = max(0.0, _step(plain) - step_seconds(plain, found))
    large = replace(plain, widths=(512, 1024, 1), batch_size=8, n_train=64)
    found.parameter = max(0.0, _step(large) - step_seconds(large, found)) / (large.n_parameters * 4 * 7)
    _measure_compiled(found, tiny)
    found.byte, found.input = _reading()
    found.start, found.epoch = _tiny_jobs(found)
    found.resident_bytes = resident_bytes()
    return found


def _rate(m: int, k: int, n: int, dtype: str) -> Rate:
    a, b, c = (np.ones(shape, dtype) for shape in ((m, k), (k, n), (m, n)))
    np.matmul(a, b, out=c)
    flops = 2.0 * m * k * n
    return Rate(flops=flops, per_second=flops / _fastest(lambda: np.matmul(a, b, out=c), 0.01))


def _measure_compiled(found: Calibration, tiny: Work) -> None:
    """Find the constants of compiled steps: what they take beside the smallest step and their passes over parameters.

    Of two steps with the same products, the one through which more numbers go takes longer for these alone. A smaller
    product than any is made at the same rate, as it is no call. Of float64 a vector has half as many numbers.
    """
    found.compiled_step = _step(tiny)
    found.compiled_rates = {"float32": [Rate(flops=1.0, per_second=math.inf)]}
    left = {shape: _beside(*shape, found) for shape in SQUARES}
    numbers = {(m, n): (PRODUCTS - 2) * m * n for m, n in (*SQUARES, TALL)}
    threads = allowed()
    with core.threads(1):  # how long cores wait for each other's memory differs from one minute to the next
        low, tall = (_beside(*shape, found) for shape in (LOW, TALL))
    found.compiled_element = max(0.0, (tall - low) / (numbers[TALL] - numbers[LOW])) / threads
    rates = []
    for m, n in SQUARES:
        flops, of_numbers = PRODUCTS * 2.0 * m * n * n, numbers[m, n] * found.compiled_element
        product = max(left[m, n] / 2, left[m, n] - of_numbers)
        rates.append(Rate(flops=flops / PRODUCTS, per_second=flops / product))
    rates.insert(0, Rate(flops=1.0, per_second=rates[0].per_second))
    halves = [Rate(flops=rate.flops, per_second=rate.per_second / 2) for rate in rates]
    found.compiled_rates = {"float32": rates, "float64": halves}
    smallest, found.compiled_step = found.compiled_step, 0.0
    found.compiled_step = max(0.0, smallest - step_seconds(tiny, found))


def _beside(m: int, n: int, known: Calibration) -> float:
    """Return what a step on m samples, of two layers of n inputs and units, takes beside what is known."""
    steps = int(min(100, max(4, SQUARES_FLOPS / (PRODUCTS * 2.0 * m * n * n))))
    work = Work((n, n, n), "float32", True, m, m * steps, 0, 1)
    taken = _step(work)
    return max(taken / 2, taken - step_seconds(work, known))


def _fastest(call: Callable[[], object], budget: float) -> float:
    """Return the least seconds that a call takes, of as many as there is time for, three at least: others disturb."""
    taken: list[float] = []
    ends = time.perf_counter() + budget
    while len(taken) < 3 or (time.perf_counter() < ends and len(taken) < MOST_CALLS):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return min(taken)


def _train(work: Work, **choices: Any) -> core.Training:
    rng = np.random.default_rng(0)
    n_inputs, *units = work.widths
    layers = [core.Dense(each, "relu") for each in units[:-1]] + [core.Dense(units[-1])]
    network = core.Network(n_inputs, layers, seed=0)
    x, y = (rng.standard_normal((work.n_train, n)).astype("float32") for n in (n_inputs, units[-1]))
    return core.train(
        network,
        x,
        y,
        loss=LOSS,
        epochs=10_000,
        batch_size=work.batch_size,
        l2=None if work.compiled else 1e-9,
        **choices,
    )


def _step(work: Work) -> float:
    """Return the seconds of a step, once the compiled code is there."""
    training = _train(work)
    next(training)
    return _fastest(lambda: next(training), 0.04) / work.steps


def _tiny_jobs(found: Calibration) -> tuple[float, float]:
    """Return the seconds of a job's start, and of an epoch besides its steps: of whole jobs on a hundred rows."""
    lines = [f"{row % 7},{row % 11 / 4},{'abc'[row % 3]}" for row in range(100)]
    with tempfile.TemporaryDirectory() as folder:
        path, ready = Path(folder) / "rows.csv", Path(folder) / "table"
        path.write_text("\n".join(["a,b,label", *lines]), encoding="utf-8")
        _ingest(path, ready)
        table = read_table(ready)
        columns = [column.model_dump(mode="json") for column in summarize(table)]
        dataset = Dataset(id=DATASET_ID, rows=len(table), columns=columns, bytes=path.stat().st_size)
        counter = itertools.count()

        def run(epochs: int) -> float:
            request = JobRequest(dataset_id=DATASET_ID, target="label", epochs=epochs, device="cpu")
            draft = Path(folder) / str(next(counter))
            spec = resolve(request, dataset, None, Settings())
            assignment = Assignment(
                table=ready, format="csv", columns=summarize(table), spec=spec, draft=draft, checkpoints=draft
            )
            began = time.perf_counter()
            for message in train(assignment, Wish(), Tables()):
                dump(message)
            return time.perf_counter() - began

        run(1)
        one, many = (_fastest(partial(run, epochs), 0.05) for epochs in (1, EPOCHS))
    work = Work((2, 64, 32, 3), "float32", True, 32, 80, 20, 1)
    epoch = (many - one) / (EPOCHS - 1)
    known = seconds(work, found) - found.start
    return max(0.0, one - epoch), max(0.0, epoch - known)


def _reading() -> tuple[float, float]:
    """Return the seconds to read what was a byte of CSV, and to encode an input of a row."""
    lines = [f"{row % 97 / 8},{row % 89},{'abc'[row % 3]},{row % 2}" for row in range(20_000)]
    with tempfile.TemporaryDirectory() as folder:
        few, many = Path(folder) / "few", Path(folder) / "many"
        sizes = []
        for table, count in ((few, 100), (many, len(lines))):
            path = table.with_suffix(".csv")
            path.write_text("\n".join(["a,b,c,d", *lines[:count]]), encoding="utf-8")
            sizes.append(path.stat().st_size)
            _ingest(path, table)
        # What a table takes whatever its size is part of a job's start.
        short, long = (_fastest(partial(read_table, table), 0.04) for table in (few, many))
        size = sizes[1] - sizes[0]
        table = read_table(many)
    columns = summarize(table)

    def encode() -> int:
        encoding = fit_encoding(table, columns, "d", "classification", np.arange(len(table)))
        encoding.features_of(table)
        return encoding.n_inputs

    return max(0.0, long - short) / size, _fastest(encode, 0.03) / (len(table) * encode())


def _ingest(path: Path, folder: Path) -> None:
    ingest(Request(path=path, folder=folder, reading=Reading(), limits=Limits.of(Settings())))


def main(arguments: Sequence[str]) -> None:
    """Print the calibration as JSON; the argument is how many threads there may be."""
    core.get_backend("numpy").for_training()
    with core.threads(int(arguments[0])):
        findings = [asdict(each) for each in doctor.computing()]
        print(dump({"calibration": measure().model_dump(mode="json"), "findings": findings}))


if __name__ == "__main__":
    main(sys.argv[1:])
