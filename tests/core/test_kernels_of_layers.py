"""The operations of the layers other than dense ones: every version gives what definitions written out here give.

Most arrays may have any strides, so each is tried on contiguous ones and on such as have gaps around every element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from core.arrays import Array
from core.backend import Backend
from core.kernels import ReferenceKernels
from tests.core.kernel_ladder import (
    LAYOUT,
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

Draw = Callable[..., np.ndarray]

DRAW = pytest.mark.parametrize("draw", [numbers, extreme])


class Place:
    """Arrays on a backend in one memory layout."""

    def __init__(self, backend: Backend, spread: bool) -> None:
        self.backend, self.spread, self.kernels = backend, spread, backend.kernels

    def given(self, *hosts: np.ndarray) -> list[Array]:
        return [given(self.backend, host, spread=self.spread) for host in hosts]

    def changeable(self, host: np.ndarray) -> Array:
        return changeable(self.backend, host, spread=self.spread)

    def unwritten(self, *shapes: tuple[int, ...]) -> list[Array]:
        return [unwritten(self.backend, shape, spread=self.spread) for shape in shapes]


@pytest.fixture
def place(kernel_backend: Backend, spread: bool) -> Place:
    return Place(kernel_backend, spread)


@LAYOUT
@DRAW
def test_multiply_and_add(place: Place, draw: Draw) -> None:
    for shape in SHAPES:
        for partner in (shape, (*shape[:-2], 1, shape[-1]), (*shape[:-1], 1)):
            left, right = draw(place.backend, *shape), draw(place.backend, *partner, seed=1)
            arrays, (product, total) = place.given(left, right), place.unwritten(shape, shape)
            place.kernels.multiply(*arrays, out=product)
            place.kernels.add(*arrays, out=total)
            agree(place.backend, product, left * right, tolerance(place.backend, 1, np.abs(left * right)), shape)
            size = np.abs(left) + np.abs(right)
            agree(place.backend, total, left + right, tolerance(place.backend, 1, size), shape)


def moments_of(x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    return x.mean(axis=axis, keepdims=True), x.var(axis=axis, keepdims=True)


def along_axes() -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield each shape with the axes along which it has elements."""
    yield from ((shape, axis) for shape in SHAPES for axis in (-1, -2) if shape[axis])


@LAYOUT
@DRAW
def test_moments(place: Place, draw: Draw) -> None:
    for shape, axis in along_axes():
        x = draw(place.backend, *shape)
        mean, variance = moments_of(x, axis)
        (there,), (got_mean, got_variance, scratch) = place.given(x), place.unwritten(mean.shape, mean.shape, shape)
        place.kernels.moments(there, axis, got_mean, got_variance, scratch)
        largest = np.abs(x).max(initial=0)
        agree(place.backend, got_mean, mean, tolerance(place.backend, shape[axis], largest), shape)
        # Each deviation from the mean is off by the rounding of numbers up to the largest, and is then squared.
        agree(place.backend, got_variance, variance, tolerance(place.backend, shape[axis], 4 * largest**2), shape)


@LAYOUT
@DRAW
def test_standardize(place: Place, draw: Draw) -> None:
    for shape, axis in along_axes():
        x, epsilon = draw(place.backend, *shape), 0.125
        narrow = moments_of(x, axis)[0].shape
        mean, variance = numbers(place.backend, *narrow, seed=1), np.abs(draw(place.backend, *narrow, seed=2))
        (inverse, x_hat), (there, *given_moments) = place.unwritten(narrow, shape), place.given(x, mean, variance)
        place.kernels.standardize(there, given_moments[0], given_moments[1], epsilon, inverse, x_hat)
        expected = 1 / np.sqrt(variance + epsilon)
        agree(place.backend, inverse, expected, tolerance(place.backend, 1, expected), shape)
        bound = tolerance(place.backend, 1, (np.abs(x) + np.abs(mean)) * expected)
        agree(place.backend, x_hat, (x - mean) * expected, bound, shape)


@LAYOUT
@DRAW
def test_standardize_pullback(place: Place, draw: Draw) -> None:
    for shape, axis in along_axes():
        g, x_hat = draw(place.backend, *shape), numbers(place.backend, *shape, seed=1)
        narrow = moments_of(g, axis)[0].shape
        inverse = np.abs(numbers(place.backend, *narrow, seed=2))
        (x_bar, *scratch), (hat, s) = place.unwritten(shape, narrow, narrow), place.given(x_hat, inverse)
        place.kernels.standardize_pullback(place.changeable(g), hat, s, axis, x_bar, scratch[0], scratch[1])

        def mean(v: np.ndarray, axis: int = axis) -> np.ndarray:
            return v.mean(axis=axis, keepdims=True)

        expected = inverse * (g - mean(g) - x_hat * mean(g * x_hat))
        scale = inverse * (np.abs(g) + mean(np.abs(g)) + np.abs(x_hat) * mean(np.abs(g * x_hat)))
        agree(place.backend, x_bar, expected, tolerance(place.backend, shape[axis], scale), shape)


