"""Products with the Hessian and its Gauss–Newton part, and per-sample gradients: by differences, symmetry, meaning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core import (
    ACTIVATIONS,
    LOSSES,
    BatchNorm,
    Dense,
    Dropout,
    Layer,
    LayerNorm,
    Maxout,
    Network,
    PRelu,
    Residual,
    get_backend,
)
from core.backend import Backend
from core.layers.sequence import backward_tangent, tangents
from tests.core.layers.test_every_layer import EVERY, Alone
from tests.core.losses.targets import targets_for

FLOAT64 = get_backend("numpy", "float64")
EPS = float(np.finfo(np.float64).eps)
CONVEX = ["squared_error", "softmax_cross_entropy", "binary_cross_entropy"]


def problem(
    hidden: list[Layer[Any]], loss: str, seed: int | list[int] = 0, output: str = "tanh", backend: Backend = FLOAT64
) -> tuple[Network, np.ndarray, np.ndarray, np.ndarray]:
    """Return a network with random parameters, x, y and two vectors like the parameters."""
    rule, rng = LOSSES[loss], np.random.default_rng(0)
    net = Network(4, [*hidden, Dense(3, rule.output_activation or output)], backend=backend, seed=seed)
    net.parameters[...] = backend.asarray(rng.standard_normal(net.parameters.shape))
    x = rng.standard_normal((7, 4))
    return net, x, targets_for(rule, rng, (7, 3)), rng.standard_normal((2, *net.parameters.shape))


def difference(net: Network, x: np.ndarray, y: np.ndarray, loss: str, v: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the central difference of the gradient along the unit vector of v, times |v|, and its tolerance."""
    start, length, step = net.parameters.copy(), float(np.linalg.norm(v)), EPS ** (1 / 3)

    def gradient_at(shift: float) -> np.ndarray:
        net.parameters[...] = start + shift * v / length
        return net.gradient(x, y, loss)[1]

    ends = np.array([[gradient_at(shift * step) for shift in (n, -n)] for n in (1, 2)])
    net.parameters[...] = start
    fine, coarse = ((ahead - behind) / (2 * n * step) * length for n, (ahead, behind) in zip((1, 2), ends, strict=True))
    # The error is c·step² + O(step⁴), which twice the step makes four times as large: they differ by three times it.
    # Beside it, the rounding of the gradient, of some dozens of terms, divided by the step.
    rounding = 100 * length * EPS / step * max(1.0, float(np.abs(ends).max()))
    return fine, float(np.abs(coarse - fine).max()) + rounding


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_hvp_is_the_directional_derivative_of_the_gradient(activation: str, loss: str) -> None:
    net, x, y, (v, u) = problem([Dense(5, activation), Dense(4, activation, bias=False)], loss)
    net.parameters[...] *= 0.2 if activation == "exp" else 0.5  # exp of exp soon overflows
    expected, tolerance = difference(net, x, y, loss, v)
    got = net.hvp(x, y, loss, v)
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)
    # Symmetry, to the rounding of some hundred terms on each side.
    one, other = u @ got, v @ net.hvp(x, y, loss, u)
    assert one == pytest.approx(other, abs=1e3 * EPS * (np.abs(u) @ np.abs(got) + 1))


@pytest.mark.parametrize("output", ACTIVATIONS)
def test_hvp_through_every_output_activation(output: str) -> None:
    net, x, y, (v, _) = problem([Dense(5, "tanh")], "squared_error", output=output)
    net.parameters[...] *= 0.5
    expected, tolerance = difference(net, x, y, "squared_error", v)
    np.testing.assert_allclose(net.hvp(x, y, "squared_error", v), expected, rtol=0, atol=tolerance)


LAYERS = [
    [Dense(5, "tanh"), LayerNorm(epsilon=0.1)],
    [BatchNorm(), Dropout(0.5)],
    [Dense(10, "tanh"), PRelu(), Maxout()],
    [Residual([Dense(6, "tanh"), LayerNorm(epsilon=0.1), Residual([Dense(6, "sigmoid")]), Dense(4)])],
]


