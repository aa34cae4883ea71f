"""Every version of the kernels gives what the reference formulas give on NumPy in float64, up to rounding."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pytest

from core.activations import ACTIVATIONS, Activation, Elementwise, Tanh
from core.arrays import Array, Namespace, Numbers
from core.averaging import RunningAverage
from core.backend import Backend
from core.kernels import InPlaceKernels, Kernels, ReferenceKernels, fused
from core.kernels.fused import FusedKernels
from core.kernels.inplace import BLOCK, NumpyKernels
from core.losses import LOSSES, LossScratch, device_dtype
from core.optimizers import ELEMENTWISE, ElementwiseOptimizer, Lion, RmsProp, Sgd, WeightDecay
from core.regularization import ClipValue, Penalty
from core.rule import Rule
from tests.core.kernel_ladder import (
    LAYOUT,
    LEADING,
    SAMPLES,
    SHAPES,
    agree,
    changeable,
    extreme,
    extremes,
    given,
    numbers,
    tolerance,
    unwritten,
)
from tests.core.losses.targets import targets_for

REFERENCE = ReferenceKernels(np)
RULES: list[ElementwiseOptimizer] = [
    *(rule() for rule in ELEMENTWISE.values()),
    Sgd(momentum=0.9),
    Sgd(momentum=0.9, nesterov=True),
    RmsProp(momentum=0.9, centered=True),
]
OTHER_RULES: list[tuple[Rule, tuple[float, ...]]] = [
    (WeightDecay(), (0.01,)),
    (Penalty(), (0.1, 0.3)),
    (ClipValue(), (0.5,)),
    (RunningAverage(), (0.2,)),
]
"""Rules that are no optimizers, each with numbers for a step."""
BUFFERS = [(0,), (1,), (255,), (BLOCK + 1,), (3, 257), (2, 3, 85)]
"""Shapes of flat buffers: of networks without parameters, and around a block of 256 threads or of `BLOCK` elements."""


def biases(backend: Backend, leading: tuple[int, ...], n: int) -> tuple[np.ndarray, Array]:
    """Return a bias on the host and on the device, where it is a view into a longer buffer, as in a network."""
    flat = numbers(backend, *leading, n + 5, seed=1)
    bias = flat[..., 2 : 2 + n].reshape(*leading, 1, n)
    on_device = backend.asarray(flat)[..., 2 : 2 + n]
    return bias, backend.xp.reshape(on_device, (*leading, 1, n), copy=False)


def scratch(backend: Backend, batch: tuple[int, ...], n: int) -> LossScratch:
    first = np.arange(np.prod(batch, dtype=int)).reshape(batch) * n
    return LossScratch(
        row=backend.empty((*batch, 1)),
        wide=backend.empty((*batch, n)),
        index=backend.empty(batch, "int64"),
        first=backend.asarray(first, "int64"),
    )


@pytest.mark.parametrize("version", [ReferenceKernels, InPlaceKernels, NumpyKernels, FusedKernels])
def test_every_version_has_the_signatures_of_the_seam(version: type) -> None:
    for name, function in inspect.getmembers(Kernels, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(version, name)) == inspect.signature(function), name


@LAYOUT
@pytest.mark.parametrize("draw", [numbers, extreme])
def test_matmul(kernel_backend: Backend, spread: bool, draw: Callable[..., np.ndarray]) -> None:
    for *leading, m, n in SHAPES:
        rows, columns = draw(kernel_backend, *leading, m, 9), draw(kernel_backend, *leading, n, 9)
        left, right = (given(kernel_backend, host, spread=spread) for host in (rows, columns))
        # x Θᵀ, and z̄ᵀ x, a sum over the samples
        for a, b, host_a, host_b in ((left, right.mT, rows, columns.mT), (left.mT, left, rows.mT, rows)):
            out = unwritten(kernel_backend, (*leading, a.shape[-2], b.shape[-1]), spread=spread)
            kernel_backend.kernels.matmul(a, b, out=out)
            bound = tolerance(kernel_backend, host_a.shape[-1], np.abs(host_a) @ np.abs(host_b))
            agree(kernel_backend, out, host_a @ host_b, bound, (leading, m, n))


def check_bias_activation(backend: Backend, f: Activation, shape: tuple[int, ...], with_bias: bool = True) -> None:
    """Assert that the kernel gives z + b and f(z + b)."""
    z = numbers(backend, *shape)
    bias, bias_on_device = biases(backend, shape[:-2], shape[-1]) if with_bias else (None, None)
    got_z, got_a, row = changeable(backend, z), backend.empty(shape), backend.empty((*shape[:-1], 1))
    backend.kernels.bias_activation(f, got_z, bias_on_device, got_a, row)
    a = np.empty(shape)
    REFERENCE.bias_activation(f, z, bias, a, np.empty(0))
    bound = tolerance(backend, shape[-1], np.abs(z).max(initial=1))
    agree(backend, got_z, z, bound, shape)
    # f passes on the rounding of z, times its slope; that is large only for exp.
    agree(backend, got_a, a, bound * np.abs(f.pullback(np, np.ones_like(z), z, a)).max(initial=1), shape)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("with_bias", [True, False])
def test_bias_activation(kernel_backend: Backend, name: str, with_bias: bool) -> None:
    for shape in SHAPES:
        check_bias_activation(kernel_backend, ACTIVATIONS[name], shape, with_bias)


@LAYOUT
@pytest.mark.parametrize("draw", [numbers, extreme])
def test_add_bias(kernel_backend: Backend, spread: bool, draw: Callable[..., np.ndarray]) -> None:
    for shape in SHAPES:
        z = draw(kernel_backend, *shape)
        bias, bias_on_device = biases(kernel_backend, shape[:-2], shape[-1])
        got = changeable(kernel_backend, z, spread=spread)
        kernel_backend.kernels.add_bias(got, bias_on_device)
        agree(kernel_backend, got, z + bias, tolerance(kernel_backend, 1, np.abs(z) + np.abs(bias)), shape)
        kernel_backend.kernels.add_bias(got, None)
        agree(kernel_backend, got, z + bias, tolerance(kernel_backend, 1, np.abs(z) + np.abs(bias)), shape)


def check_pullback(backend: Backend, f: Activation, shape: tuple[int, ...]) -> None:
    """Assert that the kernel gives ā ∘ f'(z), or what softmax has in its place."""
    reference = ACTIVATIONS[f.name]
    z, a_bar = numbers(backend, *shape), numbers(backend, *shape, seed=1)
    a = reference.value(np, z).astype(backend.dtype).astype(np.float64)
    z_bar, row = backend.empty(shape), backend.empty((*shape[:-1], 1))
    given = backend.asarray(a_bar), backend.asarray(z), backend.asarray(a)
    backend.kernels.activation_pullback(f, *given, z_bar, row)
    bound = tolerance(backend, shape[-1], np.abs(a_bar).max(axis=-1, keepdims=True))
    agree(backend, z_bar, reference.pullback(np, a_bar, z, a), bound, shape)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_pullback(kernel_backend: Backend, name: str) -> None:
    for shape in SHAPES:
        check_pullback(kernel_backend, ACTIVATIONS[name], shape)


