"""Batches from the host's memory or a file: the same bits as from the device's, and never more than a batch there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cupy", exc_type=ImportError)

from core import Dense, Network, Training, cupy_backend, get_backend, train
from core.backend import Backend, BackendError
from core.cupy_backend import CupyBackend
from core.feed import Resident
from core.streaming import Streamed
from tests.core.gpu.cupy_stand_in import CupyStandIn
from tests.core.gpu.stand_in_array import StandInArray

M, N, BATCH = 50, 6, 8
RNG = np.random.default_rng(0)
SMALL_INTEGERS = RNG.integers(-9, 9, (M, N))
KINDS: dict[str, np.ndarray] = {
    "float16": SMALL_INTEGERS.astype(np.float16),
    "float32": RNG.standard_normal((M, N)).astype(np.float32),
    "float64": RNG.standard_normal((M, N)),
    "int8": SMALL_INTEGERS.astype(np.int8),
    "rows apart": RNG.standard_normal((M, 2, N + 3))[:, 0, :N],
}
TARGETS = {"softmax_cross_entropy": RNG.integers(0, 3, M), "squared_error": RNG.standard_normal((M, 3))}


@pytest.fixture(params=["stand_in", pytest.param("cupy", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Backend:
    """The stand-in, and a real GPU where there is one."""
    if request.param == "stand_in":
        return CupyBackend(CupyStandIn(), 0, "float32")
    try:
        return get_backend("cupy", "float32")
    except BackendError as error:
        pytest.skip(str(error))


def training(
    device: Backend,
    x: np.ndarray,
    loss: str = "softmax_cross_entropy",
    seed: int | list[int] = 0,
    kind: type = Streamed,
    **options: Any,
) -> Training:
    net = Network(
        N,
        [Dense(4, "tanh"), Dense(3, "softmax" if loss == "softmax_cross_entropy" else "identity")],
        backend=device,
        seed=seed,
    )
    # A bound that no gradient meets keeps the steps apart: those in one launch round otherwise.
    options |= {"loss": loss, "epochs": 3, "batch_size": BATCH, "clip_value": 1e9}
    found = train(net, x, TARGETS[loss], **options)
    assert type(found._steps.feed) is kind
    return found


def ended(now: Training) -> tuple[np.ndarray, list[Any]]:
    curve = [np.asarray(record.loss).tolist() for record in now]
    return now.network.backend.to_host(now.network.parameters), curve


def assert_same(one: Training, other: Training) -> None:
    (weights, curve), (wanted, expected) = ended(one), ended(other)
    np.testing.assert_array_equal(weights, wanted)
    assert curve == expected


OPTIONS: dict[str, dict[str, Any]] = {
    "labels": {},
    "numbers": {"loss": "squared_error"},
    "samples' weights": {"sample_weight": (np.arange(M) % 3).astype(float)},
    "a fleet with an order for each": {"seed": [3, 4, 5]},
    "no shuffling": {"shuffle": False, "seed": [3, 4]},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits(device: Backend, kind: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    resident = training(device, KINDS[kind], kind=Resident, **options)
    monkeypatch.setattr(cupy_backend, "SHARE", 0.0)
    assert_same(training(device, KINDS[kind], **options), resident)


def test_from_a_file(device: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "x.npy", KINDS["float64"])
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    monkeypatch.setattr(cupy_backend, "PIECE", 7 * N * 4)  # rows that don't divide all
    resident = training(device, mapped, kind=Resident)
    monkeypatch.setattr(cupy_backend, "SHARE", 0.0)
    assert_same(training(device, mapped), resident)


def test_going_on_in_the_midst_of_an_epoch(device: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cupy_backend, "SHARE", 0.0)
    left = training(device, KINDS["float32"])
    left.advance(steps=M // BATCH)  # what is left of the epoch is its last, smaller batch
    assert_same(training(device, KINDS["float32"], resume=left.checkpoint()), training(device, KINDS["float32"]))


def test_what_is_on_the_device_has_the_size_of_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    set_ = StandInArray.set

    def noted(array: StandInArray, arr: np.ndarray, stream: Any = None) -> None:
        nonlocal largest
        largest = max(largest, array.host.size)
        set_(array, arr, stream)

    monkeypatch.setattr(StandInArray, "set", noted)
    monkeypatch.setattr(cupy_backend, "SHARE", 0.0)
    ended(training(CupyBackend(CupyStandIn(), 0, "float32"), KINDS["float32"]))
    assert largest == BATCH * N


@pytest.mark.parametrize(("limit", "kind"), [(0, Resident), (1 << 30, Resident), ((1 << 20) + 2000, Streamed)])
def test_what_decides_is_the_memory_that_is_left(limit: int, kind: type) -> None:
    """The stand-in's pool has given out 2²⁰ bytes; x and its targets take 1,600."""
    backend = CupyBackend(CupyStandIn(), 0, "float32")
    backend.limit_memory(limit)
    training(backend, KINDS["float32"], kind=kind)


@pytest.mark.parametrize(("free", "kind"), [(3 << 30, Resident), (1024, Streamed)])
def test_and_that_of_the_device(free: int, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = CupyBackend(CupyStandIn(), 0, "float32")
    monkeypatch.setattr(backend._device, "mem_info", (free, 4 << 30), raising=False)
    training(backend, KINDS["float32"], kind=kind)
