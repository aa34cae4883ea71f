"""Listing models, getting one, downloading its weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest

import core
from service.context import Context
from service.models.card import CARD
from service.models.predictor import WEIGHTS
from service.tables import Model
from tests.service.models.conftest import add_model


def test_a_model_says_what_it_predicts_and_from_what(http: httpx.Client, species_model: str):
    answer = http.get(f"/v1/models/{species_model}")
    assert answer.status_code == 200
    model = answer.json()
    assert model["object"] == "model"
    assert (model["id"], model["task"], model["target"]) == (species_model, "classification", "species")
    assert model["classes"] == ["Adelie", "Chinstrap", "Gentoo"]
    assert model["features"] == [
        {"name": "length", "kind": "numeric"},
        {"name": "island", "kind": "categorical"},
        {"name": "tagged", "kind": "boolean"},
        {"name": "seen", "kind": "date"},
        {"name": "mass", "kind": "numeric"},
    ]
    last = {"units": 3, "activation": "softmax", "normalization": None, "dropout": 0.0}
    assert model["network"]["layers"][-1] == last


def test_a_card_is_what_was_written_and_missing_where_an_older_version_wrote_none(app: tuple[httpx.Client, Context]):
    http, context = app
    model_id = add_model(context, "species")
    card, model = (http.get(f"/v1/models/{model_id}{path}").json() for path in ("/card", ""))
    assert card == card | {name: value for name, value in model.items() if name != "object"}
    assert (card["object"], card["device"], card["spec"]["seed"]) == ("model_card", "cpu", 0)
    with context.database.read() as session:
        folder = session.get_one(Model, model_id).folder
    context.storage.delete(f"{folder}/{CARD}")
    answer = http.get(f"/v1/models/{model_id}/card")
    assert (answer.status_code, answer.json()["code"]) == (404, "card_not_found")
    context.storage.delete(folder)
    answer = http.get(f"/v1/models/{model_id}/card")
    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")


def test_the_list_is_newest_first_and_goes_on_after_an_id(app: tuple[httpx.Client, Context]):
    http, context = app
    ids = [add_model(context, "species") for _ in range(3)][::-1]
    first = http.get("/v1/models", params={"limit": 2}).json()
    assert [model["id"] for model in first["data"]] == ids[:2]
    assert first["has_more"] is True
    following = http.get("/v1/models", params={"limit": 1, "after": first["last_id"]}).json()
    assert following["data"][0]["id"] == ids[2]


@pytest.mark.parametrize("path", ["", "/weights", "/card"])
@pytest.mark.parametrize("model_id", ["model_" + "0" * 32, "no-id", "..%2F..%2Fdeltabar.db"])
def test_an_unknown_model_is_404(http: httpx.Client, model_id: str, path: str):
    answer = http.get(f"/v1/models/{model_id}{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_weights_are_what_core_loads(http: httpx.Client, species_model: str, tmp_path: Path):
    answer = http.get(f"/v1/models/{species_model}/weights")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="{species_model}.safetensors"'
    path = tmp_path / "weights.safetensors"
    path.write_bytes(answer.content)
    assert core.load(path).n_parameters == http.get(f"/v1/models/{species_model}").json()["n_parameters"]


def test_weights_that_the_caller_has_are_not_sent_again(http: httpx.Client, species_model: str):
    url = f"/v1/models/{species_model}/weights"
    etag = http.get(url).headers["etag"]
    for known in (etag, f'"other", W/{etag}', "*"):
        again = http.get(url, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert http.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_part_of_the_weights_can_be_asked_for(http: httpx.Client, species_model: str):
    url = f"/v1/models/{species_model}/weights"
    part = http.get(url, headers={"Range": "bytes=8-15"})
    assert part.status_code == 206
    assert part.content == http.get(url).content[8:16]


@pytest.mark.parametrize(
    "given",
    ["", "bytes", "lines=1-2", "bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "bytes=1-2,x", f"bytes={'9' * 5000}-"],
)
def test_what_is_no_range_is_ignored(http: httpx.Client, species_model: str, given: str):
    url = f"/v1/models/{species_model}/weights"
    answer = http.get(url, headers={"Range": given})
    assert (answer.status_code, answer.content) == (200, http.get(url).content)


@pytest.mark.parametrize("given", ["bytes=999999999-", "bytes=0-1,999999999-", "bytes=-0"])
def test_a_range_behind_the_end_is_a_problem(http: httpx.Client, species_model: str, given: str):
    url = f"/v1/models/{species_model}/weights"
    size = len(http.get(url).content)
    answer = http.get(url, headers={"Range": given})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["value"] == given


def test_an_unknown_format_is_refused_with_those_there_are(http: httpx.Client, species_model: str):
    answer = http.get(f"/v1/models/{species_model}/weights", params={"format": "pickle"})
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert (error["field"], error["value"]) == ("query.format", "pickle")
    assert "safetensors" in error["allowed"]


def test_a_model_whose_files_have_gone_is_404(app: tuple[httpx.Client, Context]):
    http, context = app
    model_id = add_model(context, "species")
    with context.database.read() as session:
        folder = context.storage.path(session.get_one(Model, model_id).folder)
    assert (folder / WEIGHTS).is_file()
    shutil.rmtree(folder)
    assert http.get(f"/v1/models/{model_id}/weights").status_code == 404
    assert http.post(f"/v1/models/{model_id}/predict", json={"rows": [{}]}).status_code == 404


def test_a_deleted_model_is_gone_with_its_files(app: tuple[httpx.Client, Context]):
    http, context = app
    model_id = add_model(context, "species")
    with context.database.read() as session:
        folder = context.storage.path(session.get_one(Model, model_id).folder)
    assert http.post(f"/v1/models/{model_id}/predict", json={"rows": [{}]}).status_code == 200
    assert http.delete(f"/v1/models/{model_id}").status_code == 204
    assert not folder.exists()
    assert http.delete(f"/v1/models/{model_id}").status_code == 404
    assert http.post(f"/v1/models/{model_id}/predict", json={"rows": [{}]}).status_code == 404