def test_a_derivative_taken_at_a_instead_of_z_is_found(kernel_backend: Backend) -> None:
    class AtA(Tanh):
        cuda_derivative = "T(1) - tanh(a) * tanh(a)"

        def derivative(self, xp: Namespace, z: Array, a: Array) -> Array:
            return super().derivative(xp, a, xp.tanh(a))

        def derivative_into(self, xp: Namespace, z: Array, a: Array, out: Array, scratch: Array) -> None:
            super().derivative_into(xp, a, xp.tanh(a), out, scratch)

    # The stand-in knows the formulas of our own sources only, and says so.
    with pytest.raises((AssertionError, NotImplementedError), match=r"off by|its formula isn't known"):
        check_pullback(kernel_backend, AtA(), (7, 33))


@LAYOUT
@pytest.mark.parametrize("draw", [numbers, extreme])
def test_sum_samples(kernel_backend: Backend, spread: bool, draw: Callable[..., np.ndarray]) -> None:
    for shape in SHAPES:
        z_bar = draw(kernel_backend, *shape)
        flat = kernel_backend.empty((*shape[:-2], shape[-1] + 5))
        out = kernel_backend.xp.reshape(flat[..., 2 : 2 + shape[-1]], (*shape[:-2], 1, shape[-1]), copy=False)
        kernel_backend.kernels.sum_samples(given(kernel_backend, z_bar, spread=spread), out)
        bound = tolerance(kernel_backend, shape[-2], np.abs(z_bar).sum(axis=-2, keepdims=True))
        agree(kernel_backend, out, z_bar.sum(axis=-2, keepdims=True), bound, shape)


