"""Gradients and trajectories of whole networks against an oracle: every activation × loss × optimizer.

autograd (HIPS) traces plain NumPy code and shares nothing with core; the definitions of activations and losses are
written out here as the textbook has them, not in the stable forms that core computes with, and those of optimizers in
optimizers/papers.py.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core import (
    ACTIVATIONS,
    LOSSES,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    AmsGrad,
    Dense,
    Lion,
    NAdam,
    Network,
    Optimizer,
    RAdam,
    RmsProp,
    Sgd,
    fit,
    get_backend,
)
from core.optimizers import ELEMENTWISE
from tests.core.optimizers import papers
from tests.core.optimizers.papers import Step

# Imported as they are, without types: autograd makes its functions when it starts.
autograd: Any = pytest.importorskip("autograd")
anp: Any = importlib.import_module("autograd.numpy")
erf: Any = importlib.import_module("autograd.scipy.special").erf

EPS = float(np.finfo(np.float64).eps)
Formula = Callable[..., Any]

SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
F: dict[str, Formula] = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + anp.exp(-z)),
    "tanh": anp.tanh,
    "relu": lambda z: anp.where(z > 0, z, 0.0),
    "leaky_relu": lambda z: anp.where(z > 0, z, 0.01 * z),
    "elu": lambda z: anp.where(z > 0, z, anp.exp(z) - 1),
    "selu": lambda z: SELU_SCALE * anp.where(z > 0, z, SELU_ALPHA * (anp.exp(z) - 1)),
    "gelu": lambda z: z * (1 + erf(z / anp.sqrt(2.0))) / 2,
    "gelu_tanh": lambda z: z / 2 * (1 + anp.tanh(anp.sqrt(2 / anp.pi) * (z + 0.044715 * z**3))),
    "silu": lambda z: z / (1 + anp.exp(-z)),
    "mish": lambda z: z * anp.tanh(anp.log(1 + anp.exp(z))),
    "softplus": lambda z: anp.log(1 + anp.exp(z)),
    "softsign": lambda z: z / (1 + anp.abs(z)),
    "hard_tanh": lambda z: anp.clip(z, -1.0, 1.0),
    "exp": anp.exp,
    "softmax": lambda z: anp.exp(z) / anp.sum(anp.exp(z), axis=-1, keepdims=True),
}


def at_label(a: Any, y: np.ndarray) -> Any:
    return a[..., np.arange(len(y)), y]


def deviance(power: float) -> Formula:
    return lambda a, y: a ** (2 - power) / (2 - power) + y * a ** (1 - power) / (power - 1)


# Of the outputs a and the targets y; summed over the outputs and averaged over the samples below.
J: dict[str, Formula] = {
    "squared_error": lambda a, y: (a - y) ** 2 / 2,
    "absolute_error": lambda a, y: anp.abs(a - y),
    "huber": lambda a, y: anp.where(anp.abs(a - y) <= 1, (a - y) ** 2 / 2, anp.abs(a - y) - 0.5),
    "log_cosh": lambda a, y: anp.log(anp.cosh(a - y)),
    "quantile": lambda a, y: anp.where(a > y, 0.5 * (a - y), 0.5 * (y - a)),
    "hinge": lambda a, y: anp.maximum(0.0, 1 - (2 * y - 1) * a),
    "binary_cross_entropy": lambda a, y: -(y * anp.log(a) + (1 - y) * anp.log(1 - a)),
    "binary_focal": lambda a, y: -y * (1 - a) ** 2 * anp.log(a) - (1 - y) * a**2 * anp.log(1 - a),
    "softmax_cross_entropy": lambda a, y: -anp.log(at_label(a, y)),
    "softmax_focal": lambda a, y: -((1 - at_label(a, y)) ** 2) * anp.log(at_label(a, y)),
    "poisson": lambda a, y: a - y * anp.log(a),
    "gamma": lambda a, y: anp.log(a) + y / a,
    "tweedie": deviance(1.5),
}
OF_CLASSES = ("hinge", "binary_focal")


# Rates at which twenty steps lead some way, but not away.
PAPERS: dict[str, tuple[Optimizer, Callable[[np.ndarray], Step]]] = {
    "sgd": (Sgd(0.02, momentum=0.9), lambda _: papers.sgd(0.02, momentum=0.9)),
    "adagrad": (Adagrad(0.02), lambda _: papers.adagrad(0.02)),
    "adadelta": (Adadelta(), lambda _: papers.adadelta()),
    "rmsprop": (RmsProp(0.01, momentum=0.5), lambda _: papers.rmsprop(0.01, momentum=0.5)),
    "adam": (Adam(0.02), lambda _: papers.adam(0.02)),
    "adamw": (AdamW(0.02, weight_decay=0.1), lambda is_weight: papers.adam(0.02, decay=0.1 * is_weight)),
    "amsgrad": (AmsGrad(0.02, beta2=0.9), lambda _: papers.adam(0.02, beta2=0.9, ams=True)),
    "nadam": (NAdam(0.02), lambda _: papers.nadam(0.02)),
    "radam": (RAdam(0.02), lambda _: papers.radam(0.02)),
    "lion": (Lion(0.01, weight_decay=0.1), lambda is_weight: papers.lion(0.01, decay=0.1 * is_weight)),
}
"""Each optimizer and its paper's step, made for an array that is 1 for weights and 0 for biases."""
IS_WEIGHT = np.concatenate([np.ones(20), np.zeros(5), np.ones(15), np.zeros(3)])
M = 8
"""Samples: a power of 2, so that sums of ±1/m, the gradients of the absolute error, are exact, and 0 where they are."""


