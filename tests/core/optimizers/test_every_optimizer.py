"""The ladder that every optimizer climbs: in-place version, any size, fleets, a minimum, bad values."""

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
from core.kernels import ReferenceKernels
from core.kernels.inplace import BLOCK
from core.optimizers import ELEMENTWISE, ElementwiseOptimizer, Optimizer

EVERY = [
    Sgd(0.1),
    Sgd(0.1, momentum=0.9),
    Sgd(0.1, momentum=0.9, nesterov=True),
    Adagrad(0.5),
    Adagrad(0.5, initial_accumulator=0.1),
    Adadelta(epsilon=1e-3),
    RmsProp(0.05),
    RmsProp(0.01, momentum=0.9, centered=True, epsilon=1e-4),
    Adam(0.1),
    Adam(0.05, beta1=0.0, beta2=0.9, epsilon=1e-4),
    AdamW(0.1, weight_decay=1e-3),
    AmsGrad(0.1),
    NAdam(0.1),
    RAdam(0.1),
    Lion(0.01),
]


def steps(optimizer: ElementwiseOptimizer, dtype: str, shape: tuple[int, ...], *, reference: bool) -> np.ndarray:
    """Return the parameters after 20 steps on random gradients."""
    backend = get_backend("numpy", dtype)
    if reference:
        backend.kernels = ReferenceKernels(np)
    rng = np.random.default_rng(0)
    p = rng.standard_normal(shape).astype(dtype)
    state = optimizer.init(backend, p)
    for _ in range(20):
        optimizer.update(backend, p, rng.standard_normal(shape).astype(dtype), state)
    assert state.step == 20
    return p


def test_every_optimizer_is_on_the_list() -> None:
    assert {type(optimizer) for optimizer in EVERY} == set(ELEMENTWISE.values())


@pytest.mark.parametrize("optimizer", EVERY, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1,), (BLOCK,), (2 * BLOCK + 1,), (3, 7)], ids=str)
def test_in_place_version_equals_the_formula(
    optimizer: ElementwiseOptimizer, dtype: str, shape: tuple[int, ...]
) -> None:
    # Each of 20 steps rounds a dozen times; the steps themselves are of the order of the learning rate.
    tolerance = 20 * 12 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(
        steps(optimizer, dtype, shape, reference=False),
        steps(optimizer, dtype, shape, reference=True),
        rtol=tolerance,
        atol=tolerance,
    )


@pytest.mark.parametrize("optimizer", EVERY, ids=str)
def test_reaches_the_minimum_of_a_bowl_and_of_a_long_valley(optimizer: ElementwiseOptimizer) -> None:
    backend = get_backend("numpy", "float64")
    for curvature in (np.array([1.0, 1.0]), np.array([0.05, 5.0])):
        p, lowest = np.array([3.0, -2.0]), np.array([1.0, 0.5])
        state = optimizer.init(backend, p)
        for _ in range(3000):
            optimizer.update(backend, p, curvature * (p - lowest), state)
        # Adam with a fixed rate and a short memory circles the minimum at the scale of its rate.
        np.testing.assert_allclose(p, lowest, atol=0.06)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Sgd(learning_rate=0), r"learning_rate: 0 is not allowed; it must be > 0 and finite"),
        (lambda: Sgd(learning_rate=float("nan")), "learning_rate: nan"),
        (lambda: Sgd(momentum=1.0), "momentum: 1.0 is not allowed; it must be ≥ 0 and < 1"),
        (lambda: Adam(learning_rate=float("inf")), "learning_rate: inf"),
        (lambda: Adam(beta1=-0.1), "beta1"),
        (lambda: Adam(beta2=1), "beta2"),
        (lambda: Adam(epsilon=0), "epsilon"),
        (lambda: Adam("fast"), "learning_rate: 'fast' is not allowed"),  # type: ignore[arg-type]
        (lambda: Sgd(nesterov=True), "nesterov: True is not allowed without momentum"),
        (lambda: Sgd(weight_decay=-1), "weight_decay: -1 is not allowed; it must be ≥ 0 and finite"),
        (lambda: AdamW(weight_decay=float("nan")), "weight_decay: nan"),
        (lambda: Adagrad(initial_accumulator=-0.1), "initial_accumulator"),
        (lambda: Adagrad(epsilon=0), "epsilon"),
        (lambda: Adadelta(rho=1), "rho"),
        (lambda: Adadelta(epsilon=0), "epsilon"),
        (lambda: RmsProp(alpha=1), "alpha"),
        (lambda: RmsProp(momentum=1), "momentum"),
        (lambda: RmsProp(epsilon=0), "epsilon"),
        (lambda: NAdam(momentum_decay=-1), "momentum_decay"),
        (lambda: RAdam(beta1=1), "beta1"),
        (lambda: Lion(beta1=1), "beta1"),
        (lambda: Lion(beta2=-0.5), "beta2"),
    ],
)
def test_bad_values_are_refused_by_name(make: Callable[[], Optimizer], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
