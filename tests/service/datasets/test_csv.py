"""CSV files: what is read, and what is said of those that aren't quite CSV."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.datasets.csv_dialect import Dialect
from service.datasets.csv_file import CsvFile
from service.datasets.csv_scan import scan
from service.datasets.decoding import utf8
from service.datasets.limits import Limits
from service.datasets.readers import read_table
from service.datasets.reading import Reading
from service.datasets.unreadable import MOST_FAULTS
from service.problems import Problem
from service.settings import Settings
from tests.service.datasets.conftest import App

COMMAS = Dialect(",", '"', header=True, decimal_comma=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data [1].csv"  # brackets are no pattern


def read(path: Path, body: bytes) -> pl.DataFrame:
    path.write_bytes(body)
    return read_table(path, "csv")


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b"a,b\n1,x\n2,y\n", [(1, "x"), (2, "y")]),
        (b"a,b\n1,x\n2,y", [(1, "x"), (2, "y")]),
        (b"a,b\r\n1,x\r\n2,y\r\n", [(1, "x"), (2, "y")]),
        (b"a,b\r\n1,x\r\n2,y\r", [(1, "x"), (2, "y")]),
        (b"\xef\xbb\xbfa,b\n1,x\n2,y\n", [(1, "x"), (2, "y")]),
        (b'"a",b\n"1","x"\n2,y\n', [(1, "x"), (2, "y")]),
        (b" a,b \n 1, x\n2 ,y \n", [(1, "x"), (2, "y")]),
        (b'a,b\n1,"x,\n""y"""\n2,z\n', [(1, 'x,\n"y"'), (2, "z")]),
        ("a,b\n1,naïve ☃\n".encode(), [(1, "naïve ☃")]),
        (
            b'a,b\n1,""\n,\nNA,NaN\nnan,null\n N/A ,y',
            [(1, None), (None, None), (None, None), (None, None), (None, "y")],
        ),
    ],
    ids=["lf", "no end", "crlf", "lone cr at the end", "bom", "quotes", "blanks", "quoted", "utf-8", "missing"],
)
def test_what_is_read(path: Path, body: bytes, rows: list[Any]):
    table = read(path, body)
    assert table.columns == ["a", "b"]
    assert table.rows() == rows


