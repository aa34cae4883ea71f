"""Listing, getting, looking into and deleting data sets."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import httpx
import numpy as np
import pytest

from service import tables
from service.caller import LOCAL
from service.datasets import service
from service.ids import new_id
from tests.service.datasets.conftest import App

CSV = b"""text,whole,fraction,truth,almost,gap
007,1.0,2,True,true,
 NA ,,0.5,FALSE,false,
"x, y",3,,,no,1.5
"""


@pytest.fixture
def dataset(app: App) -> dict[str, Any]:
    return app.post(CSV, "table").json()


def preview(app: App, dataset: dict[str, Any], **params: Any) -> httpx.Response:
    return app.http.get(f"/v1/datasets/{dataset['id']}/preview", params=params)


def test_get(app: App, dataset: dict[str, Any]):
    answer = app.http.get(f"/v1/datasets/{dataset['id']}")
    assert (answer.status_code, answer.json()) == (200, dataset)


def test_list_newest_first_page_by_page(app: App):
    posted = [app.post(f"a,b\n1,{index}\n".encode()).json() for index in range(3)]
    first = app.http.get("/v1/datasets", params={"limit": 2}).json()
    assert first["object"] == "list"
    assert first["data"] == [posted[2], posted[1]]
    assert (first["first_id"], first["last_id"], first["has_more"]) == (posted[2]["id"], posted[1]["id"], True)
    second = app.http.get("/v1/datasets", params={"limit": 1, "after": first["last_id"]}).json()
    assert second["data"] == [posted[0]]


@pytest.mark.parametrize("rows", [1, 2, 3, 10])
def test_a_preview_shows_the_first_rows_with_the_types_of_the_whole_columns(
    app: App, dataset: dict[str, Any], rows: int
):
    answer = preview(app, dataset, rows=rows)
    assert answer.status_code == 200
    expected = {
        "object": "preview",
        "columns": ["text", "whole", "fraction", "truth", "almost", "gap"],
        "rows": [
            ["007", 1, 2.0, True, "true", None],
            [None, None, 0.5, False, "false", None],
            ["x, y", 3, None, None, "no", 1.5],
        ][:rows],
    }
    assert repr(answer.json()) == repr(expected)  # in Python 1 == 1.0 == True


def test_a_preview_has_ten_rows(app: App):
    dataset = app.post(b"a,b\n" + b"1,x\n" * 20).json()
    assert len(preview(app, dataset).json()["rows"]) == 10


@pytest.mark.parametrize("rows", [0, 1001, "many"])
def test_a_preview_has_limits(app: App, dataset: dict[str, Any], rows: Any):
    answer = preview(app, dataset, rows=rows)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["field"] == "query.rows"


def test_a_preview_of_arrays(app: App):
    file = io.BytesIO()
    np.savez(file, x=np.array([[0.5, 1], [np.nan, 2]]), y=np.array(["a", "b"]))
    dataset = app.post(file.getvalue()).json()
    assert dataset["format"] == "npz"
    answer = preview(app, dataset, rows=2).json()
    assert (answer["columns"], answer["rows"]) == (["x_0", "x_1", "y"], [[0.5, 1, "a"], [None, 2, "b"]])
    content = app.http.get(f"/v1/datasets/{dataset['id']}/content")
    assert content.headers["content-type"] == "application/octet-stream"
    assert content.content == file.getvalue()


def test_content_is_what_was_uploaded(app: App, dataset: dict[str, Any]):
    answer = app.http.get(f"/v1/datasets/{dataset['id']}/content")
    assert (answer.status_code, answer.content) == (200, CSV)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{dataset["id"]}.csv"'
    assert answer.headers["etag"] == f'"{hashlib.sha256(CSV).hexdigest()}"'


def test_delete(app: App, dataset: dict[str, Any]):
    answer = app.http.delete(f"/v1/datasets/{dataset['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    ids, files = app.kept()
    assert dataset["id"] not in ids
    assert not any(dataset["id"] in file for file in files)
    assert app.post(CSV).json()["id"] != dataset["id"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("DELETE", ""), ("GET", "/preview"), ("GET", "/content")],
)
@pytest.mark.parametrize(
    ("dataset_id", "code"),
    [
        ("ds_" + "0" * 32, "data_set_not_found"),
        ("penguins", "data_set_not_found"),
        ("..%2F..%2Fdeltabar.db", "path_not_found"),
    ],
)
def test_an_unknown_data_set_is_not_found(app: App, method: str, path: str, dataset_id: str, code: str):
    answer = app.http.request(method, f"/v1/datasets/{dataset_id}{path}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (404, code)


@pytest.mark.parametrize("path", ["/preview", "/content"])
def test_a_data_set_deleted_in_between_is_not_found(app: App, dataset: dict[str, Any], path: str):
    app.context.storage.delete(f"datasets/{dataset['id']}")
    answer = app.http.get(f"/v1/datasets/{dataset['id']}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "data_set_not_found")
    service.delete_dataset(app.context, dataset["id"])


@pytest.mark.parametrize("state", ["queued", "running", "succeeded", "failed", "cancelled"])
def test_a_data_set_in_use_is_not_deleted(app: App, dataset: dict[str, Any], state: str):
    job = tables.Training(id=new_id("job"), owner=LOCAL, dataset_id=dataset["id"], state=state, spec={})
    with app.context.database.write() as session:
        session.add(job)
    before = app.kept()
    answer = app.http.delete(f"/v1/datasets/{dataset['id']}")
    if state in ("queued", "running"):
        assert (answer.status_code, answer.json()["code"]) == (409, "dataset_in_use")
        assert job.id in answer.json()["detail"]
        assert "cancel" in answer.json()["detail"]
        assert app.kept() == before
    else:
        assert answer.status_code == 204
    with app.context.database.write() as session:
        session.delete(job)
