"""GET /v1/models/{id}/weights: safetensors, npz and ONNX."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime
import polars as pl
import pytest
from safetensors.numpy import load

from service.context import Context
from service.datasets.features import seconds_of
from service.models.onnx_export import export
from service.storage import Storage
from service.tables import Model
from tests.service.models.conftest import TABLE, add_model, records

MISSING = pl.DataFrame({name: [None] for name in TABLE.columns}, schema=TABLE.schema)
UNSEEN = MISSING.with_columns(island=pl.lit("Atlantis"), mass=pl.lit(1e30))


def weights(http: httpx.Client, model_id: str, format: str) -> httpx.Response:
    return http.get(f"/v1/models/{model_id}/weights", params={"format": format})


def folder_of(context: Context, model_id: str) -> Path:
    with context.database.read() as session:
        return context.storage.path(session.get_one(Model, model_id).folder)


def raw(features: list[dict[str, str]], table: pl.DataFrame) -> dict[str, np.ndarray]:
    """The columns as the description of an ONNX file's inputs has them."""
    convert: dict[str, Callable[[pl.Series], Any]] = {
        "numeric": lambda column: column.cast(pl.Float64).to_numpy(),
        "date": seconds_of,
        "categorical": lambda column: np.array(column.fill_null("").to_list(), object),
        "boolean": lambda column: np.array(column.cast(pl.String).fill_null("").to_list(), object),
    }
    return {each["name"]: convert[each["kind"]](table[each["name"]])[:, np.newaxis] for each in features}


def session_of(content: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def run(session: onnxruntime.InferenceSession, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, map(np.asarray, session.run(names, inputs)), strict=True))


def test_tensors_are_named_and_shaped_as_in_a_torch_sequential(http: httpx.Client, species_model: str):
    answer = weights(http, species_model, "safetensors")
    assert answer.headers["content-type"] == "application/octet-stream"
    size = struct.unpack("<Q", answer.content[:8])[0]  # read by hand, as the format's specification has it
    header = json.loads(answer.content[8 : 8 + size])
    header.pop("__metadata__", None)
    model = http.get(f"/v1/models/{species_model}").json()
    widths = [model["network"]["n_inputs"], *(layer["units"] for layer in model["network"]["layers"])]
    # nn.Sequential(nn.Linear(n, 8), nn.Tanh(), nn.Linear(8, 3), nn.Softmax(-1)): the activations take numbers too.
    expected: dict[str, list[int]] = {}
    for place, (n_in, n_out) in zip((0, 2), pairwise(widths), strict=True):
        expected |= {f"{place}.weight": [n_out, n_in], f"{place}.bias": [n_out]}
    assert {name: tensor["shape"] for name, tensor in header.items()} == expected
    assert {tensor["dtype"] for tensor in header.values()} == {"F32"}


def test_npz_has_the_same_tensors(http: httpx.Client, species_model: str):
    answer = weights(http, species_model, "npz")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="{species_model}.npz"'
    tensors = load(weights(http, species_model, "safetensors").content)
    with np.load(io.BytesIO(answer.content), allow_pickle=False) as found:
        assert set(found) == set(tensors)
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(found[name], tensor, strict=True)


@pytest.mark.parametrize("target", ["species", "tagged", "mass"])
def test_onnxruntime_predicts_from_raw_columns_what_the_service_does(app: tuple[httpx.Client, Context], target: str):
    http, context = app
    model_id = add_model(context, target)
    model = http.get(f"/v1/models/{model_id}").json()
    table = pl.concat([TABLE, MISSING, UNSEEN]).drop(target)
    found = run(session_of(weights(http, model_id, "onnx").content), raw(model["features"], table))
    expected = http.post(f"/v1/models/{model_id}/predict", json={"rows": records(table)}).json()["data"]
    if target == "mass":
        np.testing.assert_allclose(found["value"], [each["value"] for each in expected], rtol=1e-5)
    else:
        assert found["label"].tolist() == [each["label"] for each in expected]
        probabilities = [list(each["probabilities"].values()) for each in expected]
        np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-5)


def test_an_onnx_file_says_where_it_comes_from(http: httpx.Client, species_model: str):
    model = http.get(f"/v1/models/{species_model}").json()
    told = session_of(weights(http, species_model, "onnx").content).get_modelmeta().custom_metadata_map
    assert json.loads(told.pop("classes")) == model["classes"]
    assert told == {
        "model_id": species_model,
        "job_id": model["job_id"],
        "dataset_id": model["dataset_id"],
        "task": "classification",
        "target": "species",
        "deltabar_version": version("deltabar"),
    }


@pytest.mark.parametrize("format", ["npz", "onnx"])
def test_a_file_is_made_once_and_has_an_etag(app: tuple[httpx.Client, Context], format: str):
    http, context = app
    model_id = add_model(context, "species")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: weights(http, model_id, format), range(4)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    [etag] = {answer.headers["etag"] for answer in answers}
    assert etag != weights(http, model_id, "safetensors").headers["etag"]
    [made] = folder_of(context, model_id).glob(f"*.{format}")
    written = made.stat().st_mtime_ns
    again = http.get(f"/v1/models/{model_id}/weights", params={"format": format}, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert made.stat().st_mtime_ns == written


def test_another_process_follows_when_the_one_that_writes_is_killed(app: tuple[httpx.Client, Context]):
    http, context = app
    os.kill(context.exporter.submit(os.getpid).result(), signal.SIGKILL)
    answers = [weights(http, add_model(context, "species"), "onnx").status_code for _ in range(2)]
    assert answers[-1] == 200  # the first may still have met the dying one


def test_a_model_too_large_for_onnx_is_refused_with_what_is_possible(
    species_model: str, app: tuple[httpx.Client, Context], monkeypatch: pytest.MonkeyPatch
):
    _, context = app
    from service.models.predictor import load as load_model

    monkeypatch.setattr(export, "MOST_PARAMETERS", 10)
    with pytest.raises(ValueError, match="holds up to 10 weights and biases"):
        export.to_onnx(load_model(folder_of(context, species_model)), {})


def test_what_cannot_be_exported_is_422_and_what_is_gone_404(
    app: tuple[httpx.Client, Context], monkeypatch: pytest.MonkeyPatch
):
    http, context = app
    gone = add_model(context, "species")
    shutil.rmtree(folder_of(context, gone))
    assert weights(http, gone, "onnx").status_code == 404
    assert weights(http, gone, "npz").status_code == 404
    assert not folder_of(context, gone).exists()
    unknown = weights(http, "model_" + "0" * 32, "onnx")
    assert unknown.status_code == 404

    monkeypatch.setattr("service.models.service.write", _refuse)
    answer = weights(http, add_model(context, "species"), "onnx")
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert (error["field"], error["value"], error["message"]) == ("query.format", "onnx", "too large")


def _refuse(_: Storage, folder: str, format: str, metadata: dict[str, str]) -> None:
    raise ValueError("too large")
