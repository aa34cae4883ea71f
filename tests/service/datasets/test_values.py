"""What a cell may hold, and which of the four types its column becomes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.datasets import arrays, values
from service.datasets.spelling import parsed
from service.problems import Problem


def column_of(texts: list[str | None]) -> pl.Series:
    return parsed(values.texts(pl.DataFrame({"a": texts}, schema={"a": pl.String})))["a"]


@pytest.mark.parametrize(
    ("texts", "dtype", "expected"),
    [
        (["1", "-2", "+3"], pl.Int64, [1, -2, 3]),
        (["181.0", "NA", "1e2"], pl.Int64, [181, None, 100]),
        (["007", "-0.0"], pl.Int64, [7, 0]),
        ([str(2**63 - 1), "1"], pl.Int64, [2**63 - 1, 1]),
        ([str(2**63), "1"], pl.Float64, [2.0**63, 1.0]),
        (["1.5", "", "2"], pl.Float64, [1.5, None, 2.0]),
        ([".5", "1E-3", "NAN"], pl.Float64, [0.5, 0.001, None]),
        (["1e-400", "1e100"], pl.Float64, [0.0, 1e100]),
        (["true", "FALSE", "null"], pl.Boolean, [True, False, None]),
        (["true", "1"], pl.String, ["true", "1"]),
        (["1", "x"], pl.String, ["1", "x"]),
        (["1_000", "2"], pl.String, ["1_000", "2"]),
        (["0x10", "2"], pl.String, ["0x10", "2"]),
        (["1,5", "2"], pl.String, ["1,5", "2"]),
        (["2007-01-31", "", "2008-1-31"], pl.Datetime("us"), [datetime(2007, 1, 31), None, datetime(2008, 1, 31)]),
        (["a b ", "\ta b", "na"], pl.String, ["a b", "a b", "na"]),
        (["Infinity", "x"], pl.String, ["Infinity", "x"]),
        (["", "NA", "N/A", "NaN", "nan", "null", " NA "], pl.String, [None] * 7),
        (["NAN", "+nan"], pl.Int64, [None, None]),
    ],
)
def test_types_follow_from_all_values(texts: list[str | None], dtype: Any, expected: list[Any]):
    column = column_of(texts)
    assert column.dtype == dtype
    assert column.to_list() == expected


@given(st.lists(st.none() | st.floats(-1e100, 1e100), min_size=1))
def test_floats_come_back_to_the_last_bit(numbers: list[float | None]):
    column = column_of([None if number is None else repr(number) for number in numbers])
    assert column.to_list() == numbers


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_integers_come_back_to_the_last_digit(numbers: list[int | None]):
    column = column_of([None if number is None else str(number) for number in numbers])
    assert column.to_list() == numbers


@pytest.mark.parametrize("number", ["inf", "-Infinity", "1e101", "-1e101", "1e999"])
def test_numbers_that_nothing_can_be_computed_from_are_refused(number: str):
    with pytest.raises(Problem, match=r"column 'a' has the number .* in row 3") as caught:
        column_of(["1", None, number])
    assert caught.value.errors[0].allowed is not None


def test_blocks_of_columns_come_back_in_order():
    table = pl.DataFrame({f"c{index}": [index] for index in range(2 * values.BLOCK + 1)})
    sizes: list[int] = []

    def settle(block: pl.DataFrame) -> pl.DataFrame:
        sizes.append(block.width)
        return block

    assert values.in_blocks(table, settle).equals(table)
    assert sizes == [values.BLOCK, values.BLOCK, 1]


@given(
    st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(values.MISSING), st.text(values.BLANKS + "\x1c")
)
def test_one_cell_is_read_as_a_column_is(cell: str, blanks: str):
    whole = blanks + cell + blanks
    assert [values.text(whole)] == values.texts(pl.DataFrame({"a": [whole]}))["a"].to_list()


@given(st.lists(st.sampled_from(["a", "b", "z", None]), min_size=1), st.permutations(["a", "b"]), st.booleans())
def test_few_values_are_found_where_many_are(some: list[str | None], texts: list[str], missing: bool):
    among = [*texts, *([None] if missing else [])]
    few = pl.Series(some[: arrays.FEW], dtype=pl.String)
    many = pl.concat([few] * (arrays.FEW + 1))
    found = arrays.index_of(few, among)
    assert arrays.index_of(many, among).tolist() == found.tolist() * (arrays.FEW + 1)
    assert [among[place] if place >= 0 else None for place in found] == [t if t in among else None for t in few]