@pytest.mark.parametrize("hidden", LAYERS, ids=str)
@pytest.mark.parametrize("loss", CONVEX)
def test_hvp_through_every_layer(hidden: list[Layer[Any]], loss: str) -> None:
    net, x, y, (v, u) = problem(hidden, loss)
    expected, tolerance = difference(net, x, y, loss, v)
    got = net.hvp(x, y, loss, v)
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)
    assert u @ got == pytest.approx(v @ net.hvp(x, y, loss, u), abs=1e3 * EPS * (np.abs(u) @ np.abs(got) + 1))


@pytest.mark.parametrize("layer", EVERY, ids=str)
@pytest.mark.parametrize("training", [True, False], ids=["training", "prediction"])
def test_backward_tangent_is_the_directional_derivative_of_backward(layer: Layer[Any], training: bool) -> None:
    """In training too, where batch normalisation mixes the samples."""
    alone, rng = Alone(layer, (5,), training), np.random.default_rng(1)
    x, x_dot = rng.standard_normal((2, 5, 6))
    theta, theta_dot = rng.standard_normal((2, alone.size))
    a_bar, a_bar_dot = rng.standard_normal((2, *alone.outputs))
    step = EPS ** (1 / 3)
    ends = []
    for shift in (step, -step):
        alone.forward(x + shift * x_dot, theta + shift * theta_dot)
        parts = alone.pull(x + shift * x_dot, theta + shift * theta_dot, a_bar + shift * a_bar_dot)
        ends.append(np.concatenate([part.ravel() for part in parts]))
    alone.forward(x, theta)
    x_bar, flat = alone.pull(x, theta, a_bar)
    views, views_dot = alone.views(theta), alone.views(theta_dot)
    named = {"0": views}, {"0": views_dot}
    dots = tangents(np, [layer], *named, [alone.memory], x, x_dot)
    found, got_x_bar, x_bar_dot = backward_tangent(np, [layer], *named, [alone.memory], x, dots, a_bar, a_bar_dot)
    np.testing.assert_allclose(got_x_bar, x_bar, rtol=1e3 * EPS, atol=1e3 * EPS)
    got = np.concatenate([x_bar_dot.ravel(), *flattened(found["0"], views)])
    assert got.size == x_bar.size + flat.size
    # The directions have the length √n; third derivatives of the order of 100, where layers are nested.
    scale = float(np.linalg.norm(x_dot) + np.linalg.norm(theta_dot) + np.linalg.norm(a_bar_dot)) ** 3
    expected = (ends[0] - ends[1]) / (2 * step)
    tolerance = 10 * scale * step**2 + 100 * EPS / step * max(1.0, float(np.abs(ends).max()))
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)


def flattened(found: Any, like: Any) -> list[np.ndarray]:
    if not isinstance(like, dict):
        return [found.ravel()]
    return [part for name, inner in like.items() for part in flattened(found[name], inner)]


@pytest.mark.parametrize("loss", CONVEX)
def test_gauss_newton_is_the_hessian_where_the_network_is_linear(loss: str) -> None:
    net, x, y, (v, _) = problem([], loss, output="identity")
    np.testing.assert_allclose(net.ggn_vp(x, y, loss, v), net.hvp(x, y, loss, v), rtol=1e-11, atol=1e-13)


