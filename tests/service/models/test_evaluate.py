"""POST /v1/models/{id}/evaluate: the figures, and what is refused."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from service.context import Context
from service.models import evaluation
from service.tables import Model
from tests.service.models.conftest import TABLE, add_model, records

# The dates are missing here: whether a data set has dates is for its own tests to show.
OTHER = pl.concat([TABLE] * 5).with_columns(seen=pl.lit(None, pl.String), mass=pl.col("mass") + pl.int_range(30))


def upload(http: httpx.Client, table: pl.DataFrame) -> str:
    answer = http.post("/v1/datasets", content=table.write_csv().encode())
    assert answer.is_success, answer.text
    return answer.json()["id"]


def evaluate(http: httpx.Client, model_id: str, dataset_id: str) -> httpx.Response:
    return http.post(f"/v1/models/{model_id}/evaluate", json={"dataset_id": dataset_id})


def predictions(http: httpx.Client, model_id: str, table: pl.DataFrame) -> list[dict[str, Any]]:
    return http.post(f"/v1/models/{model_id}/predict", json={"rows": records(table)}).json()["data"]


@pytest.mark.parametrize("target", ["species", "tagged"])
def test_labels_are_counted_as_predict_gives_them(app: tuple[httpx.Client, Context], target: str):
    http, context = app
    model_id = add_model(context, target)
    table = OTHER.with_columns(island=pl.when(pl.int_range(30) == 4).then(pl.lit("Atlantis")).otherwise("island"))
    dataset_id = upload(http, table)
    answer = evaluate(http, model_id, dataset_id)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["object"], found["model_id"], found["dataset_id"]) == ("evaluation", model_id, dataset_id)
    expected = [each["label"] for each in predictions(http, model_id, table.drop(target))]
    truth = table[target].cast(pl.String).to_list()
    assert found["rows"] == 30
    assert found["metrics"] == {"accuracy": pytest.approx(np.mean(np.array(expected) == np.array(truth)))}
    classes = found["confusion"]["classes"]
    assert classes == http.get(f"/v1/models/{model_id}").json()["classes"]
    pairs = list(zip(truth, expected, strict=True))
    assert found["confusion"]["counts"] == [[pairs.count((real, said)) for said in classes] for real in classes]
    assert found["residuals"] is None


def test_numbers_are_compared_in_their_own_unit_and_rows_without_one_left_out(app: tuple[httpx.Client, Context]):
    http, context = app
    model_id = add_model(context, "mass")
    table = OTHER.with_columns(mass=pl.when(pl.int_range(30) % 7 > 0).then("mass"))
    found = evaluate(http, model_id, upload(http, table)).json()
    table = table.filter(pl.col("mass").is_not_null())
    values = np.array([each["value"] for each in predictions(http, model_id, table.drop("mass"))])
    residuals = values - table["mass"].to_numpy()
    assert found["rows"] == table.height == 25
    assert found["metrics"]["rmse"] == pytest.approx(np.sqrt(np.mean(residuals**2)))
    assert found["metrics"]["mae"] == pytest.approx(np.mean(np.abs(residuals)))
    assert found["metrics"]["r2"] == pytest.approx(1 - np.sum(residuals**2) / (25 * np.var(table["mass"].to_numpy())))
    assert found["residuals"]["mean"] == pytest.approx(residuals.mean())
    quantiles = {float(q): value for q, value in found["residuals"]["quantiles"].items()}
    assert list(quantiles.values()) == pytest.approx(np.quantile(residuals, list(quantiles)))
    points = np.array(found["residuals"]["points"])
    order = np.argsort(residuals)
    np.testing.assert_allclose(points, np.column_stack([values, residuals])[order], rtol=1e-5)
    assert found["confusion"] is None


def test_batches_add_up(app: tuple[httpx.Client, Context], monkeypatch: pytest.MonkeyPatch):
    http, context = app
    dataset_id = upload(http, OTHER)
    for target in ("species", "mass"):
        model_id = add_model(context, target)
        whole = evaluate(http, model_id, dataset_id).json()
        with monkeypatch.context() as patch:
            patch.setattr(evaluation, "BATCH", 7)
            in_pieces = evaluate(http, model_id, dataset_id).json()
        assert in_pieces["confusion"] == whole["confusion"]
        assert in_pieces["metrics"] == pytest.approx(whole["metrics"])


def test_a_network_that_answers_no_number_is_wrong(app: tuple[httpx.Client, Context]):
    http, context = app
    dataset_id = upload(http, OTHER)
    for target in ("species", "mass"):
        model_id = add_model(context, target)
        with context.database.read() as session:
            folder = context.storage.path(session.get_one(Model, model_id).folder)
        context.predictors.get(folder).network.parameters[:] = np.nan
        found = evaluate(http, model_id, dataset_id).json()
        if target == "species":
            assert found["metrics"] == {"accuracy": 0.0}
            assert np.sum(found["confusion"]["counts"]) == 0
        else:
            assert found["metrics"] == {"rmse": None, "mae": None, "r2": None}
            assert found["residuals"] is None


def test_every_column_at_fault_is_named_at_once(http: httpx.Client, species_model: str):
    table = OTHER.drop("island").with_columns(length=pl.lit("long"), tagged=pl.lit("maybe"))
    answer = evaluate(http, species_model, upload(http, table))
    assert answer.status_code == 422
    errors = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert set(errors) == {"dataset.length", "dataset.island", "dataset.tagged"}
    assert errors["dataset.island"] == "the data set has no such column"
    assert "trained on numeric values" in errors["dataset.length"]


@pytest.mark.parametrize(
    ("species", "said"),
    [
        (pl.lit("Emperor"), "no such class: 'Emperor'"),
        (pl.concat_str(pl.lit("s"), pl.int_range(30).cast(pl.String)), "'s0', 's1', 's10', 's11', 's12', …"),
        (pl.lit(None, pl.String), "no row has a value"),
    ],
)
def test_targets_that_the_model_does_not_know_are_refused(
    http: httpx.Client, species_model: str, species: pl.Expr, said: str
):
    answer = evaluate(http, species_model, upload(http, OTHER.with_columns(species=species)))
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == "dataset.species"
    assert said in error["message"]


def test_what_would_take_too_long_is_refused_with_what_is_possible(
    http: httpx.Client, species_model: str, monkeypatch: pytest.MonkeyPatch
):
    dataset_id = upload(http, OTHER)
    parameters = http.get(f"/v1/models/{species_model}").json()["n_parameters"]
    monkeypatch.setattr(evaluation, "MOST_PRODUCTS", 10 * parameters)
    monkeypatch.setattr(evaluation, "MOST_CELLS", 29)
    monkeypatch.setattr(evaluation, "MOST_BYTES", 28)
    answer = evaluate(http, species_model, dataset_id)
    assert answer.status_code == 422
    errors = answer.json()["errors"]
    assert [error["value"] for error in errors[:2]] == [30, 180]
    assert errors[0]["allowed"] == f"up to 10 rows for a model with {parameters} parameters"
    assert [error["allowed"] for error in errors[1:]] == ["up to 29 cells", "up to 28 bytes"]


def test_rows_have_a_limit_that_is_a_setting(http: httpx.Client, species_model: str):
    answer = evaluate(http, species_model, upload(http, pl.concat([OTHER] * 4)))
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert (error["field"], error["value"]) == ("dataset_id", 120)
    assert error["allowed"] == "up to 100 rows (the setting DELTABAR_MAX_EVALUATE_ROWS)"


def test_what_is_not_there_is_404(http: httpx.Client, species_model: str):
    assert evaluate(http, species_model, "ds_" + "0" * 32).json()["code"] == "data_set_not_found"
    assert evaluate(http, "model_" + "0" * 32, upload(http, OTHER)).json()["code"] == "model_not_found"
    assert evaluate(http, species_model, "penguins").status_code == 422
