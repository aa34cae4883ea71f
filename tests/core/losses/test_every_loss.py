"""The ladder that every loss climbs: finite differences, 1/m, in-place version, extreme values, targets refused."""

from __future__ import annotations

import numpy as np
import pytest

from core import LOSSES
from core.losses import (
    BinaryCrossEntropy,
    BinaryFocal,
    Huber,
    Loss,
    LossScratch,
    Quantile,
    SoftmaxCrossEntropy,
    SoftmaxFocal,
    Tweedie,
)
from core.losses.loss import PIECE
from tests.core.losses.targets import targets_for

EPS = np.finfo(np.float64).eps
OTHERS = [
    Huber(0.3),
    Quantile(0.9),
    SoftmaxCrossEntropy(smoothing=0.2),
    BinaryCrossEntropy(smoothing=0.2),
    *(make(gamma) for make in (SoftmaxFocal, BinaryFocal) for gamma in (0.0, 0.5, 1.0)),
    Tweedie(1.1),
]
EVERY = pytest.mark.parametrize("loss", [*LOSSES.values(), *OTHERS], ids=repr)
SHAPES = [(7, 5), (1, 1), (3, 4, 2), (0, 3)]


def draw(loss: Loss, shape: tuple[int, ...], dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    """Return u and targets y for it."""
    rng = np.random.default_rng(0)
    u = (3 * rng.standard_normal(shape)).astype(dtype)
    y = targets_for(loss, rng, shape)
    return u, y if loss.takes_labels else y.astype(dtype)


def probabilities(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    drawn = np.random.default_rng(3).random(shape)
    return (drawn / drawn.sum(axis=-1, keepdims=True)).astype(dtype)


def in_place(loss: Loss, u: np.ndarray, y: np.ndarray, j_bar: float) -> tuple[np.ndarray, np.ndarray]:
    batch, n = u.shape[:-1], u.shape[-1]
    first = np.arange(u.size // n).reshape(batch) * n
    scratch = LossScratch(np.empty((*batch, 1), u.dtype), np.empty_like(u), np.empty(batch, np.int64), first)
    values, u_bar, j_bars = np.empty(batch, u.dtype), np.empty_like(u), np.full((*batch, 1), j_bar, u.dtype)
    loss.value_and_gradient_into(np, u, y, j_bars, values, u_bar, scratch)
    return values, u_bar


def check_derivatives(loss: Loss, u: np.ndarray, y: np.ndarray) -> None:
    """Assert that the gradient is J's directional derivative, and its tangent that of the gradient."""
    direction = np.random.default_rng(1).standard_normal(u.shape)
    direction /= np.linalg.norm(direction)
    step, j_bar = EPS ** (1 / 3), 1 / u.shape[-2]
    ahead, behind = (j_bar * loss.value(np, u + shift * direction, y).sum() for shift in (step, -step))
    expected = (ahead - behind) / (2 * step)
    # Rounding of J over the step, and step² times a third derivative; an exp's derivatives are as large as it is.
    bound = 10 * max(1.0, abs(ahead)) * (EPS / step + step**2)
    assert (loss.gradient(np, u, y, j_bar) * direction).sum() == pytest.approx(expected, abs=bound)
    ahead, behind = (loss.gradient(np, u + shift * direction, y, j_bar) for shift in (step, -step))
    bent = loss.gradient_tangent(np, u, y, direction, j_bar)
    bound = 10 * max(1.0, np.abs(ahead).max()) * (EPS / step + step**2)
    np.testing.assert_allclose(bent, (ahead - behind) / (2 * step), rtol=0, atol=bound)


@EVERY
@pytest.mark.parametrize("shape", SHAPES[:3], ids=str)
def test_gradient_and_its_tangent_are_directional_derivatives(loss: Loss, shape: tuple[int, ...]) -> None:
    check_derivatives(loss, *draw(loss, shape))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradient_for_probabilities_is_the_directional_derivative(smoothing: float) -> None:
    for shape in SHAPES[:3]:
        loss = SoftmaxCrossEntropy(smoothing)
        check_derivatives(loss, draw(loss, shape)[0], probabilities(shape))


def check_in_place(loss: Loss, u: np.ndarray, y: np.ndarray) -> None:
    u.flags.writeable = y.flags.writeable = False
    values, u_bar = in_place(loss, u, y, 0.25)
    # A sum of n terms, each of a few operations; an exp is as exact as its argument, |u| ε.
    tolerance = (8 + u.shape[-1] + np.abs(u).max(initial=0)) * float(np.finfo(u.dtype).eps)
    expected = loss.value(np, u, y)
    np.testing.assert_allclose(values, expected, rtol=tolerance, atol=tolerance * (1 + np.abs(u).max(initial=0)))
    np.testing.assert_allclose(u_bar, loss.gradient(np, u, y, 0.25), rtol=tolerance, atol=tolerance)


@EVERY
@pytest.mark.parametrize("shape", [*SHAPES, (PIECE // 2 + 1, 3)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_in_place_version_equals_the_formula(loss: Loss, shape: tuple[int, ...], dtype: str) -> None:
    u, y = draw(loss, shape, dtype)
    check_in_place(loss, u, y)
    if isinstance(loss, SoftmaxCrossEntropy):
        check_in_place(loss, u, probabilities(shape, dtype))


@EVERY
def test_j_bar_enters_once(loss: Loss) -> None:
    """The gradient is J̄ times that for J̄ = 1, and each sample's part of it knows nothing of the others."""
    u, y = draw(loss, (6, 4))
    j_bar = np.arange(1.0, 7.0)[:, None]
    whole = loss.gradient(np, u, y, j_bar)
    alone = [loss.gradient(np, u[k : k + 1], y[k : k + 1], 1.0) for k in range(6)]
    np.testing.assert_allclose(whole, np.concatenate(alone) * j_bar, rtol=4 * EPS, atol=EPS)


@EVERY
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_outputs_give_numbers_and_no_warning(loss: Loss, dtype: str) -> None:
    u = np.array([[1e4, -1e4], [-1e4, 1e4], [0.0, -0.0]], dtype)
    y = np.array([1, 1, 0]) if loss.takes_labels else np.array([[0, 1], [0, 1], [1, 0]], dtype)
    for values, u_bar in (in_place(loss, u, y, 1.0), (loss.value(np, u, y), loss.gradient(np, u, y, 1.0))):
        assert np.isfinite(values).all()
        assert np.isfinite(u_bar).all()
    assert np.isfinite(loss.gradient_tangent(np, u, y, np.ones_like(u), 1.0)).all()


@EVERY
@pytest.mark.parametrize(
    ("y", "says"),
    [
        (np.array(["a", "b"]), "dtype"),
        (np.array([[[1.0]]]), "shape"),
        (np.array([np.nan, 0.0]), "finite|integer"),
        (np.array([5, -1]), "finite numbers from 0 to 1|labels from 0 to 1|shape"),
    ],
)
def test_targets_that_do_not_fit_are_refused_with_the_reason(loss: Loss, y: np.ndarray, says: str) -> None:
    outputs = 2 if loss.takes_labels or says.endswith("shape") else 1
    with pytest.raises(ValueError, match=rf"^y: {loss.name}.*({says})"):
        loss.targets(y, outputs)


@pytest.mark.parametrize(
    ("name", "y", "says"),
    [
        ("binary_cross_entropy", [0.5, 1.5], "from 0 to 1, but row 1 is"),
        ("binary_focal", [0.0, 0.5], "each of them 0 or 1, but row 1 is"),
        ("hinge", [-1, 0], "either −1 and 1 or 0 and 1, but row 1 is"),
        ("poisson", [0, -1], "≥ 0, but row 1 is"),
        ("gamma", [1, 0], "> 0, but row 1 is"),
        ("tweedie", [0, -1], "≥ 0, but row 1 is"),
    ],
)
def test_numbers_outside_of_a_losss_range_are_refused(name: str, y: list[float], says: str) -> None:
    with pytest.raises(ValueError, match=f"^y: {name} takes finite numbers.*{says}"):
        LOSSES[name].targets(y, 1)


def test_probabilities_must_have_the_sum_1_and_get_it_exactly() -> None:
    loss = LOSSES["softmax_cross_entropy"]
    with pytest.raises(ValueError, match="whose sum is 1 in each row, but row 1 is"):
        loss.targets([[0.5, 0.5], [0.5, 0.6]], 2)
    with pytest.raises(ValueError, match="≥ 0, but row 0 is"):
        loss.targets([[1.5, -0.5]], 2)
    thirds = np.full((1, 3), 1 / 3, np.float32)
    np.testing.assert_allclose(loss.targets(thirds, 3).sum(), 1, rtol=2 * EPS)


def test_targets_of_minus_1_are_those_of_0() -> None:
    np.testing.assert_array_equal(LOSSES["hinge"].targets([-1, 1, 1], 1), [[0], [1], [1]])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Huber(0), "delta: 0 is not allowed; it must be > 0"),
        (lambda: Huber(np.inf), "delta: inf"),
        (lambda: Quantile(1), "level: 1 is not allowed; it must be > 0 and < 1"),
        (lambda: BinaryFocal(-1), "gamma: -1 is not allowed; it must be ≥ 0"),
        (lambda: SoftmaxFocal(np.nan), "gamma: nan"),
        (lambda: Tweedie(2), "power: 2 is not allowed; it must be > 1 and < 2"),
        (lambda: SoftmaxCrossEntropy(1), "smoothing: 1 is not allowed; it must be ≥ 0 and < 1"),
        (lambda: BinaryCrossEntropy(-0.1), "smoothing: -0.1"),
    ],
)
def test_a_number_that_is_not_allowed_is_refused_when_the_loss_is_made(make: type, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
