"""What can be uploaded: files read as one says, frames, arrays."""

from __future__ import annotations

import datetime
import json
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from service.client import Client, Reading
from service.client.tables import body_of
from service.datasets.reading import Options
from service.jobs.schemas import Job
from tests.service.conftest import PENGUINS

DAY = datetime.datetime(2026, 1, 31, 12, 30)
POLARS = pl.DataFrame(
    {
        "whole": [1, 2, None],
        "fraction": [0.1, None, 1 / 3],
        "text": ["007", None, "é, \"x\""],
        "truth": [True, False, None],
        "date": [DAY, None, DAY],
    }
)  # fmt: skip
PANDAS = pd.DataFrame(
    {
        "whole": pd.array([1, 2, None], dtype="Int64"),
        "fraction": [0.1, np.nan, 1 / 3],
        "text": ["007", None, "é, \"x\""],
        "truth": pd.array([True, False, None], dtype="boolean"),
        "date": pd.to_datetime([DAY, None, DAY]),
    },
    index=[5, 6, 7],
)  # fmt: skip
ROWS = [
    [1, 0.1, "007", True, "2026-01-31T12:30:00"],
    [2, None, None, False, None],
    [None, 1 / 3, 'é, "x"', None, "2026-01-31T12:30:00"],
]


def seen(client: Client, dataset_id: str) -> list[list[Any]]:
    preview = client.datasets.preview(dataset_id)
    return [[cell.removesuffix(".000000") if isinstance(cell, str) else cell for cell in row] for row in preview.rows]


@pytest.mark.parametrize("frame", [POLARS, PANDAS], ids=["polars", "pandas"])
def test_a_frame_arrives_as_it_is(client: Client, frame: Any):
    dataset = client.datasets.upload(frame, name="birds")
    assert dataset.name == "birds"
    assert [column.name for column in dataset.columns] == ["whole", "fraction", "text", "truth", "date"]
    assert seen(client, dataset.id) == ROWS


@pytest.mark.parametrize("frame", [POLARS, PANDAS], ids=["polars", "pandas"])
def test_a_frame_is_rows_to_predict(frame: Any):
    columns = body_of(frame)["columns"]
    assert list(columns) == list(frame.columns)
    rows = [
        [cell.partition(".0")[0] if isinstance(cell, str) else cell for cell in row]
        for row in zip(*columns.values(), strict=True)
    ]
    assert rows == ROWS
    assert json.loads(json.dumps(columns, allow_nan=False)) == columns


def test_a_frame_is_predicted_as_its_rows_are(client: Client, penguins_job: Job):
    features = [feature.name for feature in client.models.get(str(penguins_job.model_id)).features]
    frame = pl.read_csv(PENGUINS, null_values="NA").select(features).head(20)
    expected = client.models.predict(str(penguins_job.model_id), frame.to_dicts())
    pandas = pd.DataFrame(frame.to_dict(as_series=False))
    categories = pandas.astype({"island": "category"})
    for rows in (frame, frame.with_columns(pl.col("island").cast(pl.Categorical)), pandas, categories):
        assert client.models.predict(str(penguins_job.model_id), rows) == expected


def test_other_columns_of_pandas(client: Client):
    berlin = pd.to_datetime(["2026-07-01 12:00", None]).tz_localize("Europe/Berlin")
    frame = pd.DataFrame({"category": pd.Categorical(["a", "b"]), "moment": berlin, 7: [1.5, 2.5]})
    dataset = client.datasets.upload(frame)
    assert [column.name for column in dataset.columns] == ["category", "moment", "7"]
    assert seen(client, dataset.id) == [["a", "2026-07-01T10:00:00", 1.5], ["b", None, 2.5]]


def test_arrays(client: Client):
    x, y = np.arange(6.0).reshape(3, 2) / 7, np.array(["a", "b", "a"])
    assert seen(client, client.datasets.upload((x, y), name="xy").id) == [
        [*row, label] for row, label in zip(x, y, strict=True)
    ]
    assert seen(client, client.datasets.upload(x, name="x").id) == x.tolist()


def test_a_file_is_read_as_one_says(client: Client, tmp_path: Path):
    path = tmp_path / "codes.csv"
    path.write_text("007|1,5\n008|2,5\n")
    dataset = client.datasets.upload(
        path, kinds={"column_1": "categorical"}, delimiter="pipe", decimal="comma", header="no"
    )
    assert seen(client, dataset.id) == [["007", 1.5], ["008", 2.5]]


def test_what_is_no_table_is_said(client: Client, tmp_path: Path):
    with pytest.raises(TypeError, match=r"dict.*allowed: the path of a file"):
        client.datasets.upload({"x": [1]})  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match="none"):
        client.datasets.upload(tmp_path / "none.csv")


def test_the_options_are_those_of_the_service():
    theirs = {name: field.annotation for name, field in Options.model_fields.items()}
    assert dict(Reading.__annotations__).keys() == theirs.keys()
    assert typing.get_type_hints(Reading) == theirs
