"""How products are cut into the parts that threads share, and into the blocks that a part is made in.

Neither changes a number: each is the same sum, whatever part and block it lies in. What they do change is which core
has what in its cache. To write to a line that another core has read takes tens of nanoseconds (30 to 65 on an AMD EPYC,
one line after the other, and no prefetch hides it), which is more than it takes to compute what is in it. So a sample's
rows stay with one thread on the way forward and back, and so do those of the first Θ, which is often the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

GRAIN = 2**18
"""Multiplications of a part, at least: some microseconds, of which a meeting of threads takes less than one."""
MOST_PARTS, LARGE = 8, 2**18
"""There are more parts than threads where these would have more numbers than that: what is done with a part then, such
as f(z), finds it in the cache. More than eight aren't worth it, as each packs for itself."""
NARROW, LOW, HIGH = 32, 16, 48
"""Columns and rows of a part, at least: in fewer, what is made ready for them is hardly used. Where there may be parts
of fewer rows, but also of fewer columns, they have at least `HIGH`, as each packs all of b."""
DEEP, WIDE = 512, 240
"""Rows and columns of a block of b, which with the elements' 4 bytes is half a megabyte: it stays in the second cache.

240 is whole tiles, whatever a vector's width.
"""
FEW = 128
"""Rows of a up to which b is read where it lies: with more, packing it, which has it all in order, takes less time."""
WHOLE, ROWS = 16, 8
"""Elements of the widest vector, and rows of the highest tile."""


def cuts(m: int, widths: Sequence[int], threads: int) -> np.ndarray:
    """Return the rows and columns of a part of z = a_prev Θᵀ, ā_prev = z̄ Θ and Θ̄ = z̄ᵀ a_prev, `(layers, 3, 2)`.

    They are those of each layer for m samples. Θ̄ is cut into whole rows, behind which the optimizer can go on with one
    stretch of the parameters.

    >>> cuts(128, [784, 256], 2)[0]
    array([[128, 128],
           [ 64, 784],
           [128, 784]])
    """

    def part(rows: int, columns: int, terms: int, *, by_rows: bool = True, whole_rows: bool = False) -> tuple[int, int]:
        most = max(min(threads, rows * columns * terms // GRAIN), min(MOST_PARTS, rows * columns // LARGE), 1)
        down, across = max(1, rows // (LOW if whole_rows else HIGH)), 1 if whole_rows else max(1, columns // NARROW)
        if by_rows:
            down = min(most, down)
            across = min(most // down, across)
        else:
            across = min(most, across)
            down = min(most // across, down)
        return min(rows, _up(-(-rows // down), ROWS)), min(columns, _up(-(-columns // across), WHOLE))

    return np.array(
        [
            [
                # On the way back nobody needs the first Θ: with columns of z, a thread has rows of Θ for itself.
                part(m, n_out, n_in, by_rows=layer > 0 or n_in <= m),
                part(m, n_in, n_out),
                part(n_out, n_in, m, whole_rows=True),
            ]
            for layer, (n_in, n_out) in enumerate(pairwise(widths))
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
    return WHOLE + max(min(k, DEEP) * _up(min(n, WIDE), WHOLE) for k, n in products)


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
