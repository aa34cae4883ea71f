"""The learner's question: where is f' taken, is the product with it elementwise, and what is averaged over a batch?

Read from top to bottom; each test answers one part, with numbers that can be checked by hand. Letters as in
core/backpropagation.py: a bar is the gradient of J, a dot is a change; rows are samples.

    forward    z = a_prev Θᵀ + b        a = f(z)
    top        ā = ∂J/∂a, with J̄ = 1/m
    backward   z̄ = ā ∘ f'(z)            Θ̄ = z̄ᵀ a_prev        b̄ = Σ_samples z̄        ā_prev = z̄ Θ
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core import ACTIVATIONS, LOSSES, Dense, Network, check_gradients, get_backend
from core.activations import Elementwise

FLOAT64 = get_backend("numpy", "float64")
EPS = float(np.finfo(np.float64).eps)
STEP = EPS ** (1 / 3)
"""h of a central difference: its error, h² and ε/h, is least there."""
LN3 = math.log(3)
ELEMENTWISE = {name: f for name, f in ACTIVATIONS.items() if isinstance(f, Elementwise)}
SMOOTH = ["sigmoid", "tanh", "softplus"]

# ------------------------------------------------------------------------------------------- f' is taken at z


@pytest.mark.parametrize("name", SMOOTH)
def test_f_prime_is_taken_at_z(name: str) -> None:
    # a = f(z). If z moves by h, a moves by f'(z) h: f' is taken where f was, at z. f'(a) is another number.
    f, z = ELEMENTWISE[name], np.array([[-1.0]])
    a = f.value(np, z)
    difference = (f.value(np, z + STEP) - f.value(np, z - STEP)) / (2 * STEP)
    at_z = f.derivative(np, z, a)
    at_a = f.derivative(np, a, f.value(np, a))
    assert abs(at_z - difference) < STEP**2 + EPS / STEP
    assert abs(at_a - difference) > 0.02


def test_f_prime_at_z_may_be_computed_from_a() -> None:
    # σ'(z) = σ(z)(1 − σ(z)), which is a(1 − a): computed from a, but not taken at a.
    # At z = −ln 3: a = 1/4, so σ'(z) = 1/4 · 3/4 = 3/16, while σ'(a) = σ(1/4)(1 − σ(1/4)) = 0.2461…
    f, z = ELEMENTWISE["sigmoid"], np.array([-LN3])
    a = f.value(np, z)
    assert a == pytest.approx(1 / 4, rel=4 * EPS)
    assert f.derivative(np, z, a) == pytest.approx(3 / 16, rel=8 * EPS)
    assert f.derivative(np, a, f.value(np, a)) == pytest.approx(0.2461, abs=1e-4)


# ----------------------------------------------------------------- the product is elementwise: ā diag(f'(z))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_elementwise_product_is_the_product_with_a_diagonal_matrix(name: str) -> None:
    # a_j depends on z_j alone, so ∂a/∂z is diag(f'(z)), and z̄ = ā diag(f'(z)) = ā ∘ f'(z): 1×n times n×n.
    f, (z, a_bar) = ELEMENTWISE[name], np.random.default_rng(0).standard_normal((2, 4, 3))
    a = f.value(np, z)
    z_bar, slope = f.pullback(np, a_bar, z, a), f.derivative(np, z, a)
    for k in range(4):  # each sample has an f'(z) of its own; nothing is averaged here
        np.testing.assert_array_equal(z_bar[k], a_bar[k] @ np.diag(slope[k]))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_same_for_all_samples_in_one_row(name: str) -> None:
    # All m samples beside each other: 1×(m·n) times (m·n)×(m·n). The matrix is diagonal still, since no sample's a
    # depends on another sample's z, and the numbers are the same.
    f, (z, a_bar) = ELEMENTWISE[name], np.random.default_rng(0).standard_normal((2, 4, 3))
    a = f.value(np, z)
    block = np.diag(f.derivative(np, z, a).reshape(12))
    assert block.shape == (4 * 3, 4 * 3)
    z_bar = a_bar.reshape(1, 12) @ block
    np.testing.assert_array_equal(z_bar.reshape(4, 3), f.pullback(np, a_bar, z, a))


def test_softmax_is_not_elementwise() -> None:
    # Every a_j depends on every z_i, so its Jacobian diag(a) − aᵀa isn't diagonal: it takes a product of matrices.
    f, (z, a_bar) = ACTIVATIONS["softmax"], np.random.default_rng(0).standard_normal((2, 4, 3))
    a = f.value(np, z)
    z_bar = f.pullback(np, a_bar, z, a)
    for k in range(4):
        # Three products and sums of numbers below 10.
        np.testing.assert_allclose(z_bar[k], a_bar[k] @ (np.diag(a[k]) - np.outer(a[k], a[k])), rtol=0, atol=100 * EPS)


# ------------------------------------------------------------------------------ one layer is the delta rule


def test_one_layer_is_the_delta_rule() -> None:
    # Widrow and Hoff's rule, with f: Δθ_ji = −η (a_j − y_j) f'(z_j) x_i for a sample; over m samples, the mean of it.
    net, rng = Network(3, [Dense(2, "sigmoid")], backend=FLOAT64), np.random.default_rng(1)
    x, y = rng.standard_normal((4, 3)), rng.random((4, 2))
    theta, b = net.weights[0], net.state_dict()["0.bias"]
    theta_bar, b_bar = np.zeros((2, 3)), np.zeros(2)
    for k in range(4):
        for j in range(2):
            z = sum(theta[j, i] * x[k, i] for i in range(3)) + b[j]
            a = 1 / (1 + math.exp(-z))
            delta = (a - y[k, j]) * math.exp(-z) / (1 + math.exp(-z)) ** 2  # (a − y) σ'(z), and σ' by its definition
            b_bar[j] += delta / 4
            for i in range(3):
                theta_bar[j, i] += delta * x[k, i] / 4
    _, gradient = net.gradient(x, y, "squared_error")
    # Some 30 roundings of numbers below 1.
    np.testing.assert_allclose(gradient, [*theta_bar.ravel(), *b_bar], rtol=0, atol=30 * EPS)


# --------------------------------------------------------------------------------- two layers, by hand


def example() -> tuple[Network, np.ndarray, np.ndarray]:
    """Return the network of the design, 2-2-2, sigmoid, 8 weights, and 3 samples with their targets.

    The weights are multiples of ln 3, since σ(k ln 3) = 3ᵏ/(3ᵏ + 1): every a is a fraction.
    """
    layers = [Dense(2, "sigmoid", bias=False), Dense(2, "sigmoid", bias=False)]
    net = Network(2, layers, backend=FLOAT64)
    net.weights[0][...] = LN3 * np.array([[1, -1], [1, 1]])
    net.weights[1][...] = LN3 * np.array([[2, -2], [4, 0]])
    x = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    y = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    return net, x, y


def test_gradients_of_the_example_are_those_computed_by_hand() -> None:
    # Forward. z1 = x Θ1ᵀ in units of ln 3, row by row: (1, 1), (−1, 1), (−1, −1).
    #     a1 = (3/4, 3/4), (1/4, 3/4), (1/4, 1/4)
    # z2 = a1 Θ2ᵀ in units of ln 3: (0, 3), (−1, 1), (0, 1).
    #     a2 = (1/2, 27/28), (1/4, 3/4), (1/2, 3/4)
    # J = 1/(2·3) Σ (a2 − y)² = 1/6 · (1/4 + 1/784 + 1/16 + 1/16 + 1/4 + 9/16) = 233/1176
    #
    # Top. ā2 = (a2 − y)/3, and the 3 = m is never divided by again:
    #     (−1/6, −1/84), (1/12, −1/12), (1/6, 1/4)
    # f'(z2) = a2(1 − a2): (1/4, 27/784), (3/16, 3/16), (1/4, 3/16)
    # z̄2 = ā2 ∘ f'(z2): (−1/24, −9/21952), (1/64, −1/64), (1/24, 3/64)
    # Θ̄2 = z̄2ᵀ a1, summed over the three samples:
    #     [0,0]: −1/24·3/4 + 1/64·1/4 + 1/24·1/4 = −1/32 + 1/256 + 1/96 = −13/768
    #     [0,1]: −1/24·3/4 + 1/64·3/4 + 1/24·1/4 = −1/32 + 3/256 + 1/96 =  −7/768
    #     [1,0]: −9/21952·3/4 − 1/64·1/4 + 3/64·1/4 = −27/87808 + 1/128 = 659/87808
    #     [1,1]: −9/21952·3/4 − 1/64·3/4 + 3/64·1/4 = −27/87808
    # ā1 = z̄2 Θ2 = ln 3 · (2 z̄2_1 + 4 z̄2_2, −2 z̄2_1):
    #     ln 3 · (−1/12 − 9/5488, 1/12), ln 3 · (−1/32, −1/32), ln 3 · (13/48, −1/12)
    # f'(z1) = a1(1 − a1) = 3/16 everywhere, so z̄1 = 3/16 ā1:
    #     ln 3 · (−1/64 − 27/87808, 1/64), ln 3 · (−3/512, −3/512), ln 3 · (13/256, −1/64)
    # Θ̄1 = z̄1ᵀ x; x is (1, 0), (0, 1), (−1, 0), so its columns are sample 1 − sample 3, and sample 2:
    #     [0,0]: ln 3 · (−1/64 − 27/87808 − 13/256) = −2929/43904 ln 3     [0,1]: −3/512 ln 3
    #     [1,0]: ln 3 · (1/64 + 1/64) = 1/32 ln 3                           [1,1]: −3/512 ln 3
    net, x, y = example()
    assert net.n_parameters == 8
    value, gradient = net.gradient(x, y, "squared_error")
    theta1_bar = LN3 * np.array([[-2929 / 43904, -3 / 512], [1 / 32, -3 / 512]])
    theta2_bar = np.array([[-13 / 768, -7 / 768], [659 / 87808, -27 / 87808]])
    assert value == pytest.approx(233 / 1176, abs=1e-12)
    np.testing.assert_allclose(gradient, np.concatenate([theta1_bar.ravel(), theta2_bar.ravel()]), rtol=0, atol=1e-12)


# ------------------------------------------------------------------ 1/m enters once: the mean of gradients


def alone(net: Network, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Return [Θ̄1, Θ̄2] of one sample's own loss ½ Σ (a − y)², written out: x and y are rows, and no m is there."""
    theta1, theta2 = net.weights
    a1 = 1 / (1 + np.exp(-(theta1 @ x)))
    a2 = 1 / (1 + np.exp(-(theta2 @ a1)))
    z2_bar = (a2 - y) * a2 * (1 - a2)
    z1_bar = (theta2.T @ z2_bar) * a1 * (1 - a1)
    return [np.outer(z1_bar, x), np.outer(z2_bar, a1)]


