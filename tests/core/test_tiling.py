"""Products in parts and tiles: each element once, with the numbers that the whole product has."""

from __future__ import annotations

from itertools import pairwise
from threading import Thread

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kernels.tiling import SMALL, SMALL_TURNED, cuts, most_parts

pytest.importorskip("numba")
products, team = pytest.importorskip("core.kernels.products"), pytest.importorskip("core.kernels.team")

SIZES = st.integers(1, 700)


@given(m=SIZES, widths=st.lists(SIZES, min_size=2, max_size=3), small=st.booleans())
def test_the_parts_hold_each_element_once(m: int, widths: list[int], small: bool) -> None:
    found = cuts(m, widths, has_small_kernels=small)
    counts = []
    for layer, (n_in, n_out) in enumerate(pairwise(widths)):
        for cut, (rows, columns) in zip(found[layer], [(m, n_out), (m, n_in), (n_out, n_in)], strict=True):
            seen = np.zeros((rows, columns), int)
            counts.append(team.count_parts(rows, columns, cut[0], cut[1]))
            for part in range(counts[-1]):
                low, high, left, right = team.cut(rows, columns, cut[0], cut[1], part)
                seen[low:high, left:right] += 1
            assert (seen == 1).all()
    assert most_parts(found, m, widths) == max(counts)


@given(m=SIZES, widths=st.lists(SIZES, min_size=2, max_size=2))
def test_a_tile_is_whole_or_one_that_the_small_kernels_take(m: int, widths: list[int]) -> None:
    n_in, n_out = widths
    z, a_bar, theta_bar = cuts(m, widths, has_small_kernels=True)[0]
    for cut, inner, most in ((z, n_in, SMALL_TURNED), (a_bar, n_out, SMALL), (theta_bar, m, SMALL)):
        rows, columns = np.minimum(cut[:2], cut[2:])
        is_whole = (cut[:2] == (rows, columns)).all()
        assert is_whole or (rows * columns <= most and rows * columns * inner <= SMALL)


@pytest.mark.parametrize("a_is_turned", [False, True])
@pytest.mark.parametrize("b_is_turned", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_product_of_parts_of_larger_matrices(a_is_turned: bool, b_is_turned: bool, dtype: str) -> None:
    rng, (m, n, k) = np.random.default_rng(0), (7, 11, 5)
    whole_a, whole_b = (rng.integers(-9, 9, (20, 20)).astype(dtype) for _ in range(2))
    a, b = (
        (whole_a[:k, :m].T if a_is_turned else whole_a[:m, :k]),
        (whole_b[:n, :k].T if b_is_turned else whole_b[:k, :n]),
    )
    for tile in ((m, n), (3, 4), (1, 20)):
        c = np.full((9, 15), 3, dtype)
        arrays = (whole_a.ravel(), 20, a_is_turned, whole_b.ravel(), 20, b_is_turned, c.reshape(-1), 15)
        products.product(*arrays, (m, n, k), tile, np.array([1, 0], dtype))
        # Whole numbers, so that the sums are exact.
        np.testing.assert_array_equal(c[:m, :n], a @ b)
        assert (c[m:] == 3).all()
        assert (c[:, n:] == 3).all()


def test_who_meets_sees_what_the_others_wrote() -> None:
    # One more than there are likely to be cores, so that those who wait have to make room.
    count, rounds = 3, 200
    arrivals, written, seen = (
        np.zeros(8, np.int64),
        np.zeros((rounds, count), np.int64),
        np.zeros((rounds, count), bool),
    )

    def work(thread: int) -> None:
        for turn in range(rounds):
            written[turn, thread] = turn + 1
            team.meet(arrivals, (turn + 1) * count)
            seen[turn, thread] = (written[turn] == turn + 1).all()

    threads = [Thread(target=work, args=(thread,)) for thread in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen.all()
