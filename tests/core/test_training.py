"""Training: what a step, an epoch and a whole run must satisfy."""

from __future__ import annotations

import copy
from itertools import product

import numpy as np
import pytest

from core import LOSSES, OPTIMIZERS, Adam, Dense, Network, Record, Sgd, fit, get_backend, metrics, train
from core.backend import DTYPES
from core.randomness import Purpose, generator

FLOAT64 = get_backend("numpy", "float64")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 3))
LABELS = (X @ [1.0, -2.0, 0.5] > 0).astype(int) + (X[:, 0] > 1)
NUMBERS = np.sin(X[:, :2])

RATES = {"adadelta": 20.0, "lion": 0.005}
"""Learning rates of those optimizers whose steps aren't of the usual length."""


def data(loss: str) -> np.ndarray:
    rule = LOSSES[loss]
    if rule.takes_labels:
        return LABELS
    if rule.tells_classes:
        return (NUMBERS > 0).astype(float)
    return np.exp(NUMBERS) if rule.output_activation == "exp" else NUMBERS


def floor(loss: str) -> float:
    """Return J where every output is its target; only the losses that go with exp don't have 0 there."""
    rule, y = LOSSES[loss], data(loss)
    return float(rule.value(np, np.log(y), y).mean()) if rule.output_activation == "exp" else 0.0


def network(loss: str = "squared_error", seed: int | list[int] = 0, dtype: str = "float64") -> Network:
    outputs = 3 if LOSSES[loss].takes_labels else 2
    layers = [Dense(6, "tanh"), Dense(outputs, LOSSES[loss].output_activation or "identity")]
    # Not compiled, as that takes a second for each combination; tests/core/test_compiled_steps.py compares the two.
    return Network(3, layers, backend=get_backend("numpy", dtype, compiled=False), seed=seed)


def test_an_epoch_is_a_step_for_each_batch_in_the_drawn_order() -> None:
    """Against the same epoch written out with `gradient`: batches of 16, 16, 16 and 2 samples, plain SGD."""
    net, by_hand = network(), network()
    fit(net, X, NUMBERS, loss="squared_error", optimizer=Sgd(0.1), epochs=2, batch_size=16, seed=9)
    for epoch in (1, 2):
        order = generator(9, Purpose.ORDER_OF_SAMPLES, epoch).permutation(50)
        for start in range(0, 50, 16):
            rows = order[start : start + 16]
            _, gradient = by_hand.gradient(X[rows], NUMBERS[rows], "squared_error")
            by_hand.parameters -= 0.1 * gradient
    np.testing.assert_allclose(net.parameters, by_hand.parameters, rtol=1e-13)


def test_the_recorded_loss_is_the_mean_over_the_samples_of_unequal_batches() -> None:
    net = network()
    before = float(net.evaluate(X, NUMBERS, "squared_error"))
    (record,) = fit(net, X, NUMBERS, loss="squared_error", optimizer=Sgd(1e-300), epochs=1, batch_size=16)
    assert record.loss == pytest.approx(before, rel=1e-13)
    assert (record.epoch, record.epochs, record.step) == (1, 1, 4)