def test_the_gradient_of_a_batch_is_the_mean_of_its_samples_own_gradients() -> None:
    # J = 1/m Σ_k J_k, so θ̄ = 1/m Σ_k θ̄_k. Each θ̄_k is computed with nothing of the other samples, in three ways.
    net, x, y = example()
    _, batch = net.gradient(x, y, "squared_error")
    written_out = [np.concatenate([part.ravel() for part in alone(net, *sample)]) for sample in zip(x, y, strict=True)]
    batches_of_one = [net.gradient(x[k : k + 1], y[k : k + 1], "squared_error")[1] for k in range(3)]
    by_the_library = net.per_sample_gradients(x, y, "squared_error")
    for gradients in (written_out, batches_of_one, by_the_library):
        # A dozen roundings of numbers of the order of 1.
        np.testing.assert_allclose(np.mean(gradients, axis=0), batch, rtol=0, atol=12 * EPS)
        assert np.abs(gradients[0] - gradients[1]).max() > 0.01  # they do differ


def test_f_prime_is_not_averaged_over_the_batch() -> None:
    # The mean of products isn't the product of means: with one f'(z) for all samples, Θ̄ would be another number.
    net, x, y = example()
    trace = net.trace(x, y, "squared_error")
    last, before = trace.layers[1], trace.layers[0]
    assert last.slope is not None
    theta_bar = (last.a_bar * last.slope).T @ before.a
    averaged = (last.a_bar * last.slope.mean(axis=0)).T @ before.a
    np.testing.assert_allclose(last.theta_bar["weight"], theta_bar, rtol=0, atol=12 * EPS)
    assert np.abs(averaged - theta_bar).max() > 1e-3


