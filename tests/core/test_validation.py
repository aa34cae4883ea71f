"""Samples that are not trained on: in one pass the same numbers as `evaluate` and `predict` give, whatever changed."""

from __future__ import annotations

import numpy as np
import pytest

from core import BatchNorm, Dense, Network, get_backend
from core.losses import LOSSES
from core.validation import Validation
from core.workspace import CHUNK
from tests.core.losses.targets import targets_for


@pytest.mark.parametrize("loss", LOSSES)
def test_no_loss_spoils_what_the_outputs_come_of(loss: str) -> None:
    rng, rule = np.random.default_rng(0), LOSSES[loss]
    x, y = rng.standard_normal((7, 3)), targets_for(rule, rng, (7, 4))
    last = Dense(4, rule.output_activation or "identity")
    net = Network(3, [Dense(6, "tanh"), last], backend=get_backend("numpy", "float64"), seed=0)
    held_out = Validation(net, rule, x, y)
    for _ in range(2):
        np.testing.assert_array_equal(held_out.loss_and_outputs()[1], net.predict(x))
        np.testing.assert_array_equal(held_out.loss(), net.evaluate(x, y, rule))


@pytest.mark.parametrize("n", [5, CHUNK, 2 * CHUNK + 3], ids=["a few", "a pass", "several passes"])
@pytest.mark.parametrize(("loss", "activation"), [("softmax_cross_entropy", "softmax"), ("huber", "identity")])
@pytest.mark.parametrize("seed", [0, [1, 2]], ids=["one", "fleet"])
def test_loss_and_outputs_are_those_of_the_weights_as_they_are_now(
    n: int, loss: str, activation: str, seed: int | list[int]
) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((n, 3)), targets_for(LOSSES[loss], rng, (n, 4))
    layers = [Dense(6, "tanh"), BatchNorm(), Dense(4, activation)]
    net = Network(3, layers, backend=get_backend("numpy", "float64"), seed=seed)
    held_out = Validation(net, LOSSES[loss], x, y)
    for _ in range(2):
        found, outputs = held_out.loss_and_outputs()
        np.testing.assert_array_equal(found, net.evaluate(x, y, loss))
        np.testing.assert_array_equal(found, held_out.loss())
        np.testing.assert_array_equal(outputs, net.predict(x))
        net.parameters[...] *= 1.5


def test_a_sample_without_weight_has_outputs_too() -> None:
    x, y, weights = np.eye(3), np.ones((3, 1)), np.array([1.0, 0.0, 2.0])
    net = Network(3, [Dense(1)], seed=0)
    found, outputs = Validation(net, LOSSES["squared_error"], x, y, weights).loss_and_outputs()
    np.testing.assert_array_equal(outputs, net.predict(x))
    np.testing.assert_array_equal(found, net.evaluate(x, y, "squared_error", weights))
    assert found != net.evaluate(x, y, "squared_error")


def test_of_no_sample_there_is_no_mean() -> None:
    net = Network(3, [Dense(1)])
    assert np.isnan(Validation(net, LOSSES["squared_error"], np.empty((0, 3)), np.empty((0, 1))).loss())
