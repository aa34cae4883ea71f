"""Operations that Numba compiles as they stand, for shapes where the calls of NumPy's would cost more than the work."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numba.np.numpy_support import carray

from core.kernels.addresses import pointer
from core.kernels.counter import FIRST, GAMMA, SECOND, WRAP

compiled: Any = njit(error_model="numpy", nogil=True, cache=True)

_GAMMA, _FIRST, _SECOND, _WRAP = np.uint64(GAMMA), np.uint64(FIRST), np.uint64(SECOND), float(WRAP)


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
    """Write the samples and targets that `order` names one after the other to the flat `x_batch` and `y_batch`.

    Args:
        x, y: where the table begins, the bytes from a row to the next, and how many elements of `x_batch` or `y_batch`
            are in a row, which lies in one piece. So this is compiled once, and not for each type of targets, and not
            again for tables whose rows lie apart or that can't be written to.
        order: of the rows.
        x_batch, y_batch: memory; that of the targets counts in four bytes, whatever they are.
    """
    _take_rows(x, order, x_batch)
    _take_rows(y, order, y_batch)


@compiled
def _take_rows(table, order, batch):
    at, row, n = table
    if n == 2:  # labels, most likely, for which the loops below take twice as long
        for i in range(order.size):
            found = carray(pointer(at + order[i] * row, batch), 2)
            batch[2 * i], batch[2 * i + 1] = found[0], found[1]
        return
    for i in range(order.size):
        found, place = carray(pointer(at + order[i] * row, batch), n), batch[i * n : (i + 1) * n]
        for j in range(n):
            place[j] = found[j]


@compiled
def add_bias_to(z, corner, row, m, bias):
    """Add the bias to `m` rows of a part of a matrix that lies row by row in z, as in `core.kernels.loops`."""
    n = bias.size
    for i in range(m):
        z_i = z[corner + i * row : corner + i * row + n]
        for j in range(n):
            z_i[j] += bias[j]


@compiled
def sum_rows(bar, row, m, out):
    """Write Σ over `m` rows of such a part, which begins where `bar` does, to `out`."""
    out[:] = 0
    for i in range(m):
        bar_i = bar[i * row : i * row + out.size]
        for j in range(out.size):
            out[j] += bar_i[j]


@compiled
def decay(p, share):
    """Take `share` of each weight from it, as `core.optimizers.weight_decay` does."""
    own = p.dtype.type(share)
    for i in range(p.size):
        p[i] -= own * p[i]


@compiled
def drop(a, corner, row, m, n, first, stream, keep, mask, dropped):
    """Write the mask of `dropout_mask`, from its element `first` on, and a ∘ mask, of such a part."""
    key, scale, first_dropped = mixed(np.uint64(stream)), a.dtype.type(1 / keep), np.uint64(keep * _WRAP)
    for i in range(m):
        start, element = corner + i * row, np.uint64(first + i * row)
        a_i, mask_i, dropped_i = a[start : start + n], mask[start : start + n], dropped[start : start + n]
        for j in range(n):
            mask_i[j] = scale if mixed(key + (element + np.uint64(j)) * _GAMMA) < first_dropped else 0
            dropped_i[j] = a_i[j] * mask_i[j]


@compiled
def multiply(bar, mask, corner, row, m, n):
    """Multiply such a part of `bar` by that of `mask`, in place."""
    for i in range(m):
        start = corner + i * row
        bar_i, mask_i = bar[start : start + n], mask[start : start + n]
        for j in range(n):
            bar_i[j] *= mask_i[j]
