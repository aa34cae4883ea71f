"""Checkpoints: stopping at any step and going on gives the same bits as never having stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import core
from core import Adam, Checkpoint, Dense, EarlyStopping, Network, Sgd, Warmup, train
from core.losses import LOSSES
from core.optimizers import OPTIMIZERS
from core.resuming import DIFFER
from core.schedules import SCHEDULES

RNG = np.random.default_rng(0)
X = RNG.standard_normal((23, 3))
Y = np.sin(X[:, :2])
HELD_OUT = (RNG.standard_normal((5, 3)), RNG.standard_normal((5, 2)))
BATCH, STEPS, EPOCHS = 8, 3, 4
"""Samples of a batch, steps of an epoch, epochs."""


def network(seed: int | list[int] = 0, dtype: str = "float32") -> Network:
    layers = [Dense(6, "tanh"), core.BatchNorm(), core.Dropout(0.3), Dense(4, "relu"), Dense(2)]
    return Network(3, layers, backend=core.get_backend("numpy", dtype), seed=seed)


def training(net: Network, **options: Any) -> core.Training:
    return train(net, X, Y, **{"loss": "squared_error", "epochs": EPOCHS, "batch_size": BATCH, **options})


def told(record: core.Record) -> core.Record:
    """Return all of a record that is to repeat."""
    return replace(record, seconds=0.0)


def assert_goes_on(stop_after: int, seed: int | list[int] = 0, folder: Path | None = None, **options: Any) -> None:
    """Assert that leaving after so many steps and going on in another network changes no bit and no record."""
    whole, first, second = network(seed), network(seed), network(seed)
    second.parameters[...] += 1  # to be overwritten
    expected = [told(record) for record in training(whole, **options)]
    left = training(first, **options)
    curve = []
    while left.step < stop_after and not left.ended:
        record = left.advance(steps=stop_after - left.step)
        curve += [told(record)] if record else []
    checkpoint = left.checkpoint()
    if folder is not None:
        checkpoint.save(folder / "checkpoint.safetensors")
        checkpoint = Checkpoint.load(folder / "checkpoint.safetensors")
    again = training(second, **options, resume=checkpoint)
    curve += [told(record) for record in again]
    np.testing.assert_equal([vars(record) for record in curve], [vars(record) for record in expected])
    np.testing.assert_array_equal(second.parameters, whole.parameters)
    np.testing.assert_array_equal(second.state, whole.state)
    for name, array in again.checkpoint().arrays.items():
        np.testing.assert_array_equal(array, left.checkpoint().arrays[name] if left.ended else array)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@settings(max_examples=5, deadline=None)
@given(stop_after=st.integers(0, STEPS * EPOCHS))
def test_every_optimizer_goes_on_as_if_it_had_never_stopped(optimizer: str, stop_after: int) -> None:
    if OPTIMIZERS[optimizer].full_batch:
        assert_goes_on(stop_after % EPOCHS, optimizer=optimizer, batch_size=None, l2=0.01)
    else:
        assert_goes_on(stop_after, optimizer=optimizer)


@settings(max_examples=15, deadline=None)
@given(stop_after=st.integers(0, STEPS * EPOCHS), average=st.sampled_from([None, 0.9]), fleet=st.booleans())
def test_averages_schedules_bounds_and_fleets_go_on_too(stop_after: int, average: float | None, fleet: bool) -> None:
    schedule = Warmup(duration=1.5, then=core.CosineDecay())
    seed = [0, 1] if fleet else 0
    optimizer = [Adam(0.1), Adam(0.01)] if fleet else Adam(0.1)
    options = {"sample_weight": np.arange(1, 24), "clip_norm": 0.5, "max_norm": 0.7, "l1": 0.01}
    assert_goes_on(stop_after, seed, optimizer=optimizer, schedule=schedule, average=average, **options)


@settings(max_examples=15, deadline=None)
@given(stop_after=st.integers(0, STEPS * EPOCHS))
def test_what_listens_to_the_epochs_goes_on_too(stop_after: int) -> None:
    assert_goes_on(
        stop_after,
        optimizer=Sgd(0.5, momentum=0.9),
        schedule=core.ReduceOnPlateau(gamma=0.5, patience=0),
        validation=HELD_OUT,
        metrics={"mae": core.metrics.mae},
        early_stopping=EarlyStopping(monitor="mae", patience=2),
    )


def test_a_file_keeps_it_all(tmp_path: Path) -> None:
    for stop_after in (0, 4, 6):
        assert_goes_on(stop_after, folder=tmp_path, validation=HELD_OUT, early_stopping=EarlyStopping(patience=9))
        assert_goes_on(stop_after, [0, 1], folder=tmp_path, optimizer=[Adam(0.1), Adam(0.2)])
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    core.save(network(), tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=r"net\.safetensors is not a checkpoint saved by deltabar"):
        Checkpoint.load(tmp_path / "net.safetensors")


def test_after_early_stopping_more_patience_goes_on_from_the_last_epoch_not_from_the_best() -> None:
    options = {"optimizer": Sgd(0.8), "validation": HELD_OUT, "epochs": 9}
    whole, first, second = network(), network(), network()
    list(training(whole, **options, early_stopping=EarlyStopping(patience=100, restore_best=True)))
    stopped = training(first, **options, early_stopping=EarlyStopping(patience=1))
    list(stopped)
    assert stopped.epoch < 9
    list(training(second, **options, early_stopping=EarlyStopping(patience=100), resume=stopped.checkpoint()))
    np.testing.assert_array_equal(second.parameters, whole.parameters)


def test_more_epochs_than_were_planned() -> None:
    whole, first, second = network(), network(), network()
    list(training(whole, epochs=5))
    left = training(first, epochs=2)
    list(left)
    curve = list(training(second, epochs=5, resume=left.checkpoint()))
    assert [record.epoch for record in curve] == [3, 4, 5]
    np.testing.assert_array_equal(second.parameters, whole.parameters)


def test_time_goes_on_and_a_training_can_be_taken_by_the_clock() -> None:
    left = training(network())
    assert left.advance(seconds=0.0) is None
    assert (left.step, left.position, left.epoch) == (1, 1, 0)
    record = next(left)
    again = next(training(network(), resume=left.checkpoint()))
    assert again.seconds > record.seconds > 0


def test_every_hyperparameter_is_declared_resumable_or_not() -> None:
    """A new argument, or a new field of an optimizer, a schedule, a loss, must be entered in `core.resuming`."""
    found = set(signature(train).parameters)
    for name, family in (
        ("optimizer", OPTIMIZERS.values()),
        ("schedule", SCHEDULES.values()),
        ("loss", (type(loss) for loss in LOSSES.values())),
        ("early_stopping", [EarlyStopping]),
    ):
        for kind in family:
            found |= {f"{name}.{field}" for field in getattr(kind, "__dataclass_fields__", ())}
    assert found == set(DIFFER)


def checkpoint(steps: int) -> Checkpoint:
    left = training(network())
    left.advance(steps=steps)
    return left.checkpoint()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"batch_size": 4},
            "batch_size: 4 is not allowed, as the checkpoint has 8; it may differ at the end of an epoch",
        ),
        ({"seed": 3}, "seed: 3 is not allowed, as the checkpoint has 0"),
        ({"shuffle": False}, "shuffle: False"),
        ({"sample_weight": np.arange(1, 24)}, "x: other samples, targets or weights"),
    ],
)
def test_within_an_epoch_what_the_epoch_is_made_of_must_stay(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        training(network(), resume=checkpoint(steps=2), **options)
    list(training(network(), resume=checkpoint(steps=3), **options))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"optimizer": "sgd"}, "optimizer: 'Sgd' is not allowed, as the checkpoint has 'Adam'; it may differ never"),
        ({"loss": "huber"}, "loss: 'Huber'"),
        ({"schedule": "cosine"}, "schedule: 'CosineDecay'"),
        ({"average": 0.5}, "average: 0.5 is not allowed, as the checkpoint has None"),
        ({"early_stopping": EarlyStopping(monitor="loss")}, "early_stopping: 'EarlyStopping'"),
    ],
)
def test_what_may_never_differ(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        training(network(), resume=checkpoint(steps=3), **options)


@pytest.mark.parametrize(
    "net", [lambda: network(seed=[0, 1]), lambda: network(dtype="float64"), lambda: Network(3, [Dense(2)])]
)
def test_another_network_is_refused(net: Callable[[], Network]) -> None:
    with pytest.raises(ValueError, match="network: "):
        training(net(), resume=checkpoint(steps=1))


def test_fewer_epochs_than_lie_behind_are_refused() -> None:
    left = training(network())
    list(left)
    with pytest.raises(ValueError, match="epochs: 2 is not allowed, as the checkpoint has 4 behind it"):
        training(network(), epochs=2, resume=left.checkpoint())
