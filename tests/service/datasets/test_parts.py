"""The table of a data set, read back in part."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from service.datasets.limits import Limits
from service.datasets.parts import Parts, read_rows
from service.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten rows in parts of four, of which the first has whole numbers."""
    table = pl.DataFrame({"number": [0.0, 1.0, 2.0, 3.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0], "text": list("abcdefghij")})
    parts = Parts(tmp_path, Limits.of(Settings()))
    parts.add(table[:4].with_columns(pl.col("number").cast(pl.Int64)))
    parts.add(table[4:8])
    parts.add(table[8:])
    parts.close(table)
    return tmp_path


@pytest.mark.parametrize("rows", [[0], [9, 0], [3, 4, 3], [7, 8, 1]])
def test_rows_come_in_the_order_that_is_asked_for(folder: Path, rows: list[int]):
    found = read_rows(folder, rows)
    assert found["text"].to_list() == ["abcdefghij"[row] for row in rows]
    assert found["number"].to_list() == [4.5 if row == 4 else row for row in rows]


def test_parts_without_a_row_are_not_read(folder: Path):
    (folder / "000002.arrow").unlink()
    assert read_rows(folder, [5])["text"].to_list() == ["f"]


def test_a_row_that_is_not_there(folder: Path):
    with pytest.raises(IndexError, match="10"):
        read_rows(folder, [2, 10])
