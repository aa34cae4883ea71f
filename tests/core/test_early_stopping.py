"""Early stopping: when it stops, what it keeps, and what it never takes for better."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from core import Dense, EarlyStopping, Network, Record, Sgd, Training, get_backend, metrics, train

NAN = float("nan")
X, Y = np.linspace(-1, 1, 8)[:, None], np.ones((8, 1))


def net(seed: int | list[int] = 0) -> Network:
    return Network(1, [Dense(1)], backend=get_backend("numpy", "float64"), seed=seed)


def told(network: Network, values: list[float], **options: Any) -> Training:
    """Return a training whose metric "told" has these values."""
    each: Iterator[float] = iter(values)
    return train(
        network, X, Y, loss="squared_error", optimizer=Sgd(0.1), epochs=len(values), validation=(X, Y),
        metrics={"told": lambda _y, _outputs: next(each)}, **options,
    )  # fmt: skip


def weights_after(epochs: int) -> np.ndarray:
    network = net()
    if epochs:
        list(told(network, [0.0] * epochs))
    return network.parameters


def stopping(**options: Any) -> EarlyStopping:
    return EarlyStopping(monitor="told", **{"higher_is_better": False, **options})


@pytest.mark.parametrize(
    ("values", "options", "stops", "best"),
    [
        ([5, 4, 3, 2], {}, 4, 4),
        ([5, 4, 6, 6, 6, 1], {"patience": 3}, 5, 2),
        ([5, 4, 6, 6, 1, 6], {"patience": 3}, 6, 5),
        ([5, 4, 4, 4, 4], {"patience": 2}, 4, 2),
        ([5, 4.9, 4.8, 4.7, 4.6], {"patience": 2, "minimum_change": 0.15}, 5, 5),
        ([5, 4.95, 4.9, 4.85, 4.8], {"patience": 2, "minimum_change": 0.3}, 3, 1),
        ([5, NAN, NAN, NAN, 1], {"patience": 3}, 4, 1),
        ([NAN, 5, NAN, 4, NAN], {"patience": 2}, 5, 4),
        ([0.5, 0.7, 0.6, 0.65, 0.9], {"patience": 2, "higher_is_better": True}, 4, 2),
    ],
    ids=str,
)
def test_it_stops_after_its_patience_and_restores_the_best(
    values: list[float], options: dict[str, Any], stops: int, best: int
) -> None:
    network, rule = net(), stopping(**options)
    training = told(network, values, early_stopping=rule)
    curve = list(training)
    assert len(curve) == stops
    assert training.ended
    assert training.best is rule.best(curve) is curve[best - 1]
    np.testing.assert_array_equal(network.parameters, weights_after(best))


def test_without_restoring_the_last_weights_stay() -> None:
    network = net()
    list(told(network, [1, 2, 3, 4], early_stopping=stopping(patience=2, restore_best=False)))
    np.testing.assert_array_equal(network.parameters, weights_after(3))


def test_nothing_but_nan_leaves_the_weights_and_stops() -> None:
    network = net()
    training = told(network, [NAN] * 5, early_stopping=stopping(patience=2))
    assert len(list(training)) == 2
    assert training.best is None
    np.testing.assert_array_equal(network.parameters, weights_after(2))


def test_the_state_of_layers_is_restored_with_the_weights_and_the_loss_is_that_of_then() -> None:
    from core import BatchNorm, LayerNorm

    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 4))
    y = rng.integers(0, 2, 30)  # noise: it is learned by heart, and the validation loss turns up soon
    network = Network(4, [Dense(32, "relu"), BatchNorm(), LayerNorm(), Dense(2, "softmax")])
    training = train(
        network, x[:20], y[:20], loss="softmax_cross_entropy", epochs=500, validation=(x[20:], y[20:]),
        metrics={"accuracy": metrics.accuracy}, early_stopping=EarlyStopping(patience=5), average=0.9,
    )  # fmt: skip
    curve = list(training)
    assert training.best is not None
    assert len(curve) == training.best.epoch + 5 < 500
    assert network.evaluate(x[20:], y[20:], "softmax_cross_entropy") == training.best.validation_loss


@pytest.mark.parametrize("name", metrics.METRICS)
def test_the_better_way_is_known_for_every_metric(name: str) -> None:
    rule, falls = EarlyStopping(monitor=name), name in {"mse", "rmse", "mae", "log_loss"}
    less, more = (Record(1, 2, 1, 0.0, metrics={name: value}) for value in (0.5, 0.7))
    assert rule.best([less, more]) is (less if falls else more)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: EarlyStopping(patience=0), "patience: 0 is not allowed"),
        (lambda: EarlyStopping(minimum_change=-1), "minimum_change: -1 is not allowed"),
        (
            lambda: EarlyStopping(monitor="recal"),
            "monitor: whether higher is better is known for loss, validation_loss",
        ),
        (
            lambda: told(net(), [1.0], early_stopping=EarlyStopping(monitor="r2")),
            "early_stopping: the training has no 'r2' to monitor; it has loss, validation_loss, told",
        ),
        (
            lambda: EarlyStopping(monitor="r2").value(Record(1, 1, 1, 0.5)),
            "monitor: the training has no 'r2'; it has loss$",
        ),
        (
            lambda: train(net([0, 1]), X, Y, loss="squared_error", early_stopping=EarlyStopping(monitor="loss")),
            "early_stopping: a fleet",
        ),
    ],
)
def test_bad_values_are_refused_by_name(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
