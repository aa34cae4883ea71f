"""The ladder that every layer climbs: adjoint, finite difference, in training and out of it, on every backend."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from core import (
    BatchNorm,
    Constant,
    Dense,
    Dropout,
    Layer,
    LayerNorm,
    Maxout,
    Network,
    PRelu,
    Residual,
    dot_test,
    fit,
    get_backend,
    load,
    save,
)
from core.backend import Backend, NumpyBackend
from core.kernels import ReferenceKernels
from core.layers import LAYERS, Passing, from_data
from core.layout import Layout

EPS = np.finfo(np.float64).eps
N = 6
EVERY: list[Layer[Any]] = [
    Dense(N),
    Dense(N, "tanh", bias=False),
    PRelu(0.1),
    Maxout(),
    Maxout(3),
    Dense(N, "tanh", initializer=Constant(0.25)),
    Dropout(0.3),
    LayerNorm(),
    BatchNorm(momentum=0.25),
    Residual([Dense(9, "tanh"), Dropout(0.5), LayerNorm(epsilon=0.1), Dense(N)]),
    Residual([Residual([BatchNorm(), Dense(N, "sigmoid")]), Dense(N)]),
    Residual([Dense(2 * N), PRelu(), Maxout()]),
]
BATCHES = [(0,), (1,), (5,), (3, 0), (3, 1), (3, 5), (2, 3, 0), (2, 3, 1), (2, 3, 5)]
"""Leading axes of rank 0, 1 and 2; no, one and many samples."""
PASSES = pytest.mark.parametrize("training", [True, False], ids=["training", "prediction"])
LAYER = pytest.mark.parametrize("layer", EVERY, ids=str)


class Alone:
    """One layer with random parameters, on a batch of one shape."""

    def __init__(
        self, layer: Layer[Any], batch: tuple[int, ...], training: bool, backend: Backend | None = None
    ) -> None:
        self.layer, self.batch = layer, batch
        self.backend = backend or get_backend("numpy", "float64")
        self.layout, self.state_layout = Layout(layer.parameters(N)), Layout(layer.state(N))
        self.size = self.layout.size
        self.memory = layer.memory(self.backend, batch, N, (0,))
        seeds = self.backend.asarray(np.array([[7]], np.uint64), "uint64")
        self.passing = Passing(training, step=3, seeds=seeds)
        self.outputs = (*batch, layer.n_outputs(N))

    def views(self, flat: np.ndarray) -> Any:
        return self.layout.views(self.backend.xp, flat)

    def forward(self, x: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        state = self.backend.asarray(np.broadcast_to(0.5, (*self.batch[:-1], self.state_layout.size)))
        views = self.state_layout.views(self.backend.xp, state)
        theta = self.views(self.backend.asarray(parameters))
        self.layer.forward(self.backend.kernels, theta, views, self.backend.asarray(x), self.memory, self.passing)
        self.state = self.backend.to_host(state)
        return self.backend.to_host(self.memory.a)

    def push(self, x: np.ndarray, parameters: np.ndarray, x_dot: np.ndarray, parameters_dot: np.ndarray) -> np.ndarray:
        theta, theta_dot = (self.views(self.backend.asarray(flat)) for flat in (parameters, parameters_dot))
        tangents = (self.backend.asarray(x), self.backend.asarray(x_dot))
        return self.backend.to_host(self.layer.tangent(self.backend.xp, theta, theta_dot, *tangents, self.memory))

    def pull(self, x: np.ndarray, parameters: np.ndarray, a_bar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        flat, x_bar = self.backend.zeros((*self.batch[:-1], self.size)), self.backend.empty(x.shape)
        theta, kept = self.views(self.backend.asarray(parameters)), self.backend.asarray(a_bar)
        x_there = self.backend.asarray(x)
        self.layer.backward(self.backend.kernels, theta, x_there, self.memory, kept, self.views(flat), x_bar)
        return self.backend.to_host(x_bar), self.backend.to_host(flat)

    def push_back(self, x: np.ndarray, parameters: np.ndarray, *dots: np.ndarray) -> list[np.ndarray]:
        """Return x̄, x̄˙ and the tangents of the parameters' adjoints, for ẋ, θ̇, ā and ā˙."""
        x_dot, parameters_dot, a_bar, a_bar_dot = map(self.backend.asarray, dots)
        theta, theta_dot = self.views(self.backend.asarray(parameters)), self.views(parameters_dot)
        there = (self.backend.asarray(x), x_dot, self.memory, a_bar, a_bar_dot)
        found, *bars = self.layer.backward_tangent(self.backend.xp, theta, theta_dot, *there)
        return [self.backend.to_host(array) for array in (*bars, *leaves(found))]


def leaves(nested: Any) -> Iterator[Any]:
    for each in nested.values():
        yield from leaves(each) if isinstance(each, dict) else [each]


def numbers(alone: Alone, seed: int = 0) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    while True:
        yield rng.standard_normal((*alone.batch, N))
        yield rng.standard_normal((*alone.batch[:-1], alone.size))


def test_every_kind_of_layer_is_on_the_list() -> None:
    assert {layer.kind for layer in EVERY} == LAYERS.keys()


@LAYER
@PASSES
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_the_way_back_is_adjoint_to_the_way_forward(layer: Layer[Any], training: bool, batch: tuple[int, ...]) -> None:
    alone = Alone(layer, batch, training)
    draw = numbers(alone)
    x, parameters, x_dot, parameters_dot = (next(draw) for _ in range(4))
    alone.forward(x, parameters)

    def push(tangent: np.ndarray) -> np.ndarray:
        return alone.push(
            x, parameters, tangent[: x.size].reshape(x.shape), tangent[x.size :].reshape(parameters.shape)
        )

    def pull(a_bar: np.ndarray) -> np.ndarray:
        return np.concatenate([part.ravel() for part in alone.pull(x, parameters, a_bar)])

    a_bar = np.random.default_rng(1).standard_normal(alone.outputs)
    report = dot_test(push, pull, np.concatenate([x_dot.ravel(), parameters_dot.ravel()]), a_bar)
    assert report.passed, report