FAULTS: dict[str, tuple[bytes, Any, str, str]] = {
    "short row": (b"a,b,c\n1,2,3\n4,5\n", "4,5", "line 3 has 2 fields, but the header has 3", "3 fields in every row"),
    "long row": (b"a,b\n1,2\n3,4,5\n", "3,4,5", "line 3 has 3 fields, but the header has 2", "2 fields in every row"),
    "blank line": (b"a,b\n1,2\n\n3,4\n", "", "line 3 has 1 field, but the header has 2", "2 fields in every row"),
    "ragged after a quoted line end": (
        b'a,b\n"x\ny",2\n3\n', "3", "line 4 has 1 field, but the header has 2", "2 fields in every row",
    ),
    "ragged and quoted": (b'a\n"x","y"\n', '"x","y"', "line 2 has 2 fields, but the header has 1", "1 field in every"),
    "no name": (b",b\n1,2\n", "", "column 1 has no name", "a name for every column"),
    "only blanks for a name": (b"a,  \n1,2\n", "", "column 2 has no name", "a name for every column"),
    "same name": (b"a,b, a\n1,2,3\n", "a", "2 columns have the name 'a'", "a name of its own for every column"),
    "no rows": (b"a,b\n", None, "there is a header but no row below it", "then at least one row"),
    "only a byte order mark": (b"\xef\xbb\xbf", None, "there is no header", "a header with the names"),
    "not utf-8": (b"a,b\n1,caf\xe9\n", "0xe9", "byte 9 of the text, in line 2, is 0xe9", "text in UTF-8"),
    "utf-8 cut off": (b"a,b\n1,\xe2\x98", "0xe2", "byte 6 of the text, in line 2, is 0xe2", "text in UTF-8"),
    "nul": (b"a,b\n1,2\n3,\0\n", "0x00", "byte 10 of the text, in line 3, is 0x00", "text in UTF-8"),
    "nul after a byte order mark": (b"\xef\xbb\xbfa\n\0\n", "0x00", "byte 5 of the text, in line 2, is 0x00", "UTF-8"),
    "quote within": (b'a,b\n1,5" pipe\n', '"', "line 2 has a quote that opens in the middle", 'written ""'),
    "text after a quote": (b'a,b\n1,"x"y\n', '"', "line 2 has a quote that closes in the middle", 'written ""'),
    "quote not closed": (b'a,b\n1,2\n3,"x\n4,5\n', '"', "the quote in line 3 opens a field that never", "in pairs"),
    "old line ends": (b"a,b\r1,2\r", "\r", "line 1 has a carriage return that no line feed follows", "LF or CRLF"),
    "infinity": (b"a,b\n1,2\n-inf,3\n", "-inf", "column 'a' has the number -inf in row 2", "numbers within ±1e+100"),
    "beyond float64": (b"a,b\n1,2\n3,1e999\n", "inf", "column 'b' has the number inf in row 2", "numbers within"),
    "beyond what squares allow": (b"a,b\n1,-1e101\n", -1e101, "column 'b' has the number -1e+101 in row 1", "±1e+100"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_said_and_nothing_is_kept(app: App, name: str):
    body, value, message, allowed = FAULTS[name]
    before = app.kept()
    answer = app.post(body)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (422, "unreadable_dataset")
    [error] = answer.json()["errors"]
    assert (error["field"], error["value"]) == ("body", value)
    assert message in error["message"]
    assert allowed in error["allowed"]
    assert error["message"] in answer.json()["detail"]
    assert app.kept() == before


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        (b"a,b\n1\n2,3\n4,5,6\n", ["line 2 has 1 field, but", "line 4 has 3 fields, but"]),
        (b"a,,a,b\n1,2,3,4\n", ["column 2 has no name", "2 columns have the name 'a'"]),
        (b"a,b\ninf,1\n2,inf\n", ["column 'a' has the number inf in row 1", "column 'b' has the number inf in row 2"]),
    ],
    ids=["ragged", "names", "infinities"],
)
def test_all_faults_are_said_at_once(path: Path, body: bytes, messages: list[str]):
    with pytest.raises(Problem) as caught:
        read(path, body)
    errors = caught.value.errors
    assert len(errors) == len(messages)
    assert all(error.message.startswith(message) for error, message in zip(errors, messages, strict=True))


def test_a_file_full_of_faults_gets_the_first_few(path: Path):
    with pytest.raises(Problem) as caught:
        read(path, b"a,b\n" + b"1\n" * 1000)
    assert [error.message.split(" has")[0] for error in caught.value.errors] == [
        f"line {line}" for line in range(2, 2 + MOST_FAULTS)
    ]
    assert caught.value.detail.endswith(f"; and {MOST_FAULTS - 3} more.")