@LAYOUT
@DRAW
def test_blend(place: Place, draw: Draw) -> None:
    for shape in SHAPES:
        running, new = (draw(place.backend, *shape, seed=seed) for seed in (0, 1))
        got = place.changeable(running)
        place.kernels.blend(got, place.changeable(new), 0.25, 1.5)
        bound = tolerance(place.backend, 2, np.abs(running) + np.abs(new))
        agree(place.backend, got, 0.75 * running + 0.375 * new, bound, shape)


@LAYOUT
def test_dropout_mask(place: Place) -> None:
    reference = ReferenceKernels(np)
    for *leading, m, n in SHAPES:
        backend, shape, spread = place.backend, (*leading, m, n), place.spread
        seeds = np.arange(np.prod(leading, dtype=int), dtype=np.uint64).reshape(*leading, 1, 1)
        counter, stream = np.arange(m * n, dtype=np.uint64).reshape(m, n), 2**64 - 5
        mask, expected = backend.empty(shape), np.empty(shape)
        bits, scratch = (backend.empty(shape, "uint64") for _ in range(2))
        keys, counts = (given(backend, host, "uint64", spread=spread) for host in (seeds, counter))
        place.kernels.dropout_mask(keys, stream, 0.75, counts, bits, scratch, mask)
        reference.dropout_mask(seeds, stream, 0.75, counter, np.empty(0), np.empty(0), expected)
        agree(backend, mask, expected, tolerance(backend, 1, 1.0), shape)


def check_prelu(place: Place, z: np.ndarray) -> None:
    backend, shape = place.backend, z.shape
    slope, a_bar = numbers(backend, *shape[:-2], 1, shape[-1], seed=1), numbers(backend, *shape, seed=2)
    there, s, bar = place.given(z, slope, a_bar)
    a, scratch, z_bar, terms = place.unwritten(*[shape] * 4)
    place.kernels.prelu(there, s, a, scratch)
    bound = tolerance(backend, 1, np.abs(np.nan_to_num(z)) * np.maximum(1, np.abs(slope)))
    agree(backend, a, np.where(z > 0, z, slope * z), bound, shape)
    place.kernels.prelu_pullback(bar, there, s, z_bar, terms)
    expected = np.where(z > 0, a_bar, slope * a_bar) + np.where(np.isnan(z), z, 0)
    agree(backend, z_bar, expected, tolerance(backend, 1, np.abs(np.nan_to_num(expected))), shape)
    below = np.where(z > 0, 0, z) * a_bar
    agree(backend, terms, below, tolerance(backend, 1, np.abs(np.nan_to_num(below))), shape)
    (alone,) = place.unwritten(shape)
    place.kernels.prelu_pullback(bar, there, s, None, alone)
    np.testing.assert_array_equal(backend.to_host(alone), backend.to_host(terms))


@LAYOUT
def test_prelu(place: Place) -> None:
    for shape in SHAPES:
        check_prelu(place, numbers(place.backend, *shape))
    check_prelu(place, extremes(place.backend)[None, :])


def check_maxout(place: Place, groups: np.ndarray) -> None:
    """Assert that the kernel finds the largest along the last axis of `groups`, `(…, m, n_out, pieces)`."""
    backend, pieces = place.backend, groups.shape[-1]
    x = groups.reshape(*groups.shape[:-2], groups.shape[-2] * pieces)
    a, scratch, mask = place.unwritten(groups.shape[:-1], groups.shape[:-1], x.shape)
    place.kernels.maxout(place.given(x)[0], pieces, a, mask, scratch)
    largest = groups.max(axis=-1)
    first = np.where(np.isnan(largest[..., None]), np.nan, np.eye(pieces)[groups.argmax(axis=-1)])
    for array, expected in ((a, largest), (mask, first.reshape(x.shape))):
        assert array.dtype == mask.dtype
        np.testing.assert_array_equal(backend.to_host(array), expected)


@LAYOUT
@pytest.mark.parametrize("pieces", [2, 3, 5])
def test_maxout(place: Place, pieces: int) -> None:
    for shape in SHAPES:
        check_maxout(place, numbers(place.backend, *shape, pieces))
        check_maxout(place, numbers(place.backend, *shape, pieces).round())  # with ties
        check_maxout(place, extreme(place.backend, *shape, pieces))
    with_nan = np.array([[[np.nan, 1.0], [1.0, np.nan], [-np.inf, -np.inf], [np.inf, np.inf], [np.nan, np.inf]]])
    check_maxout(place, with_nan)


@LAYOUT
def test_a_sample_of_large_numbers_tiny_ones_or_nan_is_standardised_by_itself(place: Place) -> None:
    tiny, smallest = float(np.finfo(place.backend.dtype).tiny), float(np.finfo(place.backend.dtype).smallest_subnormal)
    x = np.array([[1e4, -1e4, 0.0, 1e4], [1e4] * 4, [smallest, -smallest, tiny, 0.0], [0.0, np.nan, 1.0, 1.0]])
    mean, variance, inverse, x_hat, scratch = place.unwritten((4, 1), (4, 1), (4, 1), x.shape, x.shape)
    there = place.given(x)[0]
    place.kernels.moments(there, -1, mean, variance, scratch)
    place.kernels.standardize(there, mean, variance, 1e-5, inverse, x_hat)
    expected = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    # Deviations are off by a rounding of 1e4 where the variance is large, and by none where it is small.
    agree(place.backend, x_hat, expected, tolerance(place.backend, 4, 2.0))