@LAYER
@PASSES
def test_the_tangent_is_the_directional_derivative(layer: Layer[Any], training: bool) -> None:
    alone = Alone(layer, (5,), training)
    draw = numbers(alone, seed=2)
    x, parameters, x_dot, parameters_dot = (next(draw) for _ in range(4))
    length = np.sqrt((x_dot**2).sum() + (parameters_dot**2).sum())
    x_dot, parameters_dot = x_dot / length, parameters_dot / length
    step = EPS ** (1 / 3)
    ahead = alone.forward(x + step * x_dot, parameters + step * parameters_dot)
    behind = alone.forward(x - step * x_dot, parameters - step * parameters_dot)
    a = alone.forward(x, parameters)
    tangent = alone.push(x, parameters, x_dot, parameters_dot)
    # Rounding over the step, and step² times the third derivatives, of the order of a hundred where layers are nested.
    bound = 100 * step**2 + 10 * EPS / step * max(1.0, np.abs(a).max())
    np.testing.assert_allclose((ahead - behind) / (2 * step), tangent, rtol=0, atol=bound)


@cache
def everything_alone(layer: Layer[Any], training: bool, m: int, network: int) -> list[np.ndarray]:
    """Return what `everything` does for one of the networks, by the reference formulas in float64."""
    alone = Alone(layer, (m,), training, NumpyBackend("float64"))
    alone.backend.kernels = ReferenceKernels(np)
    return everything(alone, draws(alone, m, network))


def draws(alone: Alone, m: int, network: int) -> list[np.ndarray]:
    """Return x, θ, ẋ, θ̇, ā, ā˙ of one network, numbers that float32 holds exactly."""
    rng, outputs = np.random.default_rng([m, network]), (m, alone.outputs[-1])
    shapes = [(m, N), (alone.size,), (m, N), (alone.size,), outputs, outputs]
    return [rng.standard_normal(shape).astype(np.float32).astype(np.float64) for shape in shapes]


def everything(alone: Alone, given: list[np.ndarray]) -> list[np.ndarray]:
    """Return a, the new state, ȧ, x̄ and θ̄, then x̄, x̄˙ and the parts of θ̄˙."""
    x, parameters, x_dot, parameters_dot, a_bar, a_bar_dot = given
    a = alone.forward(x, parameters)
    a_dot = alone.push(x, parameters, x_dot, parameters_dot)
    twice = alone.push_back(x, parameters, x_dot, parameters_dot, a_bar, a_bar_dot)
    return [a, alone.state, a_dot, *alone.pull(x, parameters, a_bar), *twice]


@LAYER
@PASSES
def test_with_leading_axes_each_network_has_what_it_has_alone(
    layer: Layer[Any], training: bool, backend: Backend
) -> None:
    for batch in BATCHES:
        *leading, m = batch
        alone = Alone(layer, batch, training, backend)
        networks = list(range(math.prod(leading)))
        stacked = [np.stack(parts) for parts in zip(*(draws(alone, m, k) for k in networks), strict=True)]
        got = everything(alone, [part.reshape(*leading, *part.shape[1:]) for part in stacked])
        expected = zip(*(everything_alone(layer, training, m, k) for k in networks), strict=True)
        for array, values in zip(got, expected, strict=True):
            wanted = np.stack(values)
            wanted = wanted.reshape(*leading, *wanted.shape[1:])
            assert (array.dtype, array.shape) == (backend.dtype, wanted.shape)
            # Some dozens of roundings of numbers up to the largest, which division by a deviation makes of others.
            bound = 1e3 * float(np.finfo(backend.dtype).eps) * max(1.0, np.abs(wanted).max(initial=0))
            np.testing.assert_allclose(array, wanted, rtol=0, atol=bound, err_msg=str(batch))


@LAYER
def test_plain_data_gives_the_layer_back(layer: Layer[Any]) -> None:
    assert from_data(layer.as_data()) == layer


@LAYER
@pytest.mark.parametrize("seed", [1, (1, 2)], ids=["alone", "fleet"])
def test_networks_with_it_train_alike_on_every_backend_and_come_back_from_a_file(
    layer: Layer[Any], seed: int, backend: Backend, tmp_path: Any
) -> None:
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((22, 4)), rng.integers(0, 3, 22)
    nets = [
        Network(4, [Dense(N, "tanh"), layer, Dense(3, "softmax")], backend=each, seed=seed)
        for each in (backend, NumpyBackend(str(backend.dtype)))
    ]
    curves = [fit(net, x, y, loss="softmax_cross_entropy", epochs=2, batch_size=8) for net in nets]
    eps = float(np.finfo(backend.dtype).eps)
    # Six steps of Adam: its √v̂ in the denominator turns a rounding of the gradient into one of the whole step, 1e-3.
    for record, expected in zip(*curves, strict=True):
        np.testing.assert_allclose(np.asarray(record.loss), np.asarray(expected.loss), rtol=2e3 * eps)
    np.testing.assert_allclose(nets[0].predict(x), nets[1].predict(x), rtol=0, atol=1e4 * eps)
    if backend.name == "numpy":
        save(nets[0], tmp_path / "net")
        back = load(tmp_path / "net")
        assert back.layers == nets[0].layers
        np.testing.assert_array_equal(back.predict(x), nets[0].predict(x))
