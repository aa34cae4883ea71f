"""Columns of labels: read by number, and no different for it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.datasets.counting import MOST_CLASSES
from service.datasets.csv_file import CsvFile
from service.datasets.ingest import Request, Table, ingest
from service.datasets.labels import ROWS_EACH, Labels
from service.datasets.limits import Limits
from service.datasets.parts import read_table
from service.datasets.reading import Reading
from service.settings import Settings

LIMITS = Limits.of(Settings())
COLOURS = ["red", "blue", 'a "light" green', "gelb, hell"]
ROWS = 4 * ROWS_EACH * len(COLOURS)


def written(path: Path, columns: dict[str, list[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    path.write_bytes(text.getvalue().encode())
    return path.read_bytes()


@pytest.fixture
def in_batches(monkeypatch: pytest.MonkeyPatch) -> Any:
    def small(size: int) -> None:
        monkeypatch.setattr("service.datasets.expanding.pieces.__defaults__", (size,))
        monkeypatch.setattr("service.datasets.csv_file.ENOUGH_BYTES", size)

    return small


def described(path: Path, folder: Path) -> tuple[Table, pl.DataFrame]:
    table = ingest(Request(path=path, folder=folder, reading=Reading(delimiter="comma", header="yes"), limits=LIMITS))
    return table, read_table(folder)


def test_batches_after_the_first_hold_numbers_for_labels(tmp_path: Path, in_batches: Any):
    path = tmp_path / "rows.csv"
    body = written(path, {"n": [str(row) for row in range(ROWS)], "colour": [COLOURS[row % 4] for row in range(ROWS)]})
    in_batches(len(body) // 4)
    first, *others = CsvFile(path, Reading(), LIMITS).batches()
    assert first["colour"].dtype == pl.String
    assert len(others) >= 2
    assert all(batch.schema["colour"] == pl.Enum(sorted(COLOURS)) for batch in others)


LATER = st.sampled_from([*COLOURS, "", "NA", " red", "red ", "mauve", "1", "\u2003blue", 'say ""'])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(later=st.lists(LATER, min_size=1, max_size=ROWS), pieces=st.integers(3, 9), numbers=st.booleans())
def test_the_table_and_its_description_are_the_same_in_any_batches(
    tmp_path_factory: pytest.TempPathFactory, in_batches: Any, later: list[str], pieces: int, numbers: bool
):
    folder = tmp_path_factory.mktemp("labels")
    colours = [COLOURS[row % 4] for row in range(ROWS)] + later
    columns = {
        "colour": colours,
        "place": [["here", "there"][row % 2] for row in range(len(colours))],
        "n": [str(row / 4) if numbers else str(row) for row in range(len(colours))],
    }
    body = written(folder / "rows.csv", columns)
    in_batches(len(body) + 1)
    expected = described(folder / "rows.csv", folder / "whole")
    in_batches(len(body) // pieces)
    table, rows = described(folder / "rows.csv", folder / "parts")
    assert rows.equals(expected[1])
    assert rows.schema == expected[1].schema
    for ours, whole in zip(table.columns, expected[0].columns, strict=True):
        # The moments are merged batch by batch, so they may differ in their last digits.
        near = {"mean": pytest.approx(whole.mean), "standard_deviation": pytest.approx(whole.standard_deviation)}
        assert ours.model_dump() == whole.model_dump() | near


def learned(*batches: list[str | None]) -> dict[str, pl.Enum]:
    labels = Labels()
    for batch in batches:
        table = pl.DataFrame({"a": batch}, {"a": pl.String})
        labels.learn(table, table)
    return labels.types


@pytest.mark.parametrize(
    "texts",
    [
        ["a ", "b"] * ROWS_EACH,
        ["NA", "b"] * ROWS_EACH,
        ["", "b"] * ROWS_EACH,
        ["x" * 2000, "b"] * ROWS_EACH,
        ["a", "b"] * (ROWS_EACH - 1),
        [f"t{row}" for row in range(MOST_CLASSES + 1)] * ROWS_EACH,
        [None] * 100,
    ],
    ids=["blank", "missing", "empty", "long", "few rows", "many", "nothing"],
)
def test_what_has_no_labels(texts: list[str | None]):
    assert learned(texts, ["a", "b"] * ROWS_EACH if texts[0] is not None else [None]) == {}


def test_a_text_that_is_new_is_the_end_of_labels():
    first = ["a", "b", None] * ROWS_EACH
    assert learned(first) == {"a": pl.Enum(["a", "b"])}
    assert learned(first, ["a", None]) == {"a": pl.Enum(["a", "b"])}
    assert learned(first, ["a", "c"], first) == {}
