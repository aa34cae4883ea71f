"""The public checks tell right from wrong, and say when they can't tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core import BatchNorm, Dense, LayerNorm, Network, Residual, check_adjoint, check_gradients, dot_test, get_backend
from core.backend import Backend

FLOAT64 = get_backend("numpy", "float64")
X, Y = np.random.default_rng(0).standard_normal((4, 3)), np.ones((4, 2))


def network() -> Network:
    """Return a network of the sizes 3, 5, 2."""
    return Network(3, [Dense(5, "tanh"), Dense(2)], backend=FLOAT64)


def one_relu(theta: float) -> Network:
    net = Network(1, [Dense(1, "relu", bias=False)], backend=FLOAT64)
    net.weights[0][...] = theta
    return net


def test_the_report_says_what_was_checked_and_prints_it() -> None:
    report = check_gradients(network(), X, Y, "squared_error")
    assert report.passed
    assert (report.n_parameters, report.n_inputs) == (3 * 5 + 5 + 5 * 2 + 2, 4 * 3)
    assert report.step == pytest.approx(np.finfo(np.float64).eps ** (1 / 3))
    assert report.error == abs(report.expected - report.got) < report.tolerance
    lines = str(report).splitlines()
    assert lines[0] == "passed: the gradient by 32 parameters and 12 inputs, along one random direction"
    names = ["central difference", "backward pass", "error", "tolerance", "step", "kink"]
    assert [line[2:21].strip() for line in lines[1:]] == names
    assert [float(line[21:]) for line in lines[1:3]] == pytest.approx([report.expected, report.got], rel=1e-14)
    assert lines[5:] == ["  step                6.1e-06", "  kink                none"]


def test_the_direction_has_the_length_1_and_goes_through_x_too() -> None:
    """With one Θ = 1 and one x = 1, J = (θx)²/2 has the slope d + e along (d, e), and that is all there is to it."""
    net = Network(1, [Dense(1, bias=False)], backend=FLOAT64)
    net.weights[0][...] = 1
    slopes = np.array([check_gradients(net, [[1.0]], [[0.0]], "squared_error", seed=seed).got for seed in range(200)])
    # (d, e) lies anywhere on the unit circle: d + e is √2 at most, comes close to it, and has the mean square 1.
    assert np.abs(slopes).max() <= np.sqrt(2) * (1 + 1e-15)
    assert np.abs(slopes).max() > 1.4
    # (d + e)² − 1 = sin 2φ, whose variance is ½; six standard deviations of the mean are no chance.
    assert np.mean(slopes**2) == pytest.approx(1, abs=6 * np.sqrt(0.5 / 200))


@pytest.mark.parametrize("kernel", ["matmul", "sum_samples"])
def test_a_fault_of_a_parameters_gradient_is_found(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(FLOAT64.kernels, kernel)

    def wrong(*args: Any, out: np.ndarray) -> None:
        right(*args, out=out)
        if out.shape == (5, 3) or (kernel == "sum_samples" and out.shape == (1, 5)):  # Θ̄ or b̄ of the first layer
            out *= 1 + 1e-4

    monkeypatch.setattr(FLOAT64.kernels, kernel, wrong)
    report = check_gradients(network(), X, Y, "squared_error")
    assert not report.passed
    assert not report.kink
    assert str(report).startswith("failed: the gradient by 32 parameters")


def test_a_fault_of_x_bar_alone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """x̄ = z̄ Θ of the first layer is what no parameter's gradient depends on."""
    assert check_gradients(network(), X, Y, "squared_error").passed
    assert check_adjoint(network(), X).passed
    gradient, right = network().gradient(X, Y, "squared_error")[1], FLOAT64.kernels.matmul

    def wrong(left: np.ndarray, other: np.ndarray, out: np.ndarray) -> None:
        right(left, other, out=out)
        if out.shape == X.shape:
            out *= 1 + 1e-4

    monkeypatch.setattr(FLOAT64.kernels, "matmul", wrong)
    np.testing.assert_array_equal(network().gradient(X, Y, "squared_error")[1], gradient)
    assert not check_gradients(network(), X, Y, "squared_error").passed
    assert not check_adjoint(network(), X).passed


def test_a_kink_at_the_point_itself_is_reported() -> None:
    report = check_gradients(one_relu(0.0), [[1.0]], [[1.0]], "squared_error")
    assert report.kink
    assert not report.passed
    assert str(report).splitlines()[-1] == "  kink                within the step: differences say nothing here"


