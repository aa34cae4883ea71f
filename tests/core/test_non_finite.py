"""A number that isn't finite ends training with an error that says where it began."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core import BatchNorm, Dense, Network, NonFiniteError, Sgd, fit, get_backend, train
from core import training as training_module
from core.backend import Backend

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((20, 3)), RNG.standard_normal((20, 1))


def network(backend: Backend | None = None, seed: int | list[int] = 0) -> Network:
    backend = backend or get_backend("numpy", "float64")
    return Network(3, [Dense(4, "relu"), BatchNorm(), Dense(4, "identity"), Dense(1)], backend=backend, seed=seed)


def diverging(net: Network, **options: Any) -> NonFiniteError:
    with pytest.raises(NonFiniteError) as raised:
        fit(net, X, Y, **{"loss": "squared_error", "optimizer": Sgd(1e20), "batch_size": 5, "epochs": 40, **options})
    return raised.value


def test_the_error_names_epoch_step_and_layer_and_the_weights_are_those_before(backend: Backend) -> None:
    net, again = network(backend), network(backend)
    error = diverging(net)
    assert error.epoch == (error.step - 1) // 4 + 1
    assert str(error).startswith(
        f"training met a number that isn't finite in epoch {error.epoch}, at step {error.step}, first in {error.what}"
    )
    assert np.isfinite(backend.to_host(net.parameters)).all()
    before = train(again, X, Y, loss="squared_error", optimizer=Sgd(1e20), batch_size=5, epochs=40)
    while before.step < error.step - 1:
        before.advance(steps=1)
    np.testing.assert_array_equal(backend.to_host(net.parameters), backend.to_host(again.parameters))


@pytest.mark.parametrize(
    ("large", "layer", "what"), [({"0", "2"}, "2", "z"), ({"2", "3"}, "3", "z"), ({"4"}, None, "the loss")]
)
def test_the_first_layer_is_found(large: set[str], layer: str | None, what: str) -> None:
    """Weights are made so large before the first step that one layer's output overflows, or only the loss."""
    net = Network(3, [Dense(4, "relu"), Dense(4), Dense(4), Dense(1)], backend=get_backend("numpy", "float64"))
    for name in large:
        net.theta[name]["weight"][...] *= 1e200
    error = diverging(net, optimizer=Sgd(1e-3))
    assert (error.epoch, error.step, error.layer, error.what) == (1, 1, layer, what)


def test_a_parameter_can_be_the_first_and_the_last_step_of_all_is_looked_at_too() -> None:
    net = Network(1, [Dense(1)], backend=get_backend("numpy", "float64", compiled=False))
    x, y = np.full((4, 1), 1e10), np.full(4, 1e300)
    with pytest.raises(NonFiniteError) as raised:
        fit(net, x, y, loss="absolute_error", optimizer=Sgd(1e300), epochs=1, batch_size=4)
    error = raised.value
    assert (error.epoch, error.step, error.layer, error.what) == (1, 1, "0", "weight")
    assert np.isfinite(net.parameters).all()


def test_it_is_found_also_long_after_the_last_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = []
    for seconds in (0.0, 1e9):
        monkeypatch.setattr(training_module, "SNAPSHOT_SECONDS", seconds)
        net = Network(3, [Dense(1)], backend=get_backend("numpy", "float64"))
        errors.append(diverging(net, optimizer=Sgd(3.0), epochs=10_000))
    assert vars(errors[0]) == vars(errors[1])
    assert errors[0].epoch > 20


def test_of_a_fleet_the_others_go_on() -> None:
    fleet, alone = network(seed=[0, 1]), network(seed=1)
    options = {"loss": "squared_error", "batch_size": 5, "epochs": 10}
    curve = fit(fleet, X, Y, optimizer=[Sgd(1e30), Sgd(0.01)], **options)
    expected = fit(alone, X, Y, optimizer=Sgd(0.01), **options)
    losses = np.array([record.loss for record in curve])
    assert not np.isfinite(losses[-1, 0])
    np.testing.assert_allclose(losses[:, 1], np.array([record.loss for record in expected]), rtol=1e-12)
    error = diverging(network(seed=[0, 1]), optimizer=Sgd(1e30))
    assert error.step > 1


def test_samples_that_are_not_finite_are_refused_before() -> None:
    x = X.copy()
    x[3, 1] = np.nan
    with pytest.raises(ValueError, match="x: nan in row 3, column 1 is not allowed; every number must be finite"):
        fit(network(), x, Y, loss="squared_error")
