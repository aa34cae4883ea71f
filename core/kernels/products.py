"""Matrix products of parts of larger matrices, for compiled code.

b is packed in blocks that stay in the cache, and a block meets some rows of a after the other (Goto and van de Geijn,
"Anatomy of high-performance matrix multiplication", 2008). Each number of c is the sum of its products in their order,
so it doesn't depend on how the product is cut.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from core.kernels.parts import DEEP, FEW, WIDE
from core.kernels.vectors import ROWS, VECTORS, WIDTH, copy_1, copy_2, copy_3, tile_1, tile_2, tile_3, turn

compiled: Any = njit(error_model="numpy", nogil=True)  # what calls it is kept, with this in it


@compiled
def product(a, a_row, a_is_turned, b, b_row, b_is_turned, c, c_row, shape, packed):
    """Write c = a b, for matrices that lie row by row in flat arrays and begin where these do.

    Args:
        a: `(m, k)`, a row every `a_row` elements; `(k, m)` where it is turned, for c = aᵀ b.
        b: `(k, n)`, a row every `b_row` elements; `(n, k)` where it is turned, for c = a bᵀ.
        c: `(m, n)`, a row every `c_row` elements.
        shape: m, n, k, each of at least 1.
        packed: memory, of `core.kernels.parts.packed_size`.
    """
    m, n, k = shape
    row, along = (1, a_row) if a_is_turned else (a_row, 1)
    lanes, start = WIDTH // packed.itemsize, -packed.ctypes.data % WIDTH // packed.itemsize
    # Whole vectors that aren't read often enough to be worth packing are read where they lie.
    near = n - n % lanes if not b_is_turned and m <= FEW else 0
    for left in range(0, n, WIDE):
        columns = min(WIDE, n - left)
        direct = max(0, min(columns, near - left))
        for low in range(0, k, DEEP):
            deep, b_at = min(DEEP, k - low), low * b_row + left
            if b_is_turned:
                _pack_turned(b, left * b_row + low, b_row, deep, columns, packed, start)
            elif direct < columns:
                _pack(b, b_at + direct, b_row, deep, columns - direct, packed, start)
            for i in range(0, m, ROWS):
                a_at, c_at, rows = i * row + low * along, i * c_row + left, min(ROWS, m - i)
                if direct > 0:
                    _tiles(a, a_at, row, along, b, b_at, b_row, c, c_at, c_row, deep, rows, direct, low > 0)
                if direct < columns:
                    c_at, rest = c_at + direct, columns - direct
                    _tiles(a, a_at, row, along, packed, start, 0, c, c_at, c_row, deep, rows, rest, low > 0)


@compiled
def _tiles(a, a_at, a_row, a_k, b, b_at, b_row, c, c_at, c_row, k, rows, columns, goes_on):
    """Write some rows of c, from one tile to the next; b is packed where it has no `b_row`."""
    lanes = WIDTH // a.itemsize
    while columns > 0:
        vectors = min(VECTORS, -(-columns // lanes))
        width = vectors * lanes
        now, step = min(columns, width), b_row or width
        if vectors == 3:
            tile_3(a, a_at, a_row, a_k, b, b_at, step, c, c_at, c_row, k, rows, now, goes_on)
        elif vectors == 2:
            tile_2(a, a_at, a_row, a_k, b, b_at, step, c, c_at, c_row, k, rows, now, goes_on)
        else:
            tile_1(a, a_at, a_row, a_k, b, b_at, step, c, c_at, c_row, k, rows, now, goes_on)
        b_at, c_at, columns = b_at + (width if b_row else width * k), c_at + now, columns - now


@compiled
def _pack(b, at, row, k, columns, packed, place):
    """Write `k` rows of b as the tiles take them: those of a tile's columns one behind the other."""
    lanes = WIDTH // b.itemsize
    while columns > 2 * lanes:
        now = min(columns, VECTORS * lanes)
        copy_3(b, at, row, packed, place, k, now)
        at, place, columns = at + now, place + VECTORS * lanes * k, columns - now
    if columns > lanes:
        copy_2(b, at, row, packed, place, k, columns)
    elif columns > 0:
        copy_1(b, at, row, packed, place, k, columns)


@compiled
def _pack_turned(b, at, row, k, columns, packed, place):
    """Write the same of b that lies turned."""
    lanes = WIDTH // b.itemsize
    while columns > 0:
        now = min(columns, VECTORS * lanes)
        width = -(-now // lanes) * lanes
        for j in range(0, now, lanes):
            for low in range(0, k, lanes):
                from_there, to = at + j * row + low, place + low * width + j
                turn(b, from_there, row, packed, to, width, k - low, now - j)
        at, place, columns = at + now * row, place + width * k, columns - now