@pytest.mark.parametrize("share", [0.01, 0.25, 1 / 3, 0.5, 0.75, 0.99])
@pytest.mark.parametrize("side", [1, -1])
def test_a_kink_anywhere_within_the_step_is_reported(share: float, side: int) -> None:
    """z = θx vanishes at `share` of the step along the direction; the distance is known from the report's own slope."""
    smooth = Network(1, [Dense(1, bias=False)], backend=FLOAT64)  # a = θx, J = (a − 1)²/2
    x = [[1.0]]
    smooth.weights[0][...] = 0
    report = check_gradients(smooth, x, [[1.0]], "squared_error")
    along = -report.got  # J̄' = −1 at a = 0, so ȧ = d, the direction's part along θ
    report = check_gradients(one_relu(-side * share * report.step * along), x, [[1.0]], "squared_error")
    assert report.kink


def test_a_kink_beyond_the_step_does_not_matter() -> None:
    for theta in (0.5, 3e-5, -3e-5):
        report = check_gradients(one_relu(theta), [[1.0]], [[1.0]], "squared_error")
        assert report.passed
        assert not report.kink


def test_nan_never_passes() -> None:
    net = network()
    net.parameters[0] = np.nan
    assert not check_gradients(net, X, Y, "squared_error").passed


def test_the_network_and_x_are_as_they_were_afterwards() -> None:
    net, x = network(), X.copy()
    before = net.parameters.copy()
    check_gradients(net, x, Y, "squared_error")
    np.testing.assert_array_equal(net.parameters, before)
    np.testing.assert_array_equal(x, X)


def test_equal_seeds_check_along_the_same_direction() -> None:
    reports = [check_gradients(network(), X, Y, "squared_error", seed=seed) for seed in (3, 3, 4)]
    assert reports[0] == reports[1] != reports[2]


def test_float32_and_fleets_are_refused() -> None:
    for net in (Network(1, [Dense(1)]), Network(1, [Dense(1)], backend=FLOAT64, seed=[0, 1])):
        with pytest.raises(ValueError, match="takes one network, not a fleet, whose backend's dtype is float64"):
            check_gradients(net, [[1.0]], [[1.0]], "squared_error")


@pytest.mark.parametrize("check", [lambda net: check_gradients(net, X[:, :2], Y, "squared_error"),
                                   lambda net: check_adjoint(net, X[:, :2])])  # fmt: skip
def test_what_does_not_fit_is_refused(check: Callable[[Network], object]) -> None:
    with pytest.raises(ValueError, match=r"x: the shape \(4, 2\) is not allowed"):
        check(network())


@pytest.mark.parametrize("seed", [0, [0, 1]], ids=["alone", "fleet"])
def test_the_way_back_of_a_whole_network_is_adjoint_on_every_backend(backend: Backend, seed: int | list[int]) -> None:
    layers = [Dense(4, "relu"), LayerNorm(), Residual([Dense(4, "gelu")]), BatchNorm(), Dense(2, "softmax")]
    net = Network(3, layers, backend=backend, seed=seed)
    report = check_adjoint(net, X)
    networks = 1 if seed == 0 else 2
    assert report.passed, report
    assert (report.n_parameters, report.n_inputs) == (networks * net.n_parameters, networks * X.size)
    assert str(report).startswith(f"passed: the way back to {report.n_parameters} parameters and {report.n_inputs} inp")


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_dot_test_catches_an_error_of_a_millionth(size: int) -> None:
    rng = np.random.default_rng(size)
    matrix = rng.standard_normal((size, size))
    u, v = rng.random(size) + 0.5, rng.random(size) + 0.5
    report = dot_test(lambda t: matrix @ t, lambda a: matrix.T @ a, u, v)
    assert report.passed
    assert str(report).splitlines()[0] == f"passed: an operation from {size} to {size} numbers, forward and back"
    wrong = matrix.T + 1e-6 * np.abs(matrix).max()
    assert not dot_test(lambda t: matrix @ t, lambda a: wrong @ a, u, v).passed


def test_a_network_that_is_sure_of_its_classes_passes() -> None:
    # J is tiny, and of differences between z of some 20: what is rounded there is more than J's own digits.
    net = Network(3, [Dense(5, "relu"), Dense(2, "softmax")], backend=FLOAT64, seed=1)
    net.weights[1][...] = [[2.0] * 5, [-2.0] * 5]
    x = 10 * X
    labels = net.predict(x).argmax(axis=1)
    assert net.evaluate(x, labels, "softmax_cross_entropy") < 1e-5
    report = check_gradients(net, x, labels, "softmax_cross_entropy")
    assert report.passed, str(report)
    assert not report.kink


def test_a_wrong_gradient_through_softmax_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Network(3, [Dense(5, "tanh"), Dense(2, "softmax")], backend=FLOAT64, seed=1)
    assert check_gradients(net, X, [0, 1, 0, 1], "softmax_cross_entropy").passed
    right = net.gradient
    monkeypatch.setattr(net, "gradient", lambda *given: (right(*given)[0], 1.0001 * right(*given)[1]))
    assert not check_gradients(net, X, [0, 1, 0, 1], "softmax_cross_entropy").passed
