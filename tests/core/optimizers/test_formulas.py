"""Each optimizer against its paper's algorithm, as written out in papers.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from core import (
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    AmsGrad,
    Lion,
    NAdam,
    RAdam,
    RmsProp,
    Sgd,
    get_backend,
)
from core.optimizers import ElementwiseOptimizer
from tests.core.optimizers.papers import Step, adadelta, adagrad, adam, lion, nadam, nesterov, radam, rmsprop, sgd

GRADIENTS = [
    *([0.5, 3.0, 1.0], [-1.5, -1e-6, -0.25], [2.0, 0.1, 1.0], [1e-3, -4.0, -0.25]),
    *([0.0, 1.0, 2.0], [-0.7, 0.0, -1.5], [0.3, 1e3, -0.1], [0.2, -0.2, 0.1]),
]
"""Of three parameters at each step; some so close to the running mean that it decides on the sign."""


@pytest.mark.parametrize(
    ("optimizer", "paper"),
    [
        (Sgd(0.1), sgd(0.1, 0.0)),
        (Sgd(0.1, momentum=0.9), sgd(0.1, 0.9)),
        (Sgd(0.1, momentum=0.9, nesterov=True), nesterov(0.1, 0.9)),
        (Adagrad(0.1), adagrad(0.1, 0.0, 1e-10)),
        (Adagrad(0.1, initial_accumulator=0.1, epsilon=1e-3), adagrad(0.1, 0.1, 1e-3)),
        (Adadelta(), adadelta(1.0, 0.95, 1e-6)),
        (Adadelta(0.5, rho=0.8, epsilon=1e-3), adadelta(0.5, 0.8, 1e-3)),
        (RmsProp(), rmsprop(0.01, 0.99, 0.0, False, 1e-8)),
        (RmsProp(0.1, alpha=0.9, momentum=0.5, epsilon=1e-3), rmsprop(0.1, 0.9, 0.5, False, 1e-3)),
        (RmsProp(0.1, alpha=0.9, momentum=0.5, centered=True), rmsprop(0.1, 0.9, 0.5, True, 1e-8)),
        (Adam(0.1), adam(0.1, 0.9, 0.999, 1e-8)),
        (Adam(0.01, beta1=0.5, beta2=0.9, epsilon=1e-2), adam(0.01, 0.5, 0.9, 1e-2)),
        (AdamW(0.1), adam(0.1, 0.9, 0.999, 1e-8, decay=0.01)),
        (AdamW(0.1, beta1=0.5, weight_decay=0.3), adam(0.1, 0.5, 0.999, 1e-8, decay=0.3)),
        (AmsGrad(0.1, beta2=0.5), adam(0.1, 0.9, 0.5, 1e-8, ams=True)),
        (NAdam(), nadam(0.002, 0.9, 0.999, 1e-8, 0.004)),
        (NAdam(0.1, beta1=0.5, beta2=0.9, momentum_decay=3.0), nadam(0.1, 0.5, 0.9, 1e-8, 3.0)),
        (NAdam(0.1, momentum_decay=0), nadam(0.1, 0.9, 0.999, 1e-8, 0.0)),
        (RAdam(0.1), radam(0.1, 0.9, 0.999, 1e-8)),
        (RAdam(0.1, beta1=0.5, beta2=0.9), radam(0.1, 0.5, 0.9, 1e-8)),
        (Lion(0.1), lion(0.1, 0.9, 0.99, 0.0)),
        (Lion(0.1, beta1=0.5, beta2=0.8, weight_decay=0.2), lion(0.1, 0.5, 0.8, 0.2)),
    ],
    ids=str,
)
def test_path_is_that_of_the_paper(optimizer: ElementwiseOptimizer, paper: Step) -> None:
    backend, p = get_backend("numpy", "float64"), np.array([1.0, -2.0, 0.5])
    state, expected = optimizer.init(backend, p), p.copy()
    for g in GRADIENTS:
        optimizer.update(backend, p, np.array(g), state)
        expected = paper(expected, np.array(g))
        np.testing.assert_allclose(p, expected, rtol=1e-13)


@pytest.mark.parametrize("beta1", [0.0, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("psi", [0.0, 0.004, 1.0, 50.0])
def test_nadams_product_is_that_of_its_factors(beta1: float, psi: float) -> None:
    rule, product = NAdam(beta1=beta1, momentum_decay=psi), 1.0
    for step in range(1, 1000):
        product *= rule.momentum(step)
        # 1 − product is what is used; the product of n factors is off by n/2 roundings at most.
        assert rule.momentum_product(step) == pytest.approx(product, rel=1e-12, abs=2**-54)


def decays(optimizer: Callable[..., ElementwiseOptimizer]) -> np.ndarray:
    backend, p = get_backend("numpy", "float64"), np.array([2.0, 2.0])
    rule = optimizer(0.5, weight_decay=0.5)
    rule.update(backend, p, np.zeros(2), rule.init(backend, p), factor=0.5, is_weight=np.array([1.0, 0.0]))
    return p


@pytest.mark.parametrize("optimizer", [Sgd, Adagrad, Adadelta, RmsProp, Adam, AdamW, AmsGrad, NAdam, RAdam, Lion])
def test_weights_decay_with_the_rate_of_the_step_and_the_rest_does_not(
    optimizer: Callable[..., ElementwiseOptimizer],
) -> None:
    np.testing.assert_array_equal(decays(optimizer), [2 * (1 - 0.25 * 0.5), 2])