def on_loss(backend: Backend, name: str, u: np.ndarray, y: np.ndarray, j_bar: float) -> tuple[Array, Array]:
    """Return each sample's loss and ū, from the backend's kernel."""
    values, u_bar = backend.empty(u.shape[:-1]), backend.empty(u.shape)
    u_there, y_there = backend.asarray(u), backend.asarray(y, device_dtype(y))
    j_bars = backend.asarray(np.full((*u.shape[:-1], 1), j_bar))
    work = scratch(backend, u.shape[:-1], u.shape[-1])
    backend.kernels.loss(LOSSES[name], u_there, y_there, j_bars, values, u_bar, work)
    return values, u_bar


def check_loss(backend: Backend, name: str, shape: tuple[int, ...]) -> None:
    """Assert that the kernel gives each sample's loss and ū."""
    loss, u, j_bar = LOSSES[name], numbers(backend, *shape), 1 / max(shape[-2], 1)
    y = targets_for(loss, np.random.default_rng(2), shape)
    if not loss.takes_labels:
        y = y.astype(backend.dtype).astype(np.float64)
    values, u_bar = on_loss(backend, name, u, y, j_bar)
    expected = loss.value(np, u, y)
    scale = 1 + np.abs(u).sum(axis=-1) + expected
    agree(backend, values, expected, tolerance(backend, shape[-1], scale), shape)
    agree(
        backend, u_bar, loss.gradient(np, u, y, j_bar), tolerance(backend, shape[-1], j_bar * scale[..., None]), shape
    )


@pytest.mark.parametrize("name", LOSSES)
def test_loss(kernel_backend: Backend, name: str) -> None:
    for shape in SHAPES:
        check_loss(kernel_backend, name, shape)


@LAYOUT
@pytest.mark.parametrize("draw", [numbers, extreme])
def test_add_up(kernel_backend: Backend, spread: bool, draw: Callable[..., np.ndarray]) -> None:
    for leading, m in product(LEADING, SAMPLES):
        values, weights = (draw(kernel_backend, *leading, m, seed=seed) for seed in (0, 1))
        for w in (None, weights):
            terms = values if w is None else values * w
            total = changeable(kernel_backend, np.full(leading, 1000.0), "float64")
            on_device = None if w is None else given(kernel_backend, w, spread=spread)
            kernel_backend.kernels.add_up(changeable(kernel_backend, values, spread=spread), on_device, total)
            got = kernel_backend.to_host(total)
            assert got.dtype == np.float64
            bound = tolerance(kernel_backend, m, np.abs(terms).sum(axis=-1)) + 1000 * np.finfo(np.float64).eps
            assert (np.abs(got - 1000 - terms.sum(axis=-1)) <= bound).all()


@LAYOUT
@pytest.mark.parametrize("draw", [numbers, extreme])
def test_share(kernel_backend: Backend, spread: bool, draw: Callable[..., np.ndarray]) -> None:
    for leading, m in product(LEADING, SAMPLES):
        weights = np.abs(draw(kernel_backend, *leading, m)) + 0.125
        j_bar = unwritten(kernel_backend, (*leading, m, 1), spread=spread)
        kernel_backend.kernels.share(given(kernel_backend, weights, spread=spread), j_bar)
        expected = weights / weights.sum(axis=-1, keepdims=True)
        agree(kernel_backend, j_bar, expected[..., None], tolerance(kernel_backend, m, expected[..., None]), m)


@pytest.mark.parametrize("dtype", [None, "int64"])
def test_gather(kernel_backend: Backend, dtype: str | None) -> None:
    for leading, m in product(LEADING, SAMPLES):
        table = (100 * numbers(kernel_backend, 10, 3)).round()
        order = np.random.default_rng(3).integers(10, size=(*leading, 70))
        index = kernel_backend.asarray(order, "int64")[..., 5 : 5 + m]
        out = kernel_backend.empty((*leading, m, 3), dtype)
        kernel_backend.kernels.gather(kernel_backend.asarray(table, dtype), index, out=out)
        np.testing.assert_array_equal(kernel_backend.to_host(out), table[order[..., 5 : 5 + m]])


