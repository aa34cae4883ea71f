"""What the tests of the kernels share: shapes, memory layouts, numbers, and how far apart two results may lie."""

from __future__ import annotations

import sys
from itertools import product
from typing import Any

import numpy as np
import pytest

from core.arrays import Array
from core.backend import Backend

LEADING, SAMPLES, UNITS = [(), (3,), (2, 3)], [0, 1, 7, 64], [1, 3, 33]
"""Leading axes of rank 0 to 2; no, one and many samples; units one, odd, and across a warp's 32 lanes."""

SHAPES = [
    (*leading, m, UNITS[(i + j) % len(UNITS)])
    for (i, leading), (j, m) in product(enumerate(LEADING), enumerate(SAMPLES))
]
"""Of leading axes, samples and units, every pair of any two."""

LAYOUT = pytest.mark.parametrize("spread", [False, True], ids=["contiguous", "with_gaps"])
"""For operations whose arrays may have any strides."""


def tolerance(backend: Backend, terms: int, scale: float | np.ndarray) -> float | np.ndarray:
    """Return how far apart two ways to compute one number may lie.

    A sum of n rounded products is off by at most n ε/2 Σ|terms| in any order (Higham, "Accuracy and Stability of
    Numerical Algorithms", 2002, section 3.1), for each of the two; 16 more ε cover exp, log and tanh, at most 2 ε each
    (CUDA C++ Programming Guide, "Mathematical Functions"), and the few operations around them. `scale` is the size of
    the terms. What is smaller than the smallest normal number may as well be 0.
    """
    info = np.finfo(backend.dtype)
    return (terms + 16) * float(info.eps) * scale + float(info.tiny)


def agree(backend: Backend, got: Array, expected: np.ndarray, bound: float | np.ndarray, what: object = "") -> None:
    """Assert that `got`, of the backend's dtype, is within `bound` of `expected`, and NaN just where it is."""
    host = backend.to_host(got)
    assert host.dtype == backend.dtype
    assert host.shape == expected.shape
    apart = np.where(np.isnan(expected) & np.isnan(host), 0, np.abs(host - expected))
    assert (apart <= bound).all(), f"{what}: off by {np.nanmax(apart)}, allowed is {np.min(bound)}\n{host}\n{expected}"


def numbers(backend: Backend, *shape: int, seed: int = 0) -> np.ndarray:
    """Return normally distributed float64 numbers that the backend's dtype holds exactly."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(backend.dtype).astype(np.float64)


def extreme(backend: Backend, *shape: int, seed: int = 0) -> np.ndarray:
    """Return zeros of both signs, the smallest numbers and large ones, at random places."""
    usual = extremes(backend)[:-1]
    return np.random.default_rng([seed, *shape]).choice(usual, shape).astype(backend.dtype).astype(np.float64)


def extremes(backend: Backend) -> np.ndarray:
    """Return zeros of both signs, the smallest numbers, large ones, and NaN, as the backend's device sees them."""
    info = np.finfo(backend.dtype)
    # CuPy compiles everything with -ftz=true, which makes 0 of float32's denormals: relu sees its kink there.
    flushes = backend.xp is sys.modules.get("cupy") and backend.dtype == np.float32
    denormal = 0.0 if flushes else float(info.smallest_subnormal) * 3
    tiny = float(info.tiny)
    return np.array([0.0, -0.0, denormal, -denormal, tiny, -tiny, 1.0, 1e4, -1e4, np.nan])


def given(backend: Backend, host: np.ndarray, dtype: str | None = None, *, spread: bool = False) -> Array:
    """Return `host` on the device for a kernel to read; with `spread` each element has gaps around it."""
    if not spread:
        return backend.asarray(host, dtype)
    buffer = np.zeros(_with_gaps(host.shape), host.dtype)
    buffer[_between_gaps(host.shape)] = host
    return backend.asarray(buffer, dtype)[_between_gaps(host.shape)]


def unwritten(backend: Backend, shape: tuple[int, ...], dtype: str | None = None, *, spread: bool = False) -> Array:
    """Return an array for a kernel to write to, likewise."""
    return backend.empty(_with_gaps(shape), dtype)[_between_gaps(shape)] if spread else backend.empty(shape, dtype)


def changeable(backend: Backend, host: np.ndarray, dtype: str | None = None, *, spread: bool = False) -> Array:
    """Return `host` on the device for a kernel to change, likewise."""
    array = unwritten(backend, host.shape, dtype, spread=spread)
    array[...] = backend.asarray(host, dtype)
    return array


def _with_gaps(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-2], *(2 * n + 1 for n in shape[-2:]))


def _between_gaps(shape: tuple[int, ...]) -> Any:
    return (..., *[slice(1, None, 2)] * len(shape[-2:]))