# ----------------------------------------------------------------------------- what Θ̄ is: the trace pairing


def test_theta_bar_pairs_with_a_change_of_theta_by_the_trace() -> None:
    # If a layer's Θ moves by h Θ̇, J moves by h Σ_ji θ̄_ji θ̇_ji, which is h Tr(Θ̄ᵀ Θ̇). One layer at a time.
    net, x, y = example()
    trace, rng = net.trace(x, y, "squared_error"), np.random.default_rng(2)
    for theta, layer in zip(net.weights, trace.layers, strict=True):
        start, theta_dot = theta.copy(), rng.standard_normal(theta.shape)
        values = []
        for h in (STEP, -STEP):
            theta[...] = start + h * theta_dot
            values.append(float(net.evaluate(x, y, "squared_error")))
        theta[...] = start
        pairing = np.trace(layer.theta_bar["weight"].T @ theta_dot)
        # h² times a third derivative, below 10 for such small networks, and the rounding of J over h.
        assert (values[0] - values[1]) / (2 * STEP) == pytest.approx(pairing, abs=10 * (STEP**2 + EPS / STEP))


def test_forward_and_backward_pair_alike_in_every_layer() -> None:
    # z = a_prev Θᵀ, so ż = ȧ_prev Θᵀ + a_prev Θ̇ᵀ, and with z̄ the change of J is the same on both sides:
    #     ⟨z̄, ż⟩ = ⟨ā_prev, ȧ_prev⟩ + Tr(Θ̄ᵀ Θ̇)
    # As this holds for every Θ̇ and ȧ_prev, Θ̄ must be z̄ᵀ a_prev, and ā_prev must be z̄ Θ.
    net, x, y = example()
    trace, rng = net.trace(x, y, "squared_error"), np.random.default_rng(3)
    inputs, input_bars = [trace.x, trace.layers[0].a], [trace.x_bar, trace.layers[0].a_bar]
    for layer, a_prev, a_prev_bar in zip(trace.layers, inputs, input_bars, strict=True):
        theta, theta_bar = layer.theta["weight"], layer.theta_bar["weight"]
        a_prev_dot, theta_dot = rng.standard_normal(a_prev.shape), rng.standard_normal(theta.shape)
        z_dot = a_prev_dot @ theta.T + a_prev @ theta_dot.T
        assert layer.z_bar is not None
        forward = np.sum(layer.z_bar * z_dot)
        back = np.sum(a_prev_bar * a_prev_dot) + np.trace(theta_bar.T @ theta_dot)
        # Some 30 terms, each of the order of 1.
        assert forward == pytest.approx(back, abs=30 * EPS)


