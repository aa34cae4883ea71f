"""Schedules, regularisation and averages in training, each against the loop written out by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest

from core import (
    AdamW,
    CosineDecay,
    Dense,
    LayerNorm,
    Network,
    ReduceOnPlateau,
    Residual,
    Sgd,
    Warmup,
    fit,
    get_backend,
    penalty,
    train,
)
from core.backend import Backend
from core.optimizers import ELEMENTWISE
from core.randomness import Purpose, generator

RNG = np.random.default_rng(0)
X = RNG.standard_normal((23, 3))
Y = np.sin(X[:, :2])
EPOCHS, BATCH = 3, 8
STEPS = 3
"""Steps of an epoch: batches of 8, 8 and 7."""


def network(seed: int | list[int] = 0, backend: Backend | None = None) -> Network:
    layers = [Dense(4, "tanh"), LayerNorm(), Residual([Dense(4, "tanh")]), Dense(2)]
    return Network(3, layers, backend=backend or get_backend("numpy", "float64"), seed=seed)


def by_hand(step: Callable[[int, np.ndarray, np.ndarray], None]) -> np.ndarray:
    """Return the parameters after `step(number, parameters, gradient)` for each batch."""
    net, numbers = network(), count()
    for epoch in range(1, EPOCHS + 1):
        order = generator(0, Purpose.ORDER_OF_SAMPLES, epoch).permutation(len(X))
        for start in range(0, len(X), BATCH):
            rows = order[start : start + BATCH]
            _, gradient = net.gradient(X[rows], Y[rows], "squared_error")
            step(next(numbers), net.parameters, gradient)
    return net.parameters


def trained(**options: Any) -> np.ndarray:
    net = network()
    options = {"optimizer": Sgd(0.1), **options}
    fit(net, X, Y, loss="squared_error", epochs=EPOCHS, batch_size=BATCH, **options)
    return net.parameters


def assert_same(got: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


def is_weight() -> np.ndarray:
    """Return 1 for weights: the three matrices, and no bias, nor the scale of the normalisation."""
    net = network()
    named = net.state_dict()
    return np.concatenate([np.full(array.size, float(array.ndim == 2)) for array in named.values()])


def test_the_schedule_gives_the_rate_of_each_step_and_the_record_tells_it() -> None:
    schedule = Warmup(duration=1, start=0.5, then=CosineDecay())

    def rate(number: int) -> float:
        return 0.1 * schedule.factor(number / STEPS, EPOCHS, {})

    def step(number: int, parameters: np.ndarray, gradient: np.ndarray) -> None:
        parameters -= rate(number) * gradient

    assert_same(trained(schedule=schedule), by_hand(step))
    curve = fit(
        network(), X, Y, loss="squared_error", optimizer=Sgd(0.1), epochs=EPOCHS, batch_size=BATCH, schedule=schedule
    )
    assert [record.learning_rate for record in curve] == [rate(STEPS * epoch - 1) for epoch in (1, 2, 3)]


@pytest.mark.parametrize("optimizer", ELEMENTWISE)
def test_the_constant_schedule_gives_what_a_loop_without_one_gives(optimizer: str) -> None:
    rule, backend = ELEMENTWISE[optimizer](weight_decay=0.0), get_backend("numpy", "float64")
    state = rule.init(backend, network().parameters)

    def step(number: int, parameters: np.ndarray, gradient: np.ndarray) -> None:
        rule.update(backend, parameters, gradient, state)

    assert_same(trained(optimizer=rule), by_hand(step))


def test_a_plateau_of_the_validation_loss_lowers_the_rate() -> None:
    net, schedule = network(), ReduceOnPlateau(gamma=0.5, patience=0)
    options = {"loss": "squared_error", "optimizer": Sgd(1e-300), "schedule": schedule, "epochs": 4}
    with_validation = fit(net, X, Y, validation=(X, Y), **options)
    # The loss never falls: the first epoch is the best, and each one after it is a plateau.
    assert [record.learning_rate / 1e-300 for record in with_validation] == pytest.approx([1, 1, 0.5, 0.25])


def test_penalties_are_of_the_weights_alone_and_have_the_gradient_of_the_formula() -> None:
    weights = is_weight()

    def step(number: int, parameters: np.ndarray, gradient: np.ndarray) -> None:
        parameters -= 0.1 * (gradient + weights * (0.01 * np.sign(parameters) + 0.2 * parameters))

    assert_same(trained(l1=0.01, l2=0.2), by_hand(step))
    assert 0 < weights.sum() < weights.size


@pytest.mark.parametrize("numbers", [{"l1": 0.3}, {"l2": 0.7}, {"l1": 0.3, "l2": 0.7}])
def test_a_step_goes_along_the_finite_difference_of_loss_and_penalty(numbers: dict[str, Any]) -> None:
    """One SGD step of rate 1 over all samples is −∂(J + penalty); both are asked for in float64."""
    net = network()
    start, direction = net.parameters.copy(), np.random.default_rng(1).standard_normal(net.n_parameters)
    before = start.copy()
    # h³ times the third derivative, about 1, over h, and the rounding ε/h: h = ε^⅓ leaves h² of error.
    h = np.finfo(np.float64).eps ** (1 / 3)
    values = []
    for sign in (1, -1):
        net.parameters[...] = before + sign * h * direction
        values.append(net.evaluate(X, Y, "squared_error") + penalty(net, **numbers))
    net.parameters[...] = before
    whole: dict[str, Any] = {"optimizer": Sgd(1.0), "epochs": 1, "batch_size": len(X), "shuffle": False}
    fit(net, X, Y, loss="squared_error", **whole, **numbers)
    got = (before - net.parameters) @ direction
    size = np.abs(before - net.parameters) @ np.abs(direction) + 1
    assert got == pytest.approx((values[0] - values[1]).item() / (2 * h), abs=1000 * h * h * size)


def test_the_recorded_loss_leaves_the_penalty_out() -> None:
    curves = [
        fit(network(), X, Y, loss="squared_error", optimizer=Sgd(1e-300), epochs=1, validation=(X, Y), l2=l2)
        for l2 in (None, 5.0)
    ]
    assert curves[0][0].loss == curves[1][0].loss
    assert curves[0][0].validation_loss == curves[1][0].validation_loss


def test_clipping_by_value_and_by_norm() -> None:
    def value(number: int, parameters: np.ndarray, gradient: np.ndarray) -> None:
        parameters -= 0.1 * np.clip(gradient, -0.05, 0.05)

    def norm(number: int, parameters: np.ndarray, gradient: np.ndarray) -> None:
        parameters -= 0.1 * gradient * min(1, 0.2 / np.linalg.norm(gradient))

    def both(number: int, parameters: np.ndarray, gradient: np.ndarray) -> None:
        clipped = np.clip(gradient, -0.05, 0.05)
        parameters -= 0.1 * clipped * min(1, 0.1 / np.linalg.norm(clipped))

    assert_same(trained(clip_value=0.05), by_hand(value))
    assert_same(trained(clip_norm=0.2), by_hand(norm))
    assert_same(trained(clip_value=0.05, clip_norm=0.1), by_hand(both))


def test_bounds_that_are_never_reached_change_no_bit() -> None:
    np.testing.assert_array_equal(trained(), trained(clip_value=1e6, clip_norm=1e6, max_norm=1e6))


def test_a_clipped_step_has_the_bound_as_its_length_and_the_gradients_direction() -> None:
    net = network()
    before = net.parameters.copy()
    _, gradient = net.gradient(X, Y, "squared_error")
    one_step = {"loss": "squared_error", "optimizer": Sgd(1.0), "epochs": 1, "batch_size": len(X), "shuffle": False}
    fit(net, X, Y, clip_norm=0.01, **one_step)
    step = before - net.parameters
    assert np.linalg.norm(step) == pytest.approx(0.01, rel=1e-12)
    assert step @ gradient == pytest.approx(np.linalg.norm(step) * np.linalg.norm(gradient), rel=1e-12)


def test_no_unit_has_weights_longer_than_max_norm() -> None:
    net = network()
    before = [np.linalg.norm(weight, axis=-1) for weight in net.weight_views(net.parameters)]
    fit(net, X, Y, loss="squared_error", optimizer=Sgd(0.1), epochs=1, max_norm=0.5)
    after = [np.linalg.norm(weight, axis=-1) for weight in net.weight_views(net.parameters)]
    assert len(after) == 3
    assert all((norms > 0.5).any() for norms in before)
    assert all((norms <= 0.5 * (1 + 1e-15)).all() for norms in after)


def test_the_average_is_that_of_the_loop_and_training_goes_on_without_it() -> None:
    path: list[np.ndarray] = []

    def step(number: int, parameters: np.ndarray, gradient: np.ndarray) -> None:
        parameters -= 0.1 * gradient
        path.append(parameters.copy())

    by_hand(step)
    net = network()
    records = train(
        net, X, Y, loss="squared_error", optimizer=Sgd(0.1), epochs=EPOCHS, batch_size=BATCH, average=0.7,
        validation=(X, Y),
    )  # fmt: skip
    for epoch, record in enumerate(records, start=1):
        shares = 0.7 ** np.arange(epoch * STEPS)[::-1]
        assert_same(net.parameters, shares / shares.sum() @ np.array(path[: epoch * STEPS]))
        assert record.validation_loss == net.evaluate(X, Y, "squared_error")


EVERYTHING: dict[str, Any] = {
    "optimizer": AdamW(0.01, weight_decay=0.1),
    "schedule": Warmup(then=CosineDecay()),
    "l1": 0.001,
    "l2": 0.01,
    "clip_value": 0.1,
    "clip_norm": 0.2,
    "max_norm": 1.0,
    "average": 0.9,
}


def test_all_of_it_repeats_to_the_last_bit() -> None:
    np.testing.assert_array_equal(trained(**EVERYTHING), trained(**EVERYTHING))


def test_a_fleet_does_all_of_it_network_for_network() -> None:
    fleet = network([0, 5])
    options = {"loss": "squared_error", "epochs": EPOCHS, "batch_size": BATCH, **EVERYTHING}
    fit(fleet, X, Y, **options)
    for k, seed in enumerate((0, 5)):
        alone = network(seed)
        fit(alone, X, Y, **options)
        np.testing.assert_allclose(fleet.parameters[k], alone.parameters, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("seed", [0, [0, 5]], ids=["single", "fleet"])
def test_all_of_it_on_every_backend(backend: Backend, seed: int | list[int]) -> None:
    expected = network(seed, get_backend("numpy", str(backend.dtype)))
    net = network(seed, backend)
    for each in (expected, net):
        fit(each, X, Y, loss="squared_error", epochs=EPOCHS, batch_size=BATCH, **EVERYTHING)
    # 9 steps of 4 layers and two passes, with sums of at most 16 terms of the size 1, as in test_backends.
    tolerance = 9 * 4 * 2 * 16 * float(np.finfo(backend.dtype).eps)
    np.testing.assert_allclose(backend.to_host(net.parameters), expected.parameters, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"l1": -1}, "l1: -1 is not allowed; it must be > 0 and finite"),
        ({"l2": 0}, "l2: 0"),
        ({"clip_value": float("nan")}, "clip_value: nan"),
        ({"clip_norm": float("inf")}, "clip_norm: inf"),
        ({"max_norm": "1"}, "max_norm: '1'"),
        ({"average": 1.0}, "average: 1.0 is not allowed; it must be > 0 and < 1"),
        ({"schedule": "cosines"}, "schedule: there is no 'cosines'; allowed are constant, step"),
    ],
)
def test_bad_arguments_are_refused_at_the_call(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        train(network(), X, Y, loss="squared_error", **options)


def test_a_schedule_that_listens_is_refused_for_a_fleet() -> None:
    with pytest.raises(ValueError, match="schedule: one that listens"):
        train(network([1, 2]), X, Y, loss="squared_error", schedule="reduce_on_plateau")
