"""Every format, encoding and way of writing a CSV file gives the same table."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import zstandard

from service.datasets.readers import read_table
from service.datasets.reading import Reading
from service.problems import Problem
from tests.service.datasets.conftest import App

TABLE = pl.DataFrame(
    {
        "whole": [1, 2, None],
        "fraction": [0.5, None, -3.25],
        "truth": [True, None, False],
        "text": ["naïve, é", 'say "x"', None],
        "when": [datetime(2007, 1, 31), datetime(2008, 2, 29), None],
    }
)
ROWS = TABLE.rows()
CSV = TABLE.with_columns(pl.col("when").dt.strftime("%Y-%m-%d")).write_csv()
LINES = TABLE.with_columns(pl.col("when").dt.strftime("%Y-%m-%d")).write_ndjson()


def as_csv(**options: Any) -> str:
    return TABLE.with_columns(pl.col("when").dt.strftime("%Y-%m-%d")).write_csv(**options)


def parquet(table: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    table.write_parquet(file)
    return file.getvalue()


def pretty(lines: str) -> str:
    return "[\n" + ",\n".join(line.replace(',"', ',\n  "') for line in lines.splitlines()) + "\n]\n"


WAYS: dict[str, tuple[Callable[[], bytes], str, dict[str, str]]] = {
    "commas": (CSV.encode, "csv", {}),
    "semicolons": (lambda: as_csv(separator=";").encode(), "csv", {"delimiter": "semicolon"}),
    "semicolons and decimal commas": (
        lambda: as_csv(separator=";", decimal_comma=True).encode(),
        "csv", {"delimiter": "semicolon", "decimal": "comma"},
    ),
    "tabs": (lambda: as_csv(separator="\t").encode(), "csv", {"delimiter": "tab"}),
    "pipes": (lambda: as_csv(separator="|").encode(), "csv", {"delimiter": "pipe"}),
    "everything quoted": (lambda: as_csv(quote_style="always").encode(), "csv", {}),
    "crlf": (lambda: as_csv(line_terminator="\r\n").encode(), "csv", {}),
    "a byte order mark": (lambda: CSV.encode("utf-8-sig"), "csv", {"encoding": "utf-8"}),
    "utf-16": (lambda: CSV.encode("utf-16"), "csv", {"encoding": "utf-16-le"}),
    "utf-16, the other way around": (lambda: b"\xfe\xff" + CSV.encode("utf-16-be"), "csv", {"encoding": "utf-16-be"}),
    "csv in gzip": (lambda: gzip.compress(CSV.encode()), "csv", {}),
    "csv in zstd": (lambda: zstandard.compress(CSV.encode()), "csv", {}),
    "csv in two gzip members": (lambda: gzip.compress(CSV[:20].encode()) + gzip.compress(CSV[20:].encode()), "csv", {}),
    "parquet": (lambda: parquet(TABLE), "parquet", {}),
    "parquet of categories": (lambda: parquet(TABLE.with_columns(pl.col("text").cast(pl.Categorical))), "parquet", {}),
    "parquet of days": (lambda: parquet(TABLE.with_columns(pl.col("when").cast(pl.Date))), "parquet", {}),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_the_table_is_the_same(app: App, way: str):
    make, format, found = WAYS[way]
    body = make()
    dataset = app.post(body, way).json()
    assert dataset["format"] == format, dataset
    assert dataset["options"].items() >= found.items()
    assert {column["name"]: column["kind"] for column in dataset["columns"]} == {
        "whole": "numeric", "fraction": "numeric", "truth": "boolean", "text": "categorical", "when": "date",
    }  # fmt: skip
    rows = app.http.get(f"/v1/datasets/{dataset['id']}/preview").json()["rows"]
    assert repr(rows) == repr([[*row[:4], row[4] and row[4].isoformat()] for row in ROWS])
    assert app.http.get(f"/v1/datasets/{dataset['id']}/content").content == body


@pytest.mark.parametrize(
    ("body", "format"),
    [
        (LINES.encode(), "jsonl"),
        (gzip.compress(LINES.encode()), "jsonl"),
        (LINES.encode("utf-16"), "jsonl"),
        (b"\n" + LINES.replace("\n", "\n\n").encode(), "jsonl"),
        (f"[{','.join(LINES.splitlines())}]".encode(), "json"),
        (pretty(LINES).encode(), "json"),
        (zstandard.compress(pretty(LINES).encode()), "json"),
    ],
    ids=["lines", "in gzip", "in utf-16", "blank lines", "records", "pretty", "records in zstd"],
)
def test_json_has_its_own_types_and_dates_where_its_owner_says_so(app: App, body: bytes, format: str):
    dataset = app.post(body, options={"kind": "when:date"}).json()
    assert dataset["format"] == format, dataset
    rows = app.http.get(f"/v1/datasets/{dataset['id']}/preview").json()["rows"]
    assert repr(rows) == repr([[*row[:4], row[4] and row[4].isoformat()] for row in ROWS])


def read(tmp_path: Path, body: bytes, **said: Any) -> pl.DataFrame:
    path = tmp_path / "file [1]"
    path.write_bytes(body)
    return read_table(path, reading=Reading(**said))


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array(tmp_path: Path, order: Any):
    table = read(tmp_path, npy(np.asarray([[1.0, np.nan], [2.0, 0.5]], ">f4", order=order)))
    assert table.to_dict(as_series=False) == {"x_0": [1, 2], "x_1": [None, 0.5]}
    assert read(tmp_path, npy(np.array([True, False]))).to_dict(as_series=False) == {"x_0": [True, False]}


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "utf-16-be"])
def test_encodings_without_a_mark_have_to_be_named(tmp_path: Path, encoding: str):
    body = "a,b\nñandú,1\n".encode(encoding)
    assert read(tmp_path, body, encoding=encoding).rows() == [("ñandú", 1)]
    with pytest.raises(Problem, match=r"isn't UTF-8 text|0x00") as caught:
        read(tmp_path, body)
    assert "?encoding=latin-1" in (caught.value.errors[0].allowed or "")


@pytest.mark.parametrize(
    ("body", "said", "columns", "rows"),
    [
        (b"1,2\n3,4\n", {}, ["column_1", "column_2"], [(1, 2), (3, 4)]),
        (b"1,2\n3,4\n", {"header": "yes"}, ["1", "2"], [(3, 4)]),
        (b"a,2\nb,4\n", {"header": "no"}, ["column_1", "column_2"], [("a", 2), ("b", 4)]),
        (b"'a;x';b\n'1;2';3\n", {"quote": "single"}, ["a;x", "b"], [("1;2", 3)]),
        (b'a,b\n5" pipe,1\n', {"quote": "none"}, ["a", "b"], [('5" pipe', 1)]),
        (b"a;b\n1,5;2\n", {"decimal": "point"}, ["a", "b"], [("1,5", 2)]),
        (b"a b\n1\n", {}, ["a b"], [(1,)]),
        (b"a\tb\n1,5\t2\n", {}, ["a", "b"], [(1.5, 2)]),
        (b'a;b\n"x;y";1\n"z,z,z,z";2\n', {}, ["a", "b"], [("x;y", 1), ("z,z,z,z", 2)]),
    ],
)
def test_what_can_be_said_of_a_csv_file(tmp_path: Path, body: bytes, said: Any, columns: Any, rows: Any):
    table = read(tmp_path, body, **said)
    assert (table.columns, table.rows()) == (columns, rows)


@pytest.mark.parametrize(
    ("texts", "dates", "expected"),
    [
        (["2007-01-31", "2008-1-2"], "auto", [datetime(2007, 1, 31), datetime(2008, 1, 2)]),
        (["31.01.2007", "02.01.2008"], "auto", [datetime(2007, 1, 31), datetime(2008, 1, 2)]),
        (["31/01/2007", "02/01/2008"], "auto", [datetime(2007, 1, 31), datetime(2008, 1, 2)]),
        (["1/31/2007", "1/2/2008"], "auto", [datetime(2007, 1, 31), datetime(2008, 1, 2)]),
        (["01/02/2007"], "auto", ["01/02/2007"]),
        (["01/02/2007"], "dmy", [datetime(2007, 2, 1)]),
        (["01/02/2007"], "mdy", [datetime(2007, 1, 2)]),
        (["2007-01-31T12:30:05", "2007-01-31T12:30:05.25"], "auto",
         [datetime(2007, 1, 31, 12, 30, 5), datetime(2007, 1, 31, 12, 30, 5, 250_000)]),
        (["2007-01-31 12:30"], "auto", [datetime(2007, 1, 31, 12, 30)]),
        (["2007-01-31T12:30:00+02:00", "2007-01-31T12:30:00Z"], "auto",
         [datetime(2007, 1, 31, 10, 30), datetime(2007, 1, 31, 12, 30)]),
        (["1.2.3"], "auto", ["1.2.3"]),
        (["2007-02-30"], "auto", ["2007-02-30"]),
        (["2007-01-31", "soon"], "auto", ["2007-01-31", "soon"]),
    ],
)  # fmt: skip
def test_dates(tmp_path: Path, texts: list[str], dates: Any, expected: list[Any]):
    assert read(tmp_path, "\n".join(["a", *texts, ""]).encode(), dates=dates)["a"].to_list() == expected


def test_a_kind_that_is_named_decides_how_a_column_is_read(app: App):
    body = b"zip,flag,day\n01234,1,02.01.2003\n99999,0,03.01.2003\n"
    plain, named = (
        app.post(body).json(),
        app.post(body, options={"kind": ["zip:categorical", "flag:categorical"]}).json(),
    )
    assert plain["id"] != named["id"]
    assert plain["sha256"] == named["sha256"]
    assert app.post(body, options={"kind": ["flag:categorical", "zip:categorical"]}).json()["id"] == named["id"]
    assert [column["kind"] for column in named["columns"]] == ["categorical", "categorical", "date"]
    assert app.http.get(f"/v1/datasets/{named['id']}/preview").json()["rows"][0][:2] == ["01234", "1"]
    assert app.http.get(f"/v1/datasets/{plain['id']}/preview").json()["rows"][0][:2] == [1234, 1]


@pytest.mark.parametrize(
    ("options", "field", "message"),
    [
        ({"kind": "a:numeric"}, "body", "column 'a' has 'x' in row 2 (counted from 1), which isn't a number"),
        ({"kind": "a:date"}, "body", "which isn't a date"),
        ({"kind": "a:boolean"}, "body", "which isn't true or false"),
        ({"kind": "c:text"}, "body", "there is no such column"),
        ({"kind": "a:number"}, "query.kind", "the name of a column, a colon, and a kind"),
        ({"kind": "a"}, "query.kind", "the name of a column, a colon, and a kind"),
        ({"format": "xlsx"}, "query.format", ""),
        ({"format": "parquet"}, "body", "format=parquet was asked for, but the body is CSV"),
        ({"delimiter": "comma", "decimal": "comma"}, "body", "fields can't be separated by commas"),
        ({"delimeter": "comma"}, "query.delimeter", "no such field"),
    ],
)
def test_what_is_said_and_isn_t_so_is_refused(app: App, options: Any, field: str, message: str):
    before = app.kept()
    answer = app.post(b"a,b\n1,2\nx,3\n", options=options)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert message in answer.json()["errors"][0]["message"]
    assert app.kept() == before


def test_a_text_after_many_numbers_makes_texts_of_them_all_as_they_were_written(app: App):
    lines = [f"{index:07d},1.50" for index in range(200_000)]
    body = "\n".join(["a,b", *lines, "x,1.50", ""]).encode()
    assert len(body) < 3 * 2**20
    dataset = app.post(body).json()
    assert [column["values"] for column in dataset["columns"]] == ["text", "number"]
    assert app.http.get(f"/v1/datasets/{dataset['id']}/preview").json()["rows"][0] == ["0000000", 1.5]


@pytest.mark.parametrize("size", [7, 64, 10**6])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"a,b\n" + b"1,x\n" * 30 + b"2.5,y\n" + b",\n" * 30, {"a": pl.Float64, "b": pl.String}),
        (b"a,b\n" + b"001,1\n" * 30 + b"x,2\n", {"a": pl.String, "b": pl.Int64}),
        (b"a,b\n" + b",NA\n" * 30 + b"true,2007-01-31\n", {"a": pl.Boolean, "b": pl.Datetime("us")}),
        (b"a,b\n" + b" 1 , true \n" * 30 + b"1e3,FALSE\n", {"a": pl.Int64, "b": pl.Boolean}),
        (b"a,b\n" + b",\n" * 30, {"a": pl.String, "b": pl.String}),
    ],
)
def test_the_same_is_read_in_pieces_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes, expected: Any, size: int
):
    whole = read(tmp_path, body)
    monkeypatch.setattr("service.datasets.expanding.PIECE", size)
    monkeypatch.setattr("service.datasets.expanding.pieces.__defaults__", (size,))
    table = read(tmp_path, body)
    assert dict(table.schema) == expected
    assert table.equals(whole)
    if expected["a"] == pl.String and table["a"][0]:
        assert table["a"][0] == "001"
