"""The ladder that every activation climbs: adjoint, finite difference, in-place version, extreme values."""

from __future__ import annotations

import numpy as np
import pytest

from core import ACTIVATIONS, dot_test
from core.activations import Activation, Elementwise
from core.activations.activation import SCRATCH

EPS = np.finfo(np.float64).eps
SHAPES = [(7, 5), (1, 1), (0, 3), (3, 4, 5)]
EVERY = pytest.mark.parametrize("f", ACTIVATIONS.values(), ids=ACTIVATIONS)


ELEMENTWISE = {name: f for name, f in ACTIVATIONS.items() if isinstance(f, Elementwise)}
JUMPS = {"relu": [0], "leaky_relu": [0], "selu": [0], "hard_tanh": [-1, 1], "elu": [0], "softsign": [0]}
"""Where f' or f'' jumps: a difference across such a point says nothing, or is off by the step instead of its square."""

LARGEST = "about the largest number"
LIMITS = {
    "identity": ((-np.inf, np.inf), (1, 1)),
    "sigmoid": ((0, 1), (0, 0)),
    "tanh": ((-1, 1), (0, 0)),
    "hard_tanh": ((-1, 1), (0, 0)),
    "softsign": ((-1, 1), (0, 0)),
    "leaky_relu": ((-np.inf, np.inf), (0.01, 1)),
    "elu": ((-1, np.inf), (0, 1)),
    "selu": ((-1.7580993408473766, np.inf), (0, 1.0507009873554805)),
    "exp": ((0, LARGEST), (0, LARGEST)),
}
"""f and f' at −∞ and ∞; all others are like relu: 0 and ∞, with the slopes 0 and 1."""


def draw(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape) * 3


def draw_off_jumps(f: Activation, shape: tuple[int, ...]) -> np.ndarray:
    z = draw(shape)
    for jump in JUMPS.get(f.name, []):
        z[np.abs(z - jump) < 0.01] = 0.5
    return z


def scratch_for(f: Activation, z: np.ndarray) -> np.ndarray:
    return np.empty((SCRATCH, *z.shape) if isinstance(f, Elementwise) else (*z.shape[:-1], 1), z.dtype)


@EVERY
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pullback_is_adjoint_to_pushforward(f: Activation, shape: tuple[int, ...]) -> None:
    z = draw(shape)
    a = f.value(np, z)
    report = dot_test(
        lambda z_dot: f.pushforward(np, z_dot, z, a),
        lambda a_bar: f.pullback(np, a_bar, z, a),
        draw(shape, 1),
        draw(shape, 2),
    )
    assert report.passed, report


@EVERY
def test_pushforward_is_the_directional_derivative(f: Activation) -> None:
    z = draw_off_jumps(f, (9, 6))
    direction = draw((9, 6), 1)
    direction /= np.linalg.norm(direction)
    step = EPS ** (1 / 3)
    difference = (f.value(np, z + step * direction) - f.value(np, z - step * direction)) / (2 * step)
    # Rounding of f over the step, and |f'''|/6 ≤ 1 for all of them (softsign has the largest) times step². Of exp, both
    # are of the size of exp itself.
    tolerance = (EPS / step * (1 + np.abs(z).max()) + step**2) * (f.value(np, z).max() if f.name == "exp" else 1)
    np.testing.assert_allclose(f.pushforward(np, direction, z, f.value(np, z)), difference, rtol=0, atol=tolerance)