def check_steps(
    backend: Backend,
    rule: Rule,
    at_steps: Sequence[Numbers],
    start: list[np.ndarray],
    draw: Callable[..., np.ndarray] = numbers,
) -> None:
    """Assert that a step with each of the numbers `at_steps` gives the parameters and slots of the formula."""
    expected = [array.copy() for array in start]
    got = [changeable(backend, array) for array in expected]
    for step, at_step in enumerate(at_steps, start=1):
        g = draw(backend, *start[0].shape, seed=step)
        REFERENCE.elementwise_step(rule, expected[0], g, tuple(expected[1:]), at_step)
        there = tuple(backend.asarray(each) if isinstance(each, np.ndarray) else each for each in at_step)
        backend.kernels.elementwise_step(rule, got[0], backend.asarray(g), tuple(got[1:]), there)
    for array, value in zip(got, expected, strict=True):
        # A few steps of a dozen operations on numbers about 1; Adam's quotient keeps their relative precision.
        agree(backend, array, value, tolerance(backend, 20, np.abs(value).max(initial=0)), start[0].shape)


def check_optimizer_step(
    backend: Backend, rule: ElementwiseOptimizer, shape: tuple[int, ...], draw: Callable[..., np.ndarray] = numbers
) -> None:
    """Assert that three steps from fresh slots are those of the formula."""
    slots = [np.full(shape, rule.initial(slot)) for slot in rule.slots]
    at_steps = [rule.step_numbers(step, rule.learning_rate) for step in (1, 2, 3)]
    check_steps(backend, rule, at_steps, [numbers(backend, *shape), *slots], draw)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_optimizer_step(kernel_backend: Backend, rule: ElementwiseOptimizer) -> None:
    for shape in BUFFERS:
        check_optimizer_step(kernel_backend, rule, shape)


@pytest.mark.parametrize("rule", [rule for rule in RULES if not isinstance(rule, Lion)], ids=str)
def test_optimizer_step_at_extremes(kernel_backend: Backend, rule: ElementwiseOptimizer) -> None:
    """But for Lion, which goes by the sign of a mean: of two numbers that cancel but for their rounding."""
    check_optimizer_step(kernel_backend, rule, (257,), extreme)


@pytest.mark.parametrize(("rule", "at_step"), OTHER_RULES, ids=lambda given: getattr(given, "name", ""))
def test_elementwise_step(kernel_backend: Backend, rule: Rule, at_step: tuple[float, ...]) -> None:
    for shape in BUFFERS:
        slots = [numbers(kernel_backend, *shape, seed=5) for _ in rule.slots]
        check_steps(kernel_backend, rule, [at_step] * 2, [numbers(kernel_backend, *shape), *slots])


@pytest.mark.parametrize(("rule", "at_step"), OTHER_RULES, ids=lambda given: getattr(given, "name", ""))
def test_a_step_with_numbers_for_each_network(kernel_backend: Backend, rule: Rule, at_step: tuple[float, ...]) -> None:
    for shape in [(1, 1), (3, 257), (2, BLOCK + 1), (BLOCK // 5, 7)]:
        share = np.random.default_rng(6).uniform(0.5, 1, (shape[0], 1))
        own = tuple((share * each).astype(kernel_backend.dtype).astype(np.float64) for each in at_step)
        slots = [numbers(kernel_backend, *shape, seed=5) for _ in rule.slots]
        check_steps(kernel_backend, rule, [own] * 2, [numbers(kernel_backend, *shape), *slots])


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 1e25], ids=str)
def test_bound_norm(kernel_backend: Backend, scale: float) -> None:
    """Rows lie apart in a longer buffer, as a fleet's weights do; in float32 the square of 1e25 is infinite."""
    for shape in [(1,), (257,), (3, 257), (5, 4), (3, 5, 4), (2, 3, 5, 4)]:
        rows = numbers(kernel_backend, *shape) * scale
        rows = rows.astype(kernel_backend.dtype).astype(np.float64)
        flat, squares = (kernel_backend.zeros((*shape[:-1], shape[-1] + 3), dtype) for dtype in (None, "float64"))
        inner, squares = flat[..., 1 : 1 + shape[-1]], squares[..., 1 : 1 + shape[-1]]
        inner[...] = kernel_backend.asarray(rows)
        kernel_backend.kernels.bound_norm(inner, 0.25, squares)
        norm = np.sqrt((rows * rows).sum(axis=-1, keepdims=True))
        expected = np.where(norm > 0.25, rows * (0.25 / np.maximum(norm, 0.25)), rows)
        agree(kernel_backend, inner, expected, tolerance(kernel_backend, 4, 0.25), shape)
        np.testing.assert_array_equal(
            kernel_backend.to_host(inner)[(norm <= 0.25)[..., 0]], rows[(norm <= 0.25)[..., 0]]
        )


