"""Within an epoch the host never waits for the device: from the order of its samples on, until its loss is read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cupy", exc_type=ImportError)
pytest.importorskip("cupyx", exc_type=ImportError)

from core import (
    ACTIVATIONS,
    LOSSES,
    SCHEDULES,
    Adam,
    BatchNorm,
    Dense,
    Dropout,
    LayerNorm,
    Maxout,
    Network,
    PRelu,
    Residual,
    Sgd,
    cupy_backend,
    persistent_steps,
    train,
)
from core.backend import Backend, BackendError, get_backend
from core.cupy_backend import CupyBackend
from core.optimizers import ELEMENTWISE
from core.steps import Steps
from tests.core.gpu.cuda_on_host import compute_on_host
from tests.core.gpu.cupy_stand_in import CupyStandIn
from tests.core.gpu.waiting import WaitedError, cupyx, without_waiting
from tests.core.losses.targets import targets_for

M, N_INPUTS, BATCH, EPOCHS = 22, 3, 4, 2
"""Samples, of which the last batch has 2; their numbers; samples of a batch; epochs."""


def _gpu() -> CupyBackend:
    try:
        found = get_backend("cupy", "float32")
    except BackendError as error:
        pytest.skip(str(error))
    assert isinstance(found, CupyBackend)
    return found


@pytest.fixture(
    params=["stand_in", *(pytest.param(name, marks=pytest.mark.gpu) for name in ("cupy", "cupy_kernel_by_kernel"))]
)
def device(request: pytest.FixtureRequest) -> Backend:
    """The stand-in, kernel by kernel; and a real GPU where there is one, in both ways."""
    if request.param == "stand_in":
        return CupyBackend(CupyStandIn(), 0, "float32")
    found = _gpu()
    if request.param == "cupy_kernel_by_kernel":
        found.shared_memory = 0
    return found


@pytest.fixture(autouse=True)
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every wait raise from the moment when an epoch's order is drawn until its loss is asked for."""
    draw, mean_loss = Steps.draw, Steps.mean_loss
    with ExitStack() as stack:

        def draw_and_forbid(steps: Steps, epoch: int) -> None:
            draw(steps, epoch)
            stack.close()
            stack.enter_context(without_waiting())

        def allow_and_read(steps: Steps) -> np.ndarray:
            stack.close()
            return mean_loss(steps)

        monkeypatch.setattr(Steps, "draw", draw_and_forbid)
        monkeypatch.setattr(Steps, "mean_loss", allow_and_read)
        yield


def fit(device: Backend, *layers: Any, loss: str = "squared_error", seed: int | list[int] = 0, **options: Any) -> None:
    """Train as long as it goes without waiting, and see that something was trained."""
    rng, chosen = np.random.default_rng(0), layers or (Dense(5, "tanh"), Dense(2))
    net = Network(N_INPUTS, chosen, backend=device, seed=seed)
    before = device.to_host(net.parameters)
    x, y = rng.standard_normal((M, N_INPUTS)), targets_for(LOSSES[loss], rng, (M, net.n_outputs))
    records = list(train(net, x, y, loss=loss, **{"epochs": EPOCHS, "batch_size": BATCH, **options}))
    assert len(records) == EPOCHS
    assert np.isfinite(np.array([record.loss for record in records])).all()
    assert (device.to_host(net.parameters) != before).any()


@pytest.mark.parametrize("optimizer", ELEMENTWISE)
def test_optimizers(device: Backend, optimizer: str) -> None:
    fit(device, optimizer=replace(ELEMENTWISE[optimizer](), weight_decay=0.1))


@pytest.mark.parametrize("loss", LOSSES)
def test_losses(device: Backend, loss: str) -> None:
    last = LOSSES[loss].output_activation or ("exp" if loss in ("gamma", "tweedie", "poisson") else "identity")
    fit(device, Dense(5, "tanh"), Dense(3, last), loss=loss)


def test_activations(device: Backend) -> None:
    for name in ACTIVATIONS:
        fit(device, Dense(5, name), Dense(2), optimizer=Sgd(0.01))