# ----------------------------------------------------------------------------------- the check can fail


@pytest.fixture(params=SMOOTH)
def checked(request: pytest.FixtureRequest) -> tuple[Elementwise, Callable[[], bool]]:
    """An activation, and whether `check_gradients` passes for a network made of it."""
    name, rng = request.param, np.random.default_rng(4)
    net = Network(3, [Dense(4, name), Dense(2, name)], backend=FLOAT64)
    x, y = rng.standard_normal((5, 3)), rng.random((5, 2))
    return ELEMENTWISE[name], lambda: check_gradients(net, x, y, "squared_error").passed


def test_a_variant_with_f_prime_of_a_fails_the_check(
    checked: tuple[Elementwise, Callable[[], bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    f, passes = checked
    assert passes()
    right = f.derivative_into

    def slope_at_a(xp: object, z: np.ndarray, a: np.ndarray, out: np.ndarray, scratch: np.ndarray) -> None:
        right(xp, a, f.value(xp, a), out, scratch)

    monkeypatch.setattr(f, "derivative_into", slope_at_a)
    assert not passes()


@pytest.mark.parametrize("factor", ["m", "1/m"])
def test_a_variant_without_1_over_m_or_with_it_twice_fails_the_check(
    factor: str, checked: tuple[Elementwise, Callable[[], bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, passes = checked
    assert passes()
    loss = LOSSES["squared_error"]
    right = loss.value_and_gradient_into

    def wrong(xp: object, u: object, y: object, j_bar: np.ndarray, *rest: Any) -> None:
        m = j_bar.shape[-2]
        right(xp, u, y, j_bar * (m if factor == "m" else 1 / m), *rest)

    monkeypatch.setattr(type(loss), "value_and_gradient_into", staticmethod(wrong))
    assert not passes()


def test_a_variant_with_an_averaged_f_prime_fails_the_check(
    checked: tuple[Elementwise, Callable[[], bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    f, passes = checked
    assert passes()
    right = f.derivative_into

    def averaged(xp: object, z: np.ndarray, a: np.ndarray, out: np.ndarray, scratch: np.ndarray) -> None:
        right(xp, z, a, out, scratch)
        by_sample = out.reshape(5, -1)  # kernels hand over flat pieces; five samples fit into one
        by_sample[...] = by_sample.mean(axis=0)

    monkeypatch.setattr(f, "derivative_into", averaged)
    assert not passes()