def case(f: str, loss: str, seed: int = 0) -> tuple[Network, np.ndarray, np.ndarray, Callable[..., Any]]:
    """Return a network 4-5-3, samples, targets, and the oracle's J of flat parameters, `(…, 43)`."""
    rule, rng = LOSSES[loss], np.random.default_rng(seed)
    output = rule.output_activation or "identity"
    net = Network(4, [Dense(5, f), Dense(3, output)], backend=get_backend("numpy", "float64", compiled=False))
    net.parameters[...] = rng.standard_normal(net.n_parameters) / 2
    x = rng.standard_normal((M, 4))
    y = rng.integers(0, 3, M) if rule.takes_labels else rng.uniform(0.1, 0.9, (M, 3))
    if loss in OF_CLASSES:
        y = y.round()

    def j(p: Any) -> Any:
        theta1 = anp.reshape(p[..., :20], (*p.shape[:-1], 5, 4))
        theta2 = anp.reshape(p[..., 25:40], (*p.shape[:-1], 3, 5))
        hidden = F[f](anp.matmul(x, anp.swapaxes(theta1, -1, -2)) + p[..., None, 20:25])
        a = F[output](anp.matmul(hidden, anp.swapaxes(theta2, -1, -2)) + p[..., None, 40:])
        return anp.sum(J[loss](a, y)) / M

    return net, x, y, j


def test_the_oracle_knows_everything() -> None:
    assert F.keys() == ACTIVATIONS.keys()
    assert J.keys() == LOSSES.keys()
    assert PAPERS.keys() == ELEMENTWISE.keys()


@pytest.mark.parametrize("f", F)
def test_gradients_with_every_loss(f: str) -> None:
    for loss in J:
        net, x, y, j = case(f, loss)
        value, gradient = net.gradient(x, y, loss)
        expected = autograd.grad(j)(net.parameters)
        # Some 50 operations of numbers of the order of 10, each rounded on both sides.
        bound = 500 * EPS * max(1.0, np.abs(expected).max())
        assert value == pytest.approx(float(j(net.parameters)), rel=500 * EPS), loss
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=bound, err_msg=loss)


STEPS = 20
NUDGE = 1e-9
"""How far the oracle's second start lies from its first: its distance after each step tells how much errors grow."""


def trajectories(start: np.ndarray, j: Callable[..., Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return where each of `PAPERS` leads from `start`, and the growth of a small distance on the way, at least 1.

    All of them go at once, twice: from the start and from beside it.
    """
    p = np.tile(start, (2 * len(PAPERS), 1))
    p[len(PAPERS) :] += NUDGE * np.random.default_rng(2).uniform(-1, 1, p[len(PAPERS) :].shape)
    steps = [make(IS_WEIGHT) for _ in range(2) for _, make in PAPERS.values()]
    gradient, growth = autograd.grad(j), np.ones(len(PAPERS))
    for _ in range(STEPS):
        p = np.array([step(*each) for step, *each in zip(steps, p, gradient(p), strict=True)])
        distance = np.abs(p[len(PAPERS) :] - p[: len(PAPERS)]).max(axis=-1)
        growth = np.maximum(growth, distance / NUDGE)
    return p[: len(PAPERS)], growth


@pytest.mark.parametrize(("f", "losses"), [(f, list(J)[k % 4 :: 4]) for k, f in enumerate(F)], ids=F)
def test_twenty_steps_with_every_optimizer(f: str, losses: list[str]) -> None:
    """Each loss with some of the activations: what the two have to do with each other is in the gradients."""
    for loss in losses:
        net, x, y, j = case(f, loss, seed=1)
        start = net.parameters.copy()
        expected, growth = trajectories(start, j)
        for (optimizer, _), p, factor in zip(PAPERS.values(), expected, growth, strict=True):
            net.parameters[...] = start
            fit(net, x, y, loss=loss, optimizer=optimizer, epochs=STEPS, batch_size=M, shuffle=False)
            which = f"{loss}, {optimizer.name}"
            assert factor < 100, f"{which}: chaotic, so that nothing could be compared; take other data"
            # A step rounds p, and moves it by some hundredths of a number that some 50 roundings made: two roundings of
            # the size of p in all, which the steps after it make `factor` times as large.
            bound = STEPS * 2 * EPS * factor * max(1.0, np.abs(p).max())
            np.testing.assert_allclose(net.parameters, p, rtol=0, atol=bound, err_msg=which)
            assert np.abs(p - start).max() > 0.01, f"{which}: hardly moved"