LAYERS: dict[str, list[Any]] = {
    "dropout": [Dense(6, "relu"), Dropout(0.5), Dense(2)],
    "batch norm": [Dense(6), BatchNorm(), Dense(2)],
    "layer norm": [Dense(6), LayerNorm(), Dense(2)],
    "prelu": [Dense(6), PRelu(), Dense(2)],
    "maxout": [Dense(6), Maxout(2), Dense(2)],
    "residual": [Dense(6), Residual([Dense(6, "relu"), Dense(6)]), Dense(2)],
}


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_layers(device: Backend, layers: list[Any]) -> None:
    fit(device, *layers)


OPTIONS: dict[str, dict[str, Any]] = {
    "penalties": {"l1": 0.1, "l2": 0.1},
    "clipped values": {"clip_value": 0.1},
    "a clipped norm": {"clip_norm": 0.1},
    "bounded weights": {"max_norm": 0.5},
    "running average": {"average": 0.9},
    "samples' weights": {"sample_weight": np.arange(M) % 3},
    "no shuffling": {"shuffle": False},
    "validation": {"validation": (np.zeros((5, N_INPUTS)), np.zeros((5, 2)))},
    "a fleet": {"seed": [1, 2, 3]},
    "a fleet of different optimizers": {"seed": [1, 2], "optimizer": [Adam(0.1, weight_decay=0.1), Adam(0.01)]},
    "a fleet's bounds": {"seed": [1, 2], "clip_norm": 0.1, "max_norm": 0.5, "average": 0.9},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options(device: Backend, options: dict[str, Any]) -> None:
    fit(device, **options)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules(device: Backend, schedule: str) -> None:
    fit(device, schedule=schedule)


def test_batches_from_the_host(device: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cupy_backend, "SHARE", 0.0)
    each: list[dict[str, Any]] = [{}, {"seed": [1, 2, 3]}, {"sample_weight": np.arange(M) % 3}]
    for options in each:
        fit(device, **options)


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++ to compile the CUDA text")
def test_many_steps_in_one_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistent_steps, "STRETCH", 2)
    backend = CupyBackend(CupyStandIn(compute_on_host, shared_memory=48 * 1024), 0, "float32")
    launches: list[int] = []
    run = persistent_steps.PersistentSteps.run

    def counted(*args: Any, **options: Any) -> None:
        launches.append(args[4].shape[-2])
        run(*args, **options)

    monkeypatch.setattr(persistent_steps.PersistentSteps, "run", counted)
    two = [Adam(0.1), Adam(0.01)]
    each: list[dict[str, Any]] = [{}, {"seed": [1, 2, 3]}, {"seed": [1, 2], "optimizer": two}]
    for options in each:
        fit(backend, Dense(5, "tanh"), Dropout(0.5), Dense(2), **options)
    assert launches == [2, 2, 2] * EPOCHS * 3


def test_a_line_search_waits_and_is_found(device: Backend) -> None:
    """Its only step of an epoch needs values; and the guard would find such a read elsewhere too."""
    with pytest.raises((cupyx.DeviceSynchronized, WaitedError)):
        fit(device, optimizer="lbfgs", batch_size=None)


READS = {
    "get": lambda array: array.get(),
    "item": lambda array: array.item(),
    "float": float,
    "int": int,
    "bool": bool,
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_every_way_to_read_is_found(device: Backend, read: Any) -> None:
    array = device.zeros(())
    read(array)
    with without_waiting(), pytest.raises((cupyx.DeviceSynchronized, WaitedError)):
        read(array)


def test_every_way_to_wait_is_found(device: Backend) -> None:
    device.synchronize()
    with without_waiting():
        for wait in (device.synchronize, device.xp.cuda.get_current_stream().synchronize):
            with pytest.raises((cupyx.DeviceSynchronized, WaitedError)):
                wait()
        with pytest.raises((cupyx.DeviceSynchronized, WaitedError)):
            device.xp.asnumpy(device.zeros((2,)))
