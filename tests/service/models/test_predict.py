"""POST /v1/models/{id}/predict: what comes back, and what is refused."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from service.context import Context
from service.models import service
from tests.service.models.conftest import TABLE, add_model, records

ROWS = records(TABLE.drop("species"))


def predict(http: httpx.Client, model_id: str, rows: Any) -> httpx.Response:
    body = json.dumps({"rows": rows})  # which writes halves of surrogate pairs as JSON does: \\ud800
    headers = {"content-type": "application/json"}
    return http.post(f"/v1/models/{model_id}/predict", content=body, headers=headers)


def test_each_row_gets_a_label_and_the_probabilities_of_all(app: tuple[httpx.Client, Context], species_model: str):
    http, context = app
    answer = predict(http, species_model, ROWS)
    assert answer.status_code == 200
    assert answer.json()["object"] == "predictions"
    assert answer.json()["model_id"] == species_model
    data = answer.json()["data"]
    assert len(data) == len(ROWS)
    for item in data:
        assert list(item["probabilities"]) == ["Adelie", "Chinstrap", "Gentoo"]
        assert sum(item["probabilities"].values()) == pytest.approx(1, abs=1e-6)
        assert item["label"] == max(item["probabilities"], key=item["probabilities"].__getitem__)
    # ... and they are those of the network on the encoded rows.
    row = service._row(context, species_model)
    predictor = context.predictors.get(context.storage.path(row.folder))
    outputs = predictor.network.predict(predictor.encoding.features_of(TABLE))
    np.testing.assert_allclose([list(item["probabilities"].values()) for item in data], outputs, rtol=1e-6)


def test_a_number_is_predicted_in_its_own_unit(app: tuple[httpx.Client, Context]):
    http, context = app
    model_id = add_model(context, "mass")
    rows = [{name: value for name, value in row.items() if name != "mass"} for row in ROWS]
    values = [item["value"] for item in predict(http, model_id, rows).json()["data"]]
    assert len(values) == len(rows)
    assert 1000 < np.mean(values) < 10_000


def test_two_classes_have_probabilities_that_sum_to_one(app: tuple[httpx.Client, Context]):
    http, context = app
    model_id = add_model(context, "tagged")
    item = predict(http, model_id, [{"length": 40}]).json()["data"][0]
    assert set(item["probabilities"]) == {"false", "true"}
    assert sum(item["probabilities"].values()) == pytest.approx(1, abs=1e-6)


def test_left_out_and_null_are_the_same_missing_value(http: httpx.Client, species_model: str):
    left_out, null = predict(
        http, species_model, [{"mass": 4000}, {"mass": 4000, "length": None, "island": None}]
    ).json()["data"]
    assert left_out == null


def test_columns_are_the_same_rows(http: httpx.Client, species_model: str):
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    url = f"/v1/models/{species_model}/predict"
    assert http.post(url, json={"columns": columns}).json() == predict(http, species_model, ROWS).json()
    # A column that is left out is missing in every row.
    few = http.post(url, json={"columns": {"mass": columns["mass"]}}).json()
    assert few == predict(http, species_model, [{"mass": row["mass"]} for row in ROWS]).json()


def test_dates_may_have_a_time_and_an_offset(http: httpx.Client, species_model: str):
    spelled = [
        "2007-11-11T08:30:00",
        "2007-11-11 08:30",
        "2007-11-11T08:30Z",
        "2007-11-11T10:30:00+02:00",
        "2007-11-11",
    ]
    *same, midnight = predict(http, species_model, [{"seen": text} for text in spelled]).json()["data"]
    assert all(each == same[0] for each in same)
    assert midnight != same[0]


def test_cells_mean_what_they_mean_in_a_data_set(http: httpx.Client, species_model: str):
    plain, blanks, missing, spelled = predict(
        http, species_model, [{"island": "Dream"}, {"island": " Dream "}, {"island": None}, {"island": "NA"}]
    ).json()["data"]
    assert plain == blanks
    assert missing == spelled
    assert plain != missing


def test_an_unseen_category_is_none_of_those_seen(http: httpx.Client, species_model: str):
    atlantis, lemuria, dream = predict(
        http, species_model, [{"island": "Atlantis"}, {"island": "Lemuria"}, {"island": "Dream"}]
    ).json()["data"]
    assert atlantis == lemuria != dream


@pytest.mark.parametrize(
    ("cell", "allowed"),
    [
        ({"length": "39.1"}, "number"),
        ({"length": True}, "number"),
        ({"length": 10**400}, "number"),
        ({"length": -1e101}, "number"),
        ({"length": [1]}, "number"),
        ({"island": 3}, "text"),
        ({"island": False}, "text"),
        ({"island": "\ud800"}, "text"),
        ({"island": {"a": 1}}, "text"),
        ({"tagged": 1}, "true or false"),
        ({"tagged": "true"}, "true or false"),
        ({"seen": 1194769800}, "ISO 8601"),
        ({"seen": "11.11.2007"}, "ISO 8601"),
        ({"seen": "2007-02-29"}, "ISO 8601"),
        ({"seen": "0001-01-01T00:00:00+14:00"}, "ISO 8601"),
    ],
)
def test_a_value_of_another_kind_is_refused(http: httpx.Client, species_model: str, cell: dict[str, Any], allowed: str):
    answer = predict(http, species_model, [{}, cell])
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == f"rows.1.{next(iter(cell))}"
    assert allowed in error["allowed"]


def test_every_wrong_cell_is_named_at_once_up_to_a_hundred(http: httpx.Client, species_model: str):
    answer = predict(http, species_model, [{"wings": 2, "length": "x"}, {"species": "Adelie"}])
    errors = {error["field"]: error for error in answer.json()["errors"]}
    assert set(errors) == {"rows.0.wings", "rows.0.length", "rows.1.species"}
    assert errors["rows.0.wings"]["allowed"] == "one of: length, island, tagged, seen, mass"
    assert "predicts" in errors["rows.1.species"]["message"]
    many = predict(http, species_model, [{f"c{k}": 1 for k in range(300)}] * 3)
    assert len(many.json()["errors"]) == 100


@pytest.mark.parametrize(("n", "field"), [(0, "rows"), (51, "rows")])
def test_the_number_of_rows_has_limits(http: httpx.Client, species_model: str, n: int, field: str):
    answer = predict(http, species_model, [{}] * n)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == field
    if n:
        assert error["value"] == 51
        assert "50" in error["allowed"]
        assert "DELTABAR_MAX_PREDICT_ROWS" in error["allowed"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "rows"),
        ({"rows": [{}], "columns": {"mass": [1]}}, "rows"),
        ({"columns": {}}, "columns"),
        ({"columns": {"mass": []}}, "columns.mass"),
        ({"columns": {"mass": 1}}, "columns.mass"),
        ({"columns": {"mass": [1, 2], "length": [1]}}, "columns.length"),
        ({"columns": {"mass": [1, "x"]}}, "columns.mass.1"),
        ({"columns": {"wings": [2]}}, "columns.wings"),
        ({"columns": {"mass": [1] * 51}}, "columns"),
        ({"rows": [{}], "row": 1}, "row"),
        ({"rows": [1]}, "rows.0"),
        ({"rows": {"length": 1}}, "rows"),
        ([], "body"),
    ],
)
def test_a_body_of_another_shape_is_refused(http: httpx.Client, species_model: str, body: Any, field: str):
    answer = http.post(f"/v1/models/{species_model}/predict", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_nan_in_the_body_is_refused(http: httpx.Client, species_model: str):
    answer = http.post(
        f"/v1/models/{species_model}/predict",
        content=b'{"rows": [{"length": NaN}]}',
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 422


def test_a_row_far_from_all_others_gives_valid_json(http: httpx.Client, species_model: str):
    answer = predict(http, species_model, [{"length": 1e99, "mass": -1e99}])
    assert answer.status_code == 200
    assert set(answer.json()["data"][0]) == {"label", "probabilities"}


def test_many_threads_get_the_same_answers(http: httpx.Client, species_model: str):
    expected = predict(http, species_model, ROWS).json()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: predict(http, species_model, ROWS).json(), range(64)))
    assert all(answer == expected for answer in answers)
