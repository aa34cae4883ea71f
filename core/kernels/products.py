"""Matrix products of parts of larger matrices, for compiled code: BLAS's gemm, through Numba's own way to SciPy's."""

from __future__ import annotations

from typing import Any

from numba import njit, types

# What Numba's np.dot calls, which only takes whole matrices; gemm itself knows where the next row begins.
_gemm: Any = types.ExternalFunction(
    "numba_xxgemm",
    types.intc(
        *(types.char, types.char, types.char),  # s or d; for each operand n or t
        *(types.intp, types.intp, types.intp),  # m, n, k
        *(types.voidptr, types.voidptr, types.intp),  # alpha, a, lda
        *(types.voidptr, types.intp, types.voidptr),  # b, ldb, beta
        *(types.voidptr, types.intp),  # c, ldc
    ),
)
_SINGLE, _DOUBLE, _PLAIN, _TURNED = ord("s"), ord("d"), ord("n"), ord("t")


@njit(error_model="numpy", nogil=True, cache=True)
def product(a, a_row, a_is_turned, b, b_row, b_is_turned, c, c_row, shape, tile, factors):
    """Write c = a b, for matrices that lie row by row in flat arrays and begin where these do.

    Args:
        a: `(m, k)`, a row every `a_row` elements; `(k, m)` where it is turned, for c = aᵀ b.
        b: `(k, n)`, a row every `b_row` elements; `(n, k)` where it is turned, for c = a bᵀ.
        c: `(m, n)`, a row every `c_row` elements.
        shape: m, n, k.
        tile: rows and columns of c that are one call of BLAS (`core.kernels.tiling`).
        factors: 1 and 0, of the arrays' type: BLAS wants them in memory.
    """
    m, n, k = shape
    tile_rows, tile_columns = tile
    kind = _SINGLE if a.itemsize == 4 else _DOUBLE
    turn_a = _TURNED if a_is_turned else _PLAIN
    turn_b = _TURNED if b_is_turned else _PLAIN
    one, zero = factors[:1].ctypes, factors[1:].ctypes
    for i in range(0, m, tile_rows):
        rows, a_i = min(tile_rows, m - i), a[i if a_is_turned else i * a_row :].ctypes
        for j in range(0, n, tile_columns):
            columns, b_j = min(tile_columns, n - j), b[j * b_row if b_is_turned else j :].ctypes
            # BLAS's matrices lie column by column: as it sees them all are turned, and cᵀ = bᵀ aᵀ.
            c_ij = c[i * c_row + j :].ctypes
            _gemm(kind, turn_b, turn_a, columns, rows, k, one, b_j, b_row, a_i, a_row, zero, c_ij, c_row)
