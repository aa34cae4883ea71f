"""L-BFGS: its direction against the two-loop recursion, its line search against the conditions, and minima."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from core import Dense, Lbfgs, Network, fit, get_backend, penalty
from core.backend import Backend
from core.optimizers import OptimizerState
from core.optimizers.line_search import Point, search

EPS = float(np.finfo(np.float64).eps)
FLOAT64 = get_backend("numpy", "float64")


class Function:
    """An `Objective` on an array of parameters."""

    def __init__(
        self, value: Callable[[Any], float], gradient: Callable[[Any], Any], parameters: np.ndarray, backend: Backend
    ) -> None:
        self._value, self._gradient = value, gradient
        self._parameters, self._backend, self.evaluations = parameters, backend, 0

    def gradient(self) -> Any:
        self.evaluations += 1
        host = self._gradient(self._backend.to_host(self._parameters))
        return self._backend.asarray(host)

    def value(self) -> float:
        return float(self._value(self._backend.to_host(self._parameters)))


def minimized(
    rule: Lbfgs,
    value: Callable[[Any], float],
    gradient: Callable[[Any], Any],
    start: list[float],
    steps: int,
    backend: Backend = FLOAT64,
) -> tuple[np.ndarray, int]:
    p = backend.empty((len(start),))
    p[...] = backend.asarray(np.array(start))
    function, state = Function(value, gradient, p, backend), rule.init(backend, p)
    for _ in range(steps):
        rule.step(function, backend, p, state)
    return backend.to_host(p), function.evaluations


def rosenbrock(p: np.ndarray) -> float:
    return float((1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2)


def slope_of_rosenbrock(p: np.ndarray) -> np.ndarray:
    bend = 200 * (p[1] - p[0] ** 2)
    return np.array([-2 * (1 - p[0]) - 2 * p[0] * bend, bend])


def test_rosenbrocks_valley_in_few_evaluations(backend: Backend) -> None:
    """From the usual start, some 40 evaluations; steepest descent needs thousands."""
    got, evaluations = minimized(Lbfgs(), rosenbrock, slope_of_rosenbrock, [-1.2, 1.0], 40, backend)
    # Near the minimum the value is quadratic, so that rounding hides errors of √ε times the width of the valley.
    np.testing.assert_allclose(got, [1, 1], rtol=0, atol=100 * math.sqrt(float(np.finfo(backend.dtype).eps)))
    assert evaluations < 150


@pytest.mark.parametrize("history", [1, 3, 20])
def test_a_quadratic_bowl_is_solved(history: int) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((6, 6))
    matrix = matrix @ matrix.T + np.eye(6)
    wanted = rng.standard_normal(6)
    got, _ = minimized(
        Lbfgs(history=history),
        lambda p: (p - wanted) @ matrix @ (p - wanted) / 2,
        lambda p: matrix @ (p - wanted),
        [0.0] * 6,
        60,
    )
    np.testing.assert_allclose(got, wanted, rtol=0, atol=math.sqrt(EPS))


@pytest.mark.parametrize("pairs", [1, 2, 4, 7])
def test_the_direction_is_that_of_the_two_loop_recursion(pairs: int) -> None:
    """Nocedal and Wright, algorithm 7.4: another formula for the same matrix. More pairs than are kept, too."""
    rng, rule, size = np.random.default_rng(pairs), Lbfgs(history=4), 9
    spread = rng.standard_normal((size, size))
    hessian = spread @ spread.T + np.eye(size)
    state = rule.init(FLOAT64, np.zeros(size))
    s = rng.standard_normal((pairs, size))
    y = s @ hessian
    for one, other in zip(s, y, strict=True):
        rule._remember(FLOAT64, one, other, state)
    gradient = rng.standard_normal(size)
    q, used = gradient.copy(), range(pairs - 1, max(-1, pairs - 5), -1)
    alphas = {}
    for i in used:
        alphas[i] = s[i] @ q / (s[i] @ y[i])
        q -= alphas[i] * y[i]
    r = q * (s[-1] @ y[-1]) / (y[-1] @ y[-1])
    for i in reversed(used):
        r += s[i] * (alphas[i] - y[i] @ r / (s[i] @ y[i]))
    # The triangular systems pass roundings on by the condition of the pairs, here below 10⁴.
    np.testing.assert_allclose(
        rule._direction(FLOAT64, gradient, state), -r, rtol=0, atol=1e4 * 10 * EPS * np.abs(r).max()
    )


def test_a_pair_without_positive_curvature_is_left_out() -> None:
    rule = Lbfgs()
    state: OptimizerState = rule.init(FLOAT64, np.zeros(3))
    rule._remember(FLOAT64, np.ones(3), -np.ones(3), state)
    assert state.numbers["pairs"] == 0


LINES: dict[str, Callable[[float], tuple[float, float]]] = {
    "bowl": lambda t: ((t - 3) ** 2, 2 * (t - 3)),
    "flat far out": lambda t: (-t / (t * t + 2), (t * t - 2) / (t * t + 2) ** 2),
    "steep wall": lambda t: (t**10 - t, 10 * t**9 - 1),
    "waves": lambda t: (math.sin(4 * t) / 5 - t + t * t / 50, 0.8 * math.cos(4 * t) - 1 + t / 25),
    "beyond 2 there is nothing": lambda t: ((t - 1) ** 2, 2 * (t - 1)) if t < 2 else (math.nan, math.nan),
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
@pytest.mark.parametrize("first", [1e-3, 0.1, 1.0, 50.0])
def test_what_the_line_search_returns_meets_both_conditions(
    line: Callable[[float], tuple[float, float]], first: float
) -> None:
    start = Point(0.0, *line(0.0))
    found = search(lambda t: Point(t, *line(t)), start, first, 1e-4, 0.5, 40)
    assert found is not None
    assert found.value <= start.value + 1e-4 * found.t * start.slope
    assert abs(found.slope) <= 0.5 * abs(start.slope)


def test_where_no_step_leads_down_there_is_none() -> None:
    assert search(lambda t: Point(t, 2.0, -1.0), Point(0.0, 1.0, -1.0), 1.0, 1e-4, 0.9, 20) is None
    got, _ = minimized(Lbfgs(), lambda p: 0.0, lambda p: np.zeros(2), [1.0, 2.0], 3)
    np.testing.assert_array_equal(got, [1.0, 2.0])


X = np.linspace(-1, 1, 40)[:, None]
Y = np.sin(3 * X)


def network() -> Network:
    return Network(1, [Dense(8, "tanh"), Dense(1)], backend=FLOAT64)


def test_a_network_is_brought_to_a_stationary_point_of_loss_and_penalty() -> None:
    net = network()
    fit(net, X, Y, loss="squared_error", optimizer="lbfgs", epochs=600, l2=1e-3)
    _, gradient = net.gradient(X, Y, "squared_error")
    for view, weight in zip(net.weight_views(gradient), net.weights, strict=True):
        view[...] += 1e-3 * weight
    value = net.evaluate(X, Y, "squared_error") + penalty(net, l2=1e-3)
    # Rounding of the value, ε·J, hides gradients up to √(ε·J·curvature); curvatures here are below 100.
    assert np.linalg.norm(gradient) < 10 * math.sqrt(EPS * float(value) * 100)


def test_the_recorded_losses_never_rise() -> None:
    losses = [record.loss for record in fit(network(), X, Y, loss="squared_error", optimizer="lbfgs", epochs=100)]
    assert all(later <= earlier for earlier, later in pairwise(losses))
    assert losses[-1] < 1e-4 * losses[0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"batch_size": 8}, "batch_size: 8 is not allowed; lbfgs takes all 40 samples"),
        ({"l1": 0.1}, "l1: 0.1 is not allowed with lbfgs"),
        ({"clip_norm": 1.0}, "clip_norm: 1.0 is not allowed with lbfgs"),
        ({"schedule": "cosine"}, "schedule: CosineDecay"),
    ],
)
def test_what_does_not_go_with_it_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fit(network(), X, Y, loss="squared_error", optimizer="lbfgs", **options)


def test_a_fleet_is_refused() -> None:
    fleet = Network(1, [Dense(1)], seed=[0, 1])
    with pytest.raises(ValueError, match="optimizer: lbfgs is not allowed for a fleet"):
        fit(fleet, X, Y, loss="squared_error", optimizer="lbfgs")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Lbfgs(learning_rate=0), "learning_rate: 0"),
        (lambda: Lbfgs(history=0), "history: 0 is not allowed; it must be an integer ≥ 1"),
        (lambda: Lbfgs(evaluations=1), "evaluations: 1"),
        (lambda: Lbfgs(decrease=0.95), "decrease: 0.95 is not allowed; it must be > 0 and < 0.9"),
        (lambda: Lbfgs(curvature=1), "curvature: 1"),
    ],
)
def test_bad_values_are_refused_by_name(make: Callable[[], Lbfgs], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
