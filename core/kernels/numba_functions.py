"""Operations that Numba compiles as they stand, for shapes where the calls of NumPy's would cost more than the work."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from core.kernels.counter import FIRST, GAMMA, SECOND

compiled: Any = njit(error_model="numpy", nogil=True, cache=True)

_GAMMA, _FIRST, _SECOND = np.uint64(GAMMA), np.uint64(FIRST), np.uint64(SECOND)


@compiled
def add_bias(z, bias):
    """Add bias `(K, 1, n)` to z `(K, m, n)`."""
    for k in range(z.shape[0]):
        for i in range(z.shape[1]):
            for j in range(z.shape[2]):
                z[k, i, j] += bias[k, 0, j]


@compiled
def sum_samples(z_bar, out):
    """Write Σ over the samples of z̄ `(K, m, n)` to `out` `(K, 1, n)`."""
    for k in range(z_bar.shape[0]):
        for j in range(z_bar.shape[2]):
            out[k, 0, j] = 0
        for i in range(z_bar.shape[1]):
            for j in range(z_bar.shape[2]):
                out[k, 0, j] += z_bar[k, i, j]


@compiled
def add_up(values, total):
    """Add Σ values over the last axis, `(K, m)`, to `total`, `(K,)`."""
    for k in range(values.shape[0]):
        found = np.float64(0)
        for i in range(values.shape[1]):
            found += values[k, i]
        total[k] += found


@compiled
def dropout_mask(seeds, stream, scale, first_dropped, mask):
    """Write `scale` where an element is kept, else 0, to the mask `(K, m·n)`; `seeds` is `(K,)`."""
    for k in range(mask.shape[0]):
        key = mixed(seeds[k] + stream)
        for i in range(mask.shape[1]):
            mask[k, i] = scale if mixed(key + np.uint64(i) * _GAMMA) < first_dropped else 0


@compiled
def mixed(z):
    """Return the mix of `core.kernels.counter` of one number."""
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


@compiled
def take_batch(x, y, order, x_batch, y_batch):
    """Write the samples and targets that `order` names one after the other to the flat `x_batch`, and to `y_batch`."""
    n = x.shape[1]
    for i in range(order.size):
        for j in range(n):
            x_batch[i * n + j] = x[order[i], j]
        y_batch[i] = y[order[i]]


@compiled
def forward_product(a_prev, theta, z, m):
    """Write z = a_prev Θᵀ; all are flat, for m samples."""
    n_in, n_out = a_prev.size // m, z.size // m
    np.dot(a_prev.reshape(m, n_in), theta.reshape(n_out, n_in).T, z.reshape(m, n_out))


@compiled
def backward_products(z_bar, a_prev, theta, theta_bar, a_prev_bar, m):
    """Write Θ̄ = z̄ᵀ a_prev, and ā_prev = z̄ Θ unless there is no room for it; all are flat, for m samples."""
    n_in, n_out = a_prev.size // m, z_bar.size // m
    rows = z_bar.reshape(m, n_out)
    np.dot(rows.T, a_prev.reshape(m, n_in), theta_bar.reshape(n_out, n_in))
    if a_prev_bar.size:
        np.dot(rows, theta.reshape(n_out, n_in), a_prev_bar.reshape(m, n_in))
