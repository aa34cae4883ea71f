"""Samples that are large are neither copied nor converted as a whole: they may lie in a file larger than the memory."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import core
from core import arguments, backend
from core.kernels.inplace import NumpyKernels

M, N = 300, 6
RNG = np.random.default_rng(0)
SMALL_INTEGERS = RNG.integers(-9, 9, (M, N))
KINDS = {
    "float16": SMALL_INTEGERS.astype(np.float16),
    "float32": RNG.standard_normal((M, N)).astype(np.float32),
    "float64": RNG.standard_normal((M, N)),
    "int8": SMALL_INTEGERS.astype(np.int8),
    "bool": SMALL_INTEGERS > 0,
    "of another byte order": RNG.standard_normal((M, N)).astype(">f4"),
    "rows apart": RNG.standard_normal((M, 2, N + 3))[:, 0, :N],
    "columns one after the other": np.asfortranarray(RNG.standard_normal((M, N))),
}
WEIGHTS = {"equal weights": None, "samples of the weight 0": (np.arange(M) % 3).astype(float)}
LABELS = RNG.integers(0, 3, M)


def trained(x: np.ndarray, dtype: str, seed: int | list[int] = 0, **options: Any) -> tuple[np.ndarray, list[Any], int]:
    net = core.Network(
        N, [core.Dense(4, "tanh"), core.Dense(3, "softmax")], backend=core.get_backend("numpy", dtype), seed=seed
    )
    # A bound that no gradient meets keeps the steps apart: those that are compiled together round otherwise.
    options |= {"loss": "softmax_cross_entropy", "epochs": 3, "batch_size": 64, "clip_value": 1e9}
    training = core.train(net, x, LABELS, **options)
    curve = [np.asarray(record.loss).tolist() for record in training]
    return net.parameters, curve, training.checkpoint().data["samples"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kind", KINDS)
def test_batches_that_are_converted_give_the_same_bits(
    kind: str, weights: str, dtype: str, monkeypatch: pytest.MonkeyPatch
):
    options: dict[str, Any] = {"sample_weight": WEIGHTS[weights], "seed": 1}
    expected = trained(np.ascontiguousarray(KINDS[kind], dtype), dtype, **options)
    monkeypatch.setattr(backend, "COPIED", 0)
    parameters, curve, _ = trained(KINDS[kind], dtype, **options)
    np.testing.assert_array_equal(parameters, expected[0])
    assert curve == expected[1]


def test_a_fleet_too(monkeypatch: pytest.MonkeyPatch):
    expected = trained(KINDS["float64"].astype(np.float32), "float32", [3, 4])
    monkeypatch.setattr(backend, "COPIED", 0)
    got = trained(KINDS["float64"], "float32", [3, 4])
    np.testing.assert_array_equal(got[0], expected[0])
    assert got[1] == expected[1]


def test_the_fingerprint_is_that_of_all_rows_whatever_the_pieces(monkeypatch: pytest.MonkeyPatch):
    x = KINDS["float32"]
    whole = trained(x, "float32")[2]
    monkeypatch.setattr("core.steps.PIECE", 5 * N)
    assert trained(x, "float32")[2] == whole
    assert trained(np.asfortranarray(x), "float32")[2] == whole
    other = x.copy()
    other[-1, -1] += 1
    assert trained(other, "float32")[2] != whole


@pytest.mark.parametrize("row", [0, 6, 7, M - 1])
def test_what_is_not_finite_is_found_in_every_piece(row: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arguments, "PIECE", 7 * N)
    x = KINDS["float32"].copy()
    x[row, 2] = np.inf
    with pytest.raises(ValueError, match=f"inf in row {row}, column 2"):
        arguments.finite("x", x)


LARGEST = 24 * 2**20
"""Bytes: 2 × 8 for each of 2¹⁷ rows are the order of this epoch and of the last, 2 the targets' checks; the rest is the
check of a piece of x for finite numbers and of it for the fingerprint, a batch, and Python's own."""


def holes(path: Path, dtype: str, rows: int = 2**16) -> np.ndarray:
    """Return rows of 256 numbers, 64 MiB in float32, in a file with holes, which takes no room on the disk."""
    np.lib.format.open_memmap(path, "w+", dtype, (rows, 256)).flush()
    return np.load(path, mmap_mode="r")


def train_once(x: np.ndarray, **options: Any) -> None:
    net = core.Network(256, [core.Dense(2, "tanh"), core.Dense(2, "softmax")])
    y = np.zeros(len(x), np.int64)
    training = core.train(net, x, y, loss="softmax_cross_entropy", epochs=2, batch_size=1024, **options)
    training.advance(steps=3)
    training.checkpoint()
    list(training)


# As it is; converted, from larger and from smaller, whose file is larger than what may be taken, too.
@pytest.mark.parametrize(("dtype", "rows"), [("float32", 2**16), ("float64", 2**16), ("int8", 2**17)])
def test_a_file_is_not_read_into_memory(dtype: str, rows: int, tmp_path: Path):
    x = holes(tmp_path / "x.npy", dtype, rows)
    train_once(x[:2048])  # what is compiled and kept
    tracemalloc.start()
    try:
        train_once(x)
        assert tracemalloc.get_traced_memory()[1] < LARGEST
    finally:
        tracemalloc.stop()


def test_samples_of_the_weight_0_are_not_taken_out_of_a_file(tmp_path: Path):
    x = holes(tmp_path / "x.npy", "float32")
    weights = np.arange(len(x)) % 2.0
    train_once(x[:2048], sample_weight=weights[:2048])
    tracemalloc.start()
    try:
        train_once(x, sample_weight=weights)
        assert tracemalloc.get_traced_memory()[1] < LARGEST
    finally:
        tracemalloc.stop()


LIMITED = """
import resource, sys
from pathlib import Path
from tests.core.test_large_data import LARGEST, holes, train_once

x = holes(Path(sys.argv[1]), "float32", 2**17)
train_once(x[:2048])
used = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmData"))
limit = used + 2 * LARGEST
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
train_once(x)
print(x.nbytes > 2 * LARGEST)
x.copy()
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it reads Linux's figures of a process")
def test_a_process_may_train_from_more_than_it_may_hold(tmp_path: Path):
    root = Path(core.__file__).parents[1]
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "x.npy")]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["True"], ran.stderr
    assert "MemoryError" in ran.stderr  # of the copy at the end: the limit is one


def test_gathering_from_another_dtype_takes_memory_for_the_batch_alone():
    table, index, out = np.zeros((2**18, 8)), np.arange(64), np.empty((64, 8), np.float32)
    tracemalloc.start()
    try:
        NumpyKernels().gather(table[:, :7], index, out[:, :7])
        # The batch in the table's dtype, and what NumPy makes for a call.
        assert tracemalloc.get_traced_memory()[1] < 64 * 7 * 8 + 8192
    finally:
        tracemalloc.stop()
