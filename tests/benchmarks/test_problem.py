"""The harness's own loss is the textbook's, and its order is that of `core.train`."""

from __future__ import annotations

import numpy as np
import pytest

import core
from benchmarks.problem import Problem
from benchmarks.shapes import Shape


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "squared_error"])
def test_the_loss_is_that_of_core(activation: str, loss: str):
    problem = Problem(Shape("", (6, 8, 7, 3), 16, 4, activation=activation, loss=loss))
    last = "identity" if problem.is_regression else "softmax"
    layers = [core.Dense(8, activation), core.Dense(7, activation), core.Dense(3, last)]
    net = core.Network(6, layers, backend=core.get_backend("numpy", "float64"))
    for own, (theta, _) in zip(net.weights, problem.initial, strict=True):
        own[...] = theta
    # Both work in float64, on sums of fewer than 10 terms and a mean of 64.
    np.testing.assert_allclose(problem.loss(problem.initial), net.evaluate(problem.x, problem.y, loss), rtol=1e-13)


def test_equal_problems_are_equal_and_seeds_differ():
    shape = Shape("", (4, 5, 3), 8, 3, networks=2)
    one, other = Problem(shape), Problem(shape)
    assert np.array_equal(one.x, other.x)
    assert np.array_equal(one.initial[0][0], other.initial[0][0])
    assert not np.array_equal(one.initial[0][0][0], one.initial[0][0][1])
    orders = one.order(1)
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders, one.order(2))
    assert np.array_equal(np.sort(orders[0]), np.arange(24))
