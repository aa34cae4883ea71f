"""Products in parts, blocks and tiles: each number once, and the one that the whole product has."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kernels.parts import DEEP, FEW, WIDE, cuts, most_parts, packed_size

pytest.importorskip("numba")
products, team = pytest.importorskip("core.kernels.products"), pytest.importorskip("core.kernels.team")

SIZES = st.integers(1, 700)
DTYPES = ("float32", "float64")


@given(m=SIZES, widths=st.lists(SIZES, min_size=2, max_size=3), threads=st.integers(1, 9))
def test_the_parts_hold_each_element_once(m: int, widths: list[int], threads: int) -> None:
    found = cuts(m, widths, threads)
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


def multiplied(product: Callable[..., None], rng: np.random.Generator, dtype: str, m: int, n: int, k: int) -> None:
    """Multiply whole numbers, whose sums are exact, in each of the four ways, and look at all that may be written."""
    row = max(m, n, k) + 3
    for a_is_turned, b_is_turned in np.ndindex(2, 2):
        whole_a, whole_b = (rng.integers(-9, 9, (row, row)).astype(dtype) for _ in range(2))
        a = whole_a[:k, :m].T if a_is_turned else whole_a[:m, :k]
        b = whole_b[:n, :k].T if b_is_turned else whole_b[:k, :n]
        c, packed = np.full((m, n + 2), 3, dtype), np.full(packed_size(k, [n, 1]) + 1, np.nan, dtype)
        arrays = whole_a.ravel(), row, bool(a_is_turned), whole_b.ravel(), row, bool(b_is_turned), c.reshape(-1), n + 2
        product(*arrays, (m, n, k), packed[:-1])
        np.testing.assert_array_equal(c[:, :n], a @ b)
        assert (c[:, n:] == 3).all()
        assert np.isnan(packed[-1])


@pytest.mark.parametrize("dtype", DTYPES)
@given(m=st.integers(1, 30), n=st.integers(1, 110), k=st.integers(1, 40))
def test_a_product_of_parts_of_larger_matrices(dtype: str, m: int, n: int, k: int) -> None:
    multiplied(products.product, np.random.default_rng(0), dtype, m, n, k)


@pytest.mark.parametrize("m", [9, FEW + 1])  # b is read where it lies, or packed
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_of_several_blocks(dtype: str, m: int) -> None:
    multiplied(products.product, np.random.default_rng(0), dtype, m, 2 * WIDE + 5, 2 * DEEP + 3)


@pytest.mark.parametrize("features", [{"avx": True}, {}], ids=["256 bits", "128 bits"])
def test_narrower_vectors(features: dict[str, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text as a processor has it whose vectors are narrower; in copies, as Numba keeps code by file."""
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_features", lambda: features)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    suffix = f"_{tmp_path.name}"
    loaded: list[ModuleType] = []
    for name in ("vectors", "products"):
        text = Path(products.__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
        path = tmp_path / f"{name}{suffix}.py"
        path.write_text(text.replace("core.kernels.vectors", f"vectors{suffix}"), encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        loaded.append(importlib.util.module_from_spec(spec))
        monkeypatch.setitem(sys.modules, path.stem, loaded[-1])
        spec.loader.exec_module(loaded[-1])
    vectors, narrow = loaded
    width = 32 if features else 16
    assert width == vectors.WIDTH
    assert vectors.ROWS == 4
    for shape in ((1, 1, 1), (4, 24, 8), (7, 11, 5), (9, 50, 19)):
        multiplied(narrow.product, np.random.default_rng(0), "float32", *shape)


@pytest.mark.parametrize("turned", [False, True])
@given(m=st.integers(2, FEW + 40), n=st.integers(2, 90), row=st.integers(1, 39), column=st.integers(1, 89))
def test_however_it_is_cut_it_has_the_same_bits(turned: bool, m: int, n: int, row: int, column: int) -> None:
    k, rng = DEEP + 7, np.random.default_rng(0)
    a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((n, k) if turned else (k, n), np.float32)
    packed = np.empty(packed_size(k, [n, 1]), np.float32)

    def made(rows: list[int], columns: list[int]) -> np.ndarray:
        c = np.empty((m, n), np.float32)
        for (low, high), (left, right) in ((r, q) for r in pairwise(rows) for q in pairwise(columns)):
            of_b: Any = b.reshape(-1)[left * (k if turned else 1) :], k if turned else n, turned
            arrays: Any = a[low:].reshape(-1), k, False, *of_b, c.reshape(-1)[low * n + left :]
            products.product(*arrays, n, (high - low, right - left, k), packed)
        return c

    whole = made([0, m], [0, n])
    np.testing.assert_array_equal(made([0, min(row, m - 1), m], [0, min(column, n - 1), n]), whole)
    right = b.T if turned else b
    exact = a.astype(float) @ right.astype(float)
    # Sums of k rounded products (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, 3.1).
    bound = k * float(np.finfo(np.float32).eps) / 2 * (np.abs(a).astype(float) @ np.abs(right).astype(float))
    assert (np.abs(whole - exact) <= bound).all()


def test_numbers_that_are_not_finite_stay_in_their_row_and_column() -> None:
    a, b, c = (np.ones((5, 5), np.float32) for _ in range(3))
    a[1, 2], b[3, 4] = np.nan, np.inf
    arrays = a.reshape(-1), 5, False, b.reshape(-1), 5, False, c.reshape(-1), 5
    products.product(*arrays, (5, 5, 5), np.empty(packed_size(5, [5, 5]), np.float32))
    np.testing.assert_array_equal(c, a @ b)


AT_THE_END_OF_MEMORY = """
import ctypes, itertools, mmap
import numpy as np
from core.kernels.parts import packed_size
from core.kernels.products import product

def ending_there(count):
    size, page = 4 * count, mmap.PAGESIZE
    pages = -(-size // page) * page
    memory = mmap.mmap(-1, pages + page)
    behind = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + pages
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(behind), page, 0) == 0
    array = np.frombuffer(memory, np.float32, count, pages - size)
    array[:] = 1
    return array

for turned_a, turned_b, m, n, k in itertools.product([False, True], [False, True], [1, 7, 8], [1, 11, 50], [1, 5, 17]):
    a, b, c, packed = map(ending_there, (m * k, k * n, m * n, packed_size(k, [n, 1])))
    product(a, m if turned_a else k, turned_a, b, k if turned_b else n, turned_b, c, n, (m, n, k), packed)
    assert (c == k).all()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is closed by mprotect")
def test_nothing_beyond_the_ends_is_read_or_written() -> None:
    """The page behind each array can't be touched: the process would end there."""
    ran = subprocess.run([sys.executable, "-c", AT_THE_END_OF_MEMORY], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