def test_a_norm_that_is_no_number_shows(kernel_backend: Backend) -> None:
    rows = changeable(kernel_backend, np.array([[1.0, np.nan], [3.0, 4.0]]))
    kernel_backend.kernels.bound_norm(rows, 1.0, kernel_backend.empty((2, 2), "float64"))
    assert np.isnan(kernel_backend.to_host(rows)).tolist() == [[True, True], [False, False]]


def test_a_grid_that_is_smaller_than_the_data(kernel_backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "MOST_BLOCKS", 1)
    check_bias_activation(kernel_backend, ACTIVATIONS["tanh"], (3, 64, 33))
    check_pullback(kernel_backend, ACTIVATIONS["tanh"], (3, 64, 33))
    check_loss(kernel_backend, "softmax_cross_entropy", (3, 64, 33))
    check_optimizer_step(kernel_backend, RULES[0], (3, 257))


@pytest.mark.parametrize("name", [name for name, f in ACTIVATIONS.items() if isinstance(f, Elementwise)])
def test_activations_at_extremes(kernel_backend: Backend, name: str) -> None:
    f, k, z = ACTIVATIONS[name], kernel_backend.kernels, extremes(kernel_backend)[None, :]
    if name == "exp":
        z[z == 1e4] = 80.0  # exp(1e4) is held near the dtype's own largest number (tests/core/activations)
    got_z, row = changeable(kernel_backend, z), kernel_backend.empty((1, 1))
    got_a, z_bar = kernel_backend.empty(z.shape), kernel_backend.empty(z.shape)
    k.bias_activation(f, got_z, None, got_a, row)
    k.activation_pullback(f, kernel_backend.asarray(np.ones_like(z)), got_z, got_a, z_bar, row)
    a = f.value(np, z)
    agree(kernel_backend, got_a, a, tolerance(kernel_backend, 1, np.abs(np.nan_to_num(a))))
    slope = f.pullback(np, np.ones_like(z), z, a)
    agree(kernel_backend, z_bar, slope, tolerance(kernel_backend, 1, np.fmax(1, slope)))


def test_softmax_at_extremes(kernel_backend: Backend) -> None:
    z = np.array([[1e4, -1e4, 0.0], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4], [-0.0, 0.0, np.nan]])
    a, row = kernel_backend.empty(z.shape), kernel_backend.empty((4, 1))
    kernel_backend.kernels.bias_activation(ACTIVATIONS["softmax"], changeable(kernel_backend, z), None, a, row)
    third, missing = [1 / 3] * 3, [np.nan] * 3
    agree(kernel_backend, a, np.array([[1, 0, 0], third, third, missing]), tolerance(kernel_backend, 3, 1.0))


@pytest.mark.parametrize("name", LOSSES)
def test_losses_at_extremes(kernel_backend: Backend, name: str) -> None:
    u = np.stack([extremes(kernel_backend), -extremes(kernel_backend), np.full(10, 1e4), np.full(10, -1e4)])
    u[0, -1] = 0.0  # only the second row has a NaN
    if LOSSES[name].output_activation == "exp":
        u = np.clip(u, -40, 40)  # exp(1e4) is held near the dtype's own largest number (tests/core/losses)
    y = np.array([7, 8, 0, 9]) if LOSSES[name].takes_labels else np.tile([0.0, 1.0], (4, 5))
    values, u_bar = on_loss(kernel_backend, name, u, y, 0.25)
    expected, gradient = LOSSES[name].value(np, u, y), LOSSES[name].gradient(np, u, y, 0.25)
    assert np.isnan(expected).tolist() == [False, True, False, False]
    agree(kernel_backend, values, expected, tolerance(kernel_backend, 10, np.nan_to_num(expected) + 1e4))
    agree(kernel_backend, u_bar, gradient, tolerance(kernel_backend, 10, np.abs(np.nan_to_num(gradient)) + 1))


@pytest.mark.parametrize("place", [0, 31, 32, 69])
def test_a_large_logit_is_seen_wherever_it_stands(kernel_backend: Backend, place: int) -> None:
    u, label = np.full((1, 70), -1e4), np.array([69 - place])
    u[0, place] = 1e4
    values, u_bar = on_loss(kernel_backend, "softmax_cross_entropy", u, label, 1.0)
    expected = np.zeros((1, 70))
    expected[0, place], expected[0, 69 - place] = 1, -1
    agree(kernel_backend, values, np.array([2e4]), tolerance(kernel_backend, 1, 2e4))
    agree(kernel_backend, u_bar, expected, tolerance(kernel_backend, 1, 1.0))