def in_pieces(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def structure(body: bytes, size: int, **limits: int) -> tuple[bytes, int, int, bytes]:
    """The header, the width, the number of rows, and all rows as they stand."""
    limited = Limits.of(Settings()).model_copy(update=limits)
    header, *rows = scan(utf8(in_pieces(body, size), "utf-8"), COMMAS, limited)
    return header.text, header.width, sum(each.count for each in rows), b"".join(each.text for each in rows)


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@st.composite
def files(draw: st.DrawFn) -> tuple[list[list[str]], bytes]:
    """A table of texts, none of them a number or a missing value, and a CSV file that holds it."""
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(cells.map(lambda cell: f"t{cell}t"), min_size=width, max_size=width), min_size=1))
    always = draw(st.booleans())

    def spelled(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"' if always or set(cell) & set(',"\r\n') else cell

    lines = [",".join(map(spelled, row)) for row in [[f"c{index}" for index in range(width)], *rows]]
    body = "".join(line + draw(st.sampled_from(["\n", "\r\n"])) for line in lines)
    return rows, draw(st.sampled_from(["", "\ufeff"])).encode() + body.encode()


@given(files())
def test_what_python_writes_is_read_back(tmp_path_factory: pytest.TempPathFactory, file: tuple[list[list[str]], bytes]):
    rows, body = file
    path = tmp_path_factory.getbasetemp() / "written.csv"
    assert [list(row) for row in read(path, body).rows()] == rows


@given(files(), st.integers(32, 64))
def test_the_scan_is_the_same_in_any_pieces(file: tuple[list[list[str]], bytes], size: int):
    rows, body = file
    found = structure(body, size)
    assert found[1:3] == (len(rows[0]), len(rows))
    assert found == structure(body, len(body))


@given(files(), st.data())
def test_a_row_of_another_width_is_found_in_its_line(file: tuple[list[list[str]], bytes], data: st.DataObject):
    rows, body = file
    extra = b"1" + b",1" * len(rows[0])
    ragged = body.rstrip(b"\r\n") + b"\n" + extra + b"\n"
    line = body.rstrip(b"\r\n").count(b"\n") + 2
    with pytest.raises(Problem) as caught:
        structure(ragged, data.draw(st.integers(32, 64)))
    message = f"line {line} has {len(rows[0]) + 1} fields, but the header has {len(rows[0])}"
    assert [error.message for error in caught.value.errors] == [message]


def test_a_line_break_in_quotes_counts_where_the_piece_ends_in_the_field():
    ragged = b'a,b\n1,"x\ny"\n2,3\n4,5,6\n'
    for size in range(1, len(ragged) + 1):
        with pytest.raises(Problem) as caught:
            structure(ragged, size)
        assert [error.message for error in caught.value.errors] == ["line 5 has 3 fields, but the header has 2"], size


def test_quotes_are_looked_at_in_slices_of_any_size(monkeypatch: pytest.MonkeyPatch):
    body = b'a,b\n1,"x\ny"\r\n2,"p""q"\n3,"z,"\n'
    whole = structure(body, len(body))
    assert whole[1:3] == (2, 3)
    for size in range(1, len(body) + 1):
        monkeypatch.setattr("service.datasets.csv_scan.LOOK", size)
        assert structure(body, len(body)) == whole, size
        with pytest.raises(Problem, match="line 6 has 3 fields"):
            structure(body + b'4,"5",6\n', len(body))
        with pytest.raises(Problem, match="line 6 has a quote that closes in the middle"):
            structure(body + b'4,"5"6\n', len(body))


def test_thousands_of_columns_are_read_in_batches_of_enough_rows(path: Path, monkeypatch: pytest.MonkeyPatch):
    columns, rows = 2500, 60
    kinds = [lambda row: row / 4, lambda row: row, lambda row: f" t{row % 3}", lambda row: row % 2 == 0 or None,
             lambda row: date(2020, 1, 1 + row % 28)]  # fmt: skip
    lines = [",".join(f"c{index}" for index in range(columns))]
    lines += [",".join("" if (cell := kinds[index % 5](row)) is None else str(cell) for index in range(columns))
              for row in range(rows)]  # fmt: skip
    body = "\n".join(lines).encode()
    monkeypatch.setattr("service.datasets.expanding.pieces.__defaults__", (len(body) // 20,))
    monkeypatch.setattr("service.datasets.csv_file.ENOUGH_BYTES", len(body) // 4)
    path.write_bytes(body)
    limits = Limits.of(Settings())
    batches = list(CsvFile(path, Reading(), limits).batches())
    assert 3 <= len(batches) <= 6
    assert sum(batch.height for batch in batches) == rows
    table = read(path, body)
    types = [pl.Float64, pl.Int64, pl.String, pl.Boolean, pl.Datetime("us")]
    assert table.dtypes == [types[index % 5] for index in range(columns)]
    expected = (7 / 4, 7, "t1", None, datetime(2020, 1, 8))
    assert table.row(7) == tuple(expected[index % 5] for index in range(columns))


def outcome(path: Path) -> pl.DataFrame | Problem:
    try:
        return read_table(path, "csv", Reading(header="yes", delimiter="comma"))
    except Problem as problem:
        return problem


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, body: bytes):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(body)
    result = outcome(path)
    assert (result.status, bool(result.errors)) == (422, True) if isinstance(result, Problem) else result.height > 0


@given(st.text(st.sampled_from('a1,"\n\r .'), max_size=24))
def test_the_scan_polars_and_python_agree_on_what_is_csv(tmp_path_factory: pytest.TempPathFactory, text: str):
    path = tmp_path_factory.getbasetemp() / "agree.csv"
    path.write_text(text, newline="")
    result = outcome(path)
    if isinstance(result, Problem):
        assert not any("the CSV parser" in error.message for error in result.errors)
    else:
        expected = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        assert result.shape == (len(expected) - 1, len(expected[0]))