@EVERY
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [*SHAPES[:3], (2, 3, 4, 5)], ids=str)
def test_in_place_version_equals_the_formula(f: Activation, dtype: str, shape: tuple[int, ...]) -> None:
    z, a_bar = draw(shape).astype(dtype), draw(shape, 1).astype(dtype)
    z.flags.writeable = a_bar.flags.writeable = False
    a, z_bar, scratch = np.empty_like(z), np.empty_like(z), scratch_for(f, z)
    f.value_into(np, z, a, scratch)
    f.pullback_into(np, a_bar, z, a, z_bar, scratch)
    # A handful of roundings each; a softmax adds up shape[-1] terms.
    tolerance = (8 + shape[-1]) * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(a, f.value(np, z), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(z_bar, f.pullback(np, a_bar, z, a), rtol=tolerance, atol=20 * tolerance)
    assert a.dtype == z_bar.dtype == dtype


@EVERY
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_values_give_numbers_and_no_warning(f: Activation, dtype: str) -> None:
    z = np.array([[1e4, -1e4, 0.0, -0.0, np.finfo(dtype).smallest_subnormal, 88.0, -104.0]], dtype)
    a, slope, scratch = np.empty_like(z), np.empty_like(z), scratch_for(f, z)
    f.value_into(np, z, a, scratch)
    f.pullback_into(np, np.ones_like(z), z, a, slope, scratch)
    assert np.isfinite([a, slope, f.value(np, z), f.pullback(np, np.ones_like(z), z, a)]).all()
    if isinstance(f, Elementwise):
        assert np.isfinite(f.second_derivative(np, z, a)).all()


@EVERY
def test_nan_is_never_hidden(f: Activation) -> None:
    z = np.array([[np.nan, 1.0]])
    a, z_bar, scratch = np.empty_like(z), np.empty_like(z), scratch_for(f, z)
    f.value_into(np, z, a, scratch)
    f.pullback_into(np, np.ones_like(z), z, a, z_bar, scratch)
    assert np.isnan(a[0, 0])
    assert np.isnan(f.value(np, z)[0, 0])
    if f.name != "identity":  # whose derivative is 1 whatever z is
        assert np.isnan(z_bar[0, 0])
        assert np.isnan(f.pullback(np, np.ones_like(z), z, a)[0, 0])
        if isinstance(f, Elementwise):
            assert np.isnan(f.second_derivative(np, z, a)[0, 0])


@pytest.mark.parametrize("f", ELEMENTWISE.values(), ids=ELEMENTWISE)
def test_second_derivative_is_the_difference_of_the_first(f: Elementwise) -> None:
    z = draw_off_jumps(f, (9, 6))
    step = EPS ** (1 / 3)
    ahead, behind = (f.derivative(np, shifted, f.value(np, shifted)) for shifted in (z + step, z - step))
    got = f.second_derivative(np, z, f.value(np, z))
    # As above, one derivative higher: f' is rounded in a few places, and |f''''|/6 ≤ 4 (softsign again, 24/6).
    tolerance = (8 * EPS / step + 4 * step**2) * (f.value(np, z).max() if f.name == "exp" else 1)
    np.testing.assert_allclose(got, (ahead - behind) / (2 * step), rtol=0, atol=tolerance)
    assert got.shape == z.shape


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinity_gives_the_limits_and_no_warning(name: str, dtype: str) -> None:
    f, z = ELEMENTWISE[name], np.array([-np.inf, np.inf], dtype)
    a, slope, scratch = np.empty_like(z), np.empty_like(z), scratch_for(f, z)
    f.value_into(np, z, a, scratch)
    f.pullback_into(np, np.ones_like(z), z, a, slope, scratch)
    largest = float(np.exp(np.log(np.finfo(dtype).max).astype(np.float64) - 0.01))
    limits, slopes = LIMITS.get(name, ((0, np.inf), (0, 1)))
    # To a few roundings; the sigmoid stays above 0 by e/(largest number), and exp below it by a hundredth of it.
    close = 0.02 if limits[1] == LARGEST else 4 * float(np.finfo(dtype).eps)
    for got, expected in ((a, limits), (f.value(np, z), limits), (slope, slopes), (f.derivative(np, z, a), slopes)):
        wanted = [largest if limit == LARGEST else limit for limit in expected]
        np.testing.assert_allclose(got, wanted, rtol=close, atol=1e-37)
    assert not np.isnan(f.second_derivative(np, z, a)).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exp_stays_below_infinity(dtype: str) -> None:
    f, z = ELEMENTWISE["exp"], np.array([88.0, 1e4, np.inf], dtype)
    a = f.value(np, z)
    assert np.finfo(dtype).max * 0.99 < a[1] == a[2] < np.finfo(dtype).max
    assert a[0] == np.exp(z[0])
    np.testing.assert_array_equal(f.derivative(np, z, a), a)
