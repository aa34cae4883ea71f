"""How a product is cut: into parts, which threads share, and these into tiles, of which each is one call of BLAS.

Both depend on the shapes alone, and on BLAS, but on no number of threads: so the numbers don't either.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

Cut: TypeAlias = tuple[int, int, int, int]
"""Rows and columns of a part, rows and columns of a tile."""

GRAIN = 2**18
"""Multiplications of a part, at least: some microseconds, of which a meeting of threads takes less than one."""
MOST_PARTS = 8
NARROW = 48
"""Rows or columns of a part, at least, where it is one call: of fewer BLAS makes slow work."""
SMALL = 10**6
"""Multiplications up to which OpenBLAS has kernels that copy nothing; on processors with AVX-512 they're the faster."""
SMALL_TURNED = 1200
"""Elements of c up to which these take c = a bᵀ."""
TILE = 32


def cuts(m: int, widths: Sequence[int], *, has_small_kernels: bool) -> np.ndarray:
    """Return the cuts of z = a_prev Θᵀ, ā_prev = z̄ Θ and Θ̄ = z̄ᵀ a_prev of each layer for m samples, `(layers, 3, 4)`.

    Θ̄ is cut into whole rows, behind which the optimizer can go on with one stretch of the parameters.

    >>> cuts(32, [4, 3], has_small_kernels=True)[0, 0]
    array([32,  3, 32,  3])
    """

    def of_layer(n_in: int, n_out: int) -> list[Cut]:
        tiles = [_turned_tile(n_in), _tile(m, n_in, n_out, 512), _tile(n_out, n_in, m, 256)]
        z, a_bar, theta_bar = tiles if has_small_kernels else [None] * 3
        return [_cut(m, n_out, n_in, z), _cut(m, n_in, n_out, a_bar), _cut(n_out, n_in, m, theta_bar, whole_rows=True)]

    return np.array([of_layer(n_in, n_out) for n_in, n_out in pairwise(widths)])


def most_parts(cut: np.ndarray, m: int, widths: Sequence[int]) -> int:
    """Return how many parts the product has that is cut into the most: more threads than that have nothing to do."""
    of = [[(m, n_out), (m, n_in), (n_out, n_in)] for n_in, n_out in pairwise(widths)]
    return int(np.ceil(np.array(of) / cut[..., :2]).prod(axis=-1).max())


def _turned_tile(k: int) -> tuple[int, int] | None:
    """Return the tile of c = a bᵀ for OpenBLAS's small kernels; None where the others are the faster."""
    return (TILE, SMALL_TURNED // TILE // 16 * 16) if 96 <= k <= SMALL // SMALL_TURNED else None


def _tile(m: int, n: int, k: int, most: int) -> tuple[int, int] | None:
    """Return the tile of c = a b or aᵀ b, likewise, for products of up to `most` terms."""
    if m * n * k <= SMALL:
        return m, n
    rows = TILE if k <= 256 else TILE // 2
    return (rows, min(256, SMALL // (rows * k) // TILE * TILE)) if k <= most else None


def _cut(m: int, n: int, k: int, tile: tuple[int, int] | None, *, whole_rows: bool = False) -> Cut:
    most = _power_of_2(min(MOST_PARTS, m * n * k // GRAIN))
    by_rows = min(most, _power_of_2(m // (NARROW if tile is None else TILE)))
    by_columns = 1 if whole_rows else min(most, _power_of_2(n // NARROW))
    if tile is not None:
        by_columns = min(by_columns, most // by_rows)
    elif by_columns >= by_rows:
        by_rows = 1
    else:
        by_columns = 1
    part = _whole_vectors(-(-m // by_rows), m), _whole_vectors(-(-n // by_columns), n)
    return (*part, *(part if tile is None else tile))


def _whole_vectors(size: int, of: int) -> int:
    return min(of, -(-size // 16) * 16)


def _power_of_2(most: int) -> int:
    """Return the largest power of 2 up to `most`, of at least 1."""
    return 1 << max(0, most.bit_length() - 1)