@pytest.mark.parametrize(
    ("loss", "optimizer", "dtype"),
    # Every pair of a loss, an optimizer and a dtype; nothing is particular to three of them.
    [
        (loss, optimizer, DTYPES[(i + j) % 2])
        for (i, loss), (j, optimizer) in product(enumerate(LOSSES), enumerate(OPTIMIZERS))
    ],
)
def test_the_loss_falls_and_repeats_to_the_last_bit(loss: str, optimizer: str, dtype: str) -> None:
    def run() -> tuple[list[Record], np.ndarray]:
        net = network(loss, dtype=dtype)
        rule = OPTIMIZERS[optimizer](RATES.get(optimizer, 0.05))
        batch_size = None if rule.full_batch else 8
        return fit(net, X, data(loss), loss=loss, optimizer=rule, epochs=30, batch_size=batch_size), net.parameters

    (curve, weights), (again, same) = run(), run()
    assert curve[-1].loss - floor(loss) < 0.7 * (curve[0].loss - floor(loss))
    assert [record.loss for record in curve] == [record.loss for record in again]
    np.testing.assert_array_equal(weights, same)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_fleet_trains_as_its_networks_would_alone(loss: str) -> None:
    fleet = network(loss, seed=[4, 2])
    curve = fit(fleet, X, data(loss), loss=loss, epochs=3, batch_size=8)
    for k, seed in enumerate((4, 2)):
        alone = network(loss, seed=seed)
        expected = fit(alone, X, data(loss), loss=loss, epochs=3, batch_size=8)
        np.testing.assert_allclose(fleet.parameters[k], alone.parameters, rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(
            [np.asarray(r.loss)[k] for r in curve], [np.asarray(r.loss) for r in expected], rtol=1e-12
        )


def test_validation_is_not_trained_on_and_metrics_come_from_it() -> None:
    net, plain = network("softmax_cross_entropy"), network("softmax_cross_entropy")
    options = {"loss": "softmax_cross_entropy", "epochs": 3}
    held_out = (X[40:], LABELS[40:])
    curve = fit(net, X[:40], LABELS[:40], validation=held_out, metrics={"accuracy": metrics.accuracy}, **options)
    fit(plain, X[:40], LABELS[:40], **options)
    np.testing.assert_array_equal(net.parameters, plain.parameters)
    assert curve[-1].validation_loss == net.evaluate(*held_out, "softmax_cross_entropy")
    assert curve[-1].metrics == {"accuracy": np.mean(net.predict(X[40:]).argmax(axis=1) == LABELS[40:])}


def test_a_run_can_be_watched_and_left_at_any_epoch() -> None:
    net = network()
    records = train(net, X, NUMBERS, loss="squared_error", epochs=1000)
    first = next(records)
    weights = copy.copy(net.parameters)
    del records
    assert first.epoch == 1
    np.testing.assert_array_equal(net.parameters, weights)


def test_without_shuffling_the_samples_come_in_their_order() -> None:
    one, other = network(), network()
    fit(one, X, NUMBERS, loss="squared_error", epochs=1, shuffle=False)
    fit(other, X, NUMBERS, loss="squared_error", epochs=1, shuffle=False, seed=77)
    np.testing.assert_array_equal(one.parameters, other.parameters)


def test_a_step_allocates_nothing_in_proportion_to_the_data() -> None:
    import tracemalloc

    net = Network(64, [Dense(256, "relu"), Dense(256, "tanh"), Dense(10, "softmax")])
    x, y = np.zeros((4096, 64), np.float32), np.zeros(4096, int)
    records = train(net, x, y, loss="softmax_cross_entropy", epochs=3, batch_size=1024)
    next(records)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    next(records)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A batch of one layer is 1 MiB, and the order of 4,096 samples, drawn for the epoch, 32 KiB in each of its copies.
    assert peak - before < 256 * 1024


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"epochs": 0}, "epochs: 0 is not allowed; it must be an integer ≥ 1"),
        ({"batch_size": 0}, "batch_size: 0"),
        ({"batch_size": 2.5}, "batch_size: 2.5"),
        ({"optimizer": "sdg"}, "optimizer: there is no 'sdg'; allowed are sgd, adagrad"),
        ({"optimizer": Adam}, "optimizer: there is no <class"),
        ({"loss": "hinges"}, "loss: there is no 'hinges'"),
        ({"seed": -1}, "seed: -1"),
        ({"validation": (X[:2, :2], NUMBERS[:2])}, "validation x: the shape"),
        ({"validation": (X[:0], NUMBERS[:0])}, "the number of samples in validation x: 0"),
        ({"metrics": {"mse": metrics.mse}}, "metrics: they are computed on validation samples"),
    ],
)
def test_bad_arguments_are_refused_at_the_call(options: dict[str, object], says: str) -> None:
    net = network()
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=says):
        train(net, X, NUMBERS, **{"loss": "squared_error", **options})
    with pytest.raises(ValueError, match="the number of samples in x: 0"):
        train(net, X[:0], NUMBERS[:0], loss="squared_error")
    np.testing.assert_array_equal(net.parameters, before)
