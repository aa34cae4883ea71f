"""How products are cut into the parts that threads share, and into the blocks that a part is made in.

The parts depend on the shapes alone; the blocks on the size of caches.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

GRAIN = 2**18
"""Multiplications of a part, at least: some microseconds, of which a meeting of threads takes less than one."""
MOST_PARTS = 8
NARROW, LOW = 32, 16
"""Columns and rows of a part, at least: in fewer, what is made ready for them is hardly used."""
DEEP, WIDE = 512, 240
"""Rows and columns of a block of b, which with the elements' 4 bytes is half a megabyte: it stays in the second cache.

240 is whole tiles, whatever a vector's width.
"""
WHOLE = 16
"""Elements of the widest vector."""


def cuts(m: int, widths: Sequence[int]) -> np.ndarray:
    """Return the rows and columns of a part of z = a_prev Θᵀ, ā_prev = z̄ Θ and Θ̄ = z̄ᵀ a_prev, `(layers, 3, 2)`.

    They are those of each layer for m samples. Θ̄ is cut into whole rows, behind which the optimizer can go on with one
    stretch of the parameters.

    >>> cuts(128, [784, 256])[0]
    array([[128,  32],
           [128, 112],
           [ 32, 784]])
    """
    return np.array(
        [
            [_part(m, n_out, n_in), _part(m, n_in, n_out), _part(n_out, n_in, m, whole_rows=True)]
            for n_in, n_out in pairwise(widths)
        ]
    )


def most_parts(cut: np.ndarray, m: int, widths: Sequence[int]) -> int:
    """Return how many parts the product has that is cut into the most: more threads than that have nothing to do."""
    of = [[(m, n_out), (m, n_in), (n_out, n_in)] for n_in, n_out in pairwise(widths)]
    return int(np.ceil(np.array(of) / cut).prod(axis=-1).max())


def packed_size(m: int, widths: Sequence[int]) -> int:
    """Return the elements of a packed block of the largest of these products, with room to begin where a vector can."""
    sizes = [(n_in, n_out) for n_in, n_out in pairwise(widths)]
    products = [pair for n_in, n_out in sizes for pair in ((n_in, n_out), (n_out, n_in), (m, n_in))]
    return WHOLE + max(min(k, DEEP) * _whole(min(n, WIDE)) for k, n in products)


def _part(m: int, n: int, k: int, *, whole_rows: bool = False) -> tuple[int, int]:
    most = _power_of_2(min(MOST_PARTS, m * n * k // GRAIN))
    # By columns first: then each part of b is packed once.
    by_columns = 1 if whole_rows else min(most, _power_of_2(n // NARROW))
    by_rows = min(most // by_columns, _power_of_2(m // LOW))
    return min(m, _whole(-(-m // by_rows))), min(n, _whole(-(-n // by_columns)))


def _whole(size: int) -> int:
    return -(-size // WHOLE) * WHOLE


def _power_of_2(most: int) -> int:
    """Return the largest power of 2 up to `most`, of at least 1."""
    return 1 << max(0, most.bit_length() - 1)
