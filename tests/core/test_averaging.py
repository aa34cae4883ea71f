"""Running averages of the weights; test_descent.py has them in training, step by step."""

from __future__ import annotations

import numpy as np
import pytest

from core import Dense, Network, get_backend
from core.averaging import Averaged
from core.backend import Backend

EPS = float(np.finfo(np.float64).eps)


def network(seed: int | list[int] = 0, backend: Backend | None = None) -> Network:
    return Network(3, [Dense(2)], backend=backend or get_backend("numpy", "float64"), seed=seed)


def path(shape: tuple[int, ...], steps: int = 12) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((steps, *shape))


@pytest.mark.parametrize("decay", [0.1, 0.5, 0.9, 0.999, 1 - 2**-30])
@pytest.mark.parametrize("seed", [0, [0, 1]], ids=["alone", "fleet"])
def test_the_mean_weighs_those_of_k_steps_ago_with_the_kth_power(decay: float, seed: int | list[int]) -> None:
    net = network(seed)
    average, thetas = Averaged(net, net.backend, decay), path(net.parameters.shape)
    for t, theta in enumerate(thetas, start=1):
        net.parameters[...] = theta
        average.add(t)
        shares = decay ** np.arange(t)[::-1]
        # Three roundings a step; 1 − β and 1 − βᵗ lose the digits that β is close to 1 by.
        expected = np.tensordot(shares / shares.sum(), thetas[:t], axes=1)
        np.testing.assert_allclose(average.mean, expected, rtol=0, atol=12 * 3 * 4 * EPS / (1 - decay))


def test_parameters_that_never_move_are_their_own_mean() -> None:
    net = network()
    average, start = Averaged(net, net.backend, 0.9), net.parameters.copy()
    for step in range(1, 100):
        average.add(step)
        np.testing.assert_array_equal(average.mean, start)


def test_the_network_gets_the_mean_and_its_own_weights_back() -> None:
    net = network()
    average, start = Averaged(net, net.backend, 0.5), net.parameters.copy()
    average.add(1)
    net.parameters[...] = 0
    average.add(2)  # (start/2 + 0)/(1/2 + 1)
    average.hand_over()
    np.testing.assert_allclose(net.parameters, start / 3, rtol=4 * EPS)
    assert not average.trained.any()
    average.take_back()
    assert not net.parameters.any()
    np.testing.assert_allclose(average.mean, start / 3, rtol=4 * EPS)


def test_every_backend_has_the_same_mean(backend: Backend) -> None:
    means = []
    for each in (backend, get_backend("numpy", "float64")):
        net = network(backend=each)
        average = Averaged(net, net.backend, 0.9)
        for t, theta in enumerate(path(net.parameters.shape), start=1):
            net.parameters[...] = each.asarray(theta)
            average.add(t)
        means.append(each.to_host(average.mean))
    # Twelve steps of three roundings of numbers below 4.
    np.testing.assert_allclose(*means, rtol=0, atol=12 * 3 * 4 * float(np.finfo(backend.dtype).eps))