def test_gauss_newton_is_the_hessian_where_the_fit_is_perfect() -> None:
    """The rest of the Hessian is multiplied by ū, which is 0 there."""
    net, x, _, (v, _) = problem([Dense(5, "tanh")], "squared_error")
    y = net.predict(x)
    ggn, hessian = net.ggn_vp(x, y, "squared_error", v), net.hvp(x, y, "squared_error", v)
    np.testing.assert_allclose(ggn, hessian, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize("hidden", [[Dense(5, "sigmoid")], *LAYERS], ids=str)
def test_gauss_newton_is_ut_h_u_symmetric_and_positive_semidefinite(hidden: list[Layer[Any]], loss: str) -> None:
    net, x, y, _ = problem(hidden, loss)
    matrix = np.stack([net.ggn_vp(x, y, loss, unit) for unit in np.eye(net.n_parameters)])
    size = np.abs(matrix).max() * len(matrix)
    np.testing.assert_allclose(matrix, matrix.T, rtol=0, atol=100 * EPS * size)
    assert np.linalg.eigvalsh((matrix + matrix.T) / 2).min() > -100 * EPS * size
    if loss == "squared_error":  # H_L is 1/m, so the matrix is UᵀU/m
        jacobian = np.stack([net.jvp(x, np.zeros_like(x), unit).ravel() for unit in np.eye(net.n_parameters)], axis=1)
        np.testing.assert_allclose(matrix, jacobian.T @ jacobian / 7, rtol=0, atol=100 * EPS * size)


@pytest.mark.parametrize("hidden", [[Dense(5, "tanh", bias=False)], *LAYERS], ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_per_sample_gradients_are_those_of_single_samples_and_their_mean_is_the_batchs(
    hidden: list[Layer[Any]], loss: str
) -> None:
    net, x, y, _ = problem(hidden, loss)
    each = net.per_sample_gradients(x, y, loss)
    assert each.shape == (7, net.n_parameters)
    for k in range(7):
        _, alone = net.gradient(x[k : k + 1], y[k : k + 1], loss)
        np.testing.assert_allclose(each[k], alone, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(each.mean(axis=0), net.gradient(x, y, loss)[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("hidden", [[Dense(5, "tanh")], *LAYERS], ids=str)
@pytest.mark.parametrize("loss", CONVEX)
def test_a_fleet_gives_what_its_networks_give_alone(hidden: list[Layer[Any]], loss: str) -> None:
    fleet, x, y, (v, _) = problem(hidden, loss, seed=[0, 1])
    for k in range(2):
        alone = Network(4, fleet.layers, backend=FLOAT64)
        alone.parameters[...] = fleet.parameters[k]
        for of_fleet, of_one in (
            (fleet.hvp(x, y, loss, v), alone.hvp(x, y, loss, v[k])),
            (fleet.ggn_vp(x, y, loss, v), alone.ggn_vp(x, y, loss, v[k])),
            (fleet.per_sample_gradients(x, y, loss), alone.per_sample_gradients(x, y, loss)),
        ):
            np.testing.assert_allclose(of_fleet[k], of_one, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("seed", [0, [0, 1]], ids=["alone", "fleet"])
def test_every_backend_gives_the_same(backend: Backend, seed: int | list[int]) -> None:
    hidden, loss = [Dense(4, "tanh"), LAYERS[2][0], BatchNorm()], "softmax_cross_entropy"
    net, x, y, (v, _) = problem(hidden, loss, seed, backend=backend)
    expected, *_ = problem(hidden, loss, seed)
    eps, to_host = float(np.finfo(backend.dtype).eps), backend.to_host
    for one, other in (
        (net.hvp(x, y, loss, v), expected.hvp(x, y, loss, v)),
        (net.hvp(x, y, loss, net.hvp(x, y, loss, v)), expected.hvp(x, y, loss, expected.hvp(x, y, loss, v))),
        (net.ggn_vp(x, y, loss, v), expected.ggn_vp(x, y, loss, v)),
        (net.per_sample_gradients(x, y, loss), expected.per_sample_gradients(x, y, loss)),
    ):
        # Some hundred roundings, of terms that are up to some hundred times larger than what is left of them.
        np.testing.assert_allclose(to_host(one), other, rtol=0, atol=1e4 * eps * np.abs(other).max())


def test_bad_arguments_are_refused_by_name() -> None:
    net, x, y, _ = problem([], "squared_error")
    with pytest.raises(ValueError, match=r"v: the shape \(3,\) is not allowed; .* \(15,\)"):
        net.hvp(x, y, "squared_error", np.ones(3))
    with pytest.raises(ValueError, match="y: 6 targets"):
        net.per_sample_gradients(x, y[:6], "squared_error")
    with pytest.raises(ValueError, match="the number of samples in x: 0"):
        net.trace(x[:0], y[:0], "squared_error")
