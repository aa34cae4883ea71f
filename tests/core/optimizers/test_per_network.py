"""A fleet whose networks have optimizers of their own: each trains as it would alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core import Adagrad, Adam, AdamW, Dense, Lbfgs, NAdam, Network, RAdam, RmsProp, Sgd, Warmup, fit
from core.backend import Backend
from core.optimizers import ElementwiseOptimizer, PerNetwork

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((13, 3)), RNG.standard_normal((13, 2))
LISTS: list[list[ElementwiseOptimizer]] = [
    [Sgd(0.1), Sgd(0.01, momentum=0.5), Sgd(0.2, weight_decay=0.1)],
    [Adam(0.1), Adam(0.01, beta1=0.5), Adam(0.001, epsilon=0.1)],
    [AdamW(0.1), AdamW(0.1, weight_decay=0.5), AdamW(0.01)],
    [RmsProp(0.1), RmsProp(0.1, momentum=0.5), RmsProp(0.01, alpha=0.5)],
    [Adagrad(0.1), Adagrad(0.1, initial_accumulator=1.0), Adagrad(0.01)],
    [NAdam(0.1), NAdam(0.1, momentum_decay=0.1), NAdam(0.01)],
    [RAdam(0.1, beta2=0.9), RAdam(0.1), RAdam(0.01)],
]


def network(backend: Backend, seed: int | list[int], units: int = 5) -> Network:
    return Network(3, [Dense(units, "tanh"), Dense(2)], backend=backend, seed=seed)


@pytest.mark.parametrize("optimizers", LISTS, ids=lambda optimizers: optimizers[0].name)
def test_each_network_trains_as_it_would_alone(backend: Backend, optimizers: list[ElementwiseOptimizer]) -> None:
    options: dict[str, Any] = {"loss": "squared_error", "epochs": 3, "batch_size": 5, "schedule": Warmup(duration=1.0)}
    fleet = network(backend, [4, 5, 6])
    curve = fit(fleet, X, Y, optimizer=optimizers, **options)
    for k, optimizer in enumerate(optimizers):
        alone = network(backend, 4 + k)
        expected = fit(alone, X, Y, optimizer=optimizer, **options)
        got, wanted = backend.to_host(fleet.parameters)[k], backend.to_host(alone.parameters)
        # 9 steps of some 100 roundings each; Adam's quotient makes rounding of the gradient one of the step.
        bound = 9 * 100 * float(np.finfo(backend.dtype).eps) * max(1.0, np.abs(wanted).max())
        np.testing.assert_allclose(got, wanted, rtol=0, atol=bound)
        assert np.asarray(curve[-1].learning_rate)[k] == expected[-1].learning_rate


def test_long_rows_and_many_short_ones_are_taken_in_pieces(backend: Backend) -> None:
    for units, n in ((4000, 2), (2, 700)):  # 24,000 parameters a network; 700 networks of 14
        rates = [Sgd(0.1 / (1 + k)) for k in range(n)]
        fleet = network(backend, list(range(n)), units)
        before = backend.to_host(fleet.parameters).astype(np.float64)
        _, gradient = fleet.gradient(X, Y, "squared_error")
        host = backend.to_host(gradient).astype(np.float64)
        fit(fleet, X, Y, loss="squared_error", optimizer=rates, epochs=1, batch_size=13, shuffle=False)
        expected = before - np.array([[rate.learning_rate] for rate in rates]) * host
        bound = 4 * float(np.finfo(backend.dtype).eps) * (np.abs(before).max() + np.abs(host).max())
        np.testing.assert_allclose(backend.to_host(fleet.parameters), expected, rtol=0, atol=bound)


@pytest.mark.parametrize(
    ("optimizers", "says"),
    [
        ([Sgd(), Adam()], "optimizer: adam, sgd together are not allowed"),
        ([Sgd(), Sgd(), Sgd()], "optimizer: a list of 3 is not allowed; .* a fleet of 2"),
        ([Lbfgs(), Lbfgs()], "optimizer: lbfgs together are not allowed"),
        ([Sgd(momentum=0.5), Sgd(momentum=0.5, nesterov=True)], "optimizer: nesterov must be the same"),
    ],
)
def test_lists_that_do_not_fit_are_refused(optimizers: list[Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fit(Network(3, [Dense(2)], seed=[0, 1]), X, Y, loss="squared_error", optimizer=optimizers)


def test_a_list_for_one_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a list of 1 is not allowed; .* this is one network"):
        fit(Network(3, [Dense(2)]), X, Y, loss="squared_error", optimizer=[Sgd()])


def test_the_numbers_of_each_are_its_own_to_the_last_bit():
    """Also of those that are asked together, as they differ in the learning rate alone."""
    each = [Adam(0.1), Adam(0.2, beta1=0.8), Adam(0.3), Adam(0.3, weight_decay=0.1)]
    for step, factor in ((1, 1.0), (7, 0.3)):
        rates = [one.rate(factor) for one in each]
        own = [[*one.step_numbers(step, rate), rate * one.weight_decay] for one, rate in zip(each, rates, strict=True)]
        np.testing.assert_array_equal(PerNetwork(each).numbers(step, factor), own)
