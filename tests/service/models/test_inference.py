"""The Open Inference Protocol below /v2, as its public client speaks it, and by hand what that one doesn't send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version
from itertools import product
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from service.context import Context
from service.health import NotReady
from tests.service.models.conftest import TABLE, add_model, records

UNKNOWN = "model_" + "0" * 32


@pytest.fixture(scope="module")
def triton(http: httpx.Client) -> Iterator[InferenceServerClient]:
    client = InferenceServerClient(str(http.base_url).removeprefix("http://").rstrip("/"))
    yield client
    client.close()


def values_of(column: pl.Series) -> tuple[str, np.ndarray]:
    if column.dtype == pl.String:
        return "BYTES", np.array(column.fill_null("").to_list(), object)
    if column.dtype == pl.Datetime:
        return "BYTES", np.array(column.dt.to_string("iso:strict").fill_null("").to_list(), object)
    if column.dtype == pl.Boolean:
        return "BOOL", column.to_numpy()
    return "FP64", column.cast(pl.Float64).to_numpy()


def inputs_of(table: pl.DataFrame, *, binary: bool, nested: bool = False) -> list[InferInput]:
    inputs = []
    for column in table:
        datatype, values = values_of(column)
        shaped = values[:, np.newaxis] if nested else values
        inputs.append(InferInput(column.name, list(shaped.shape), datatype))
        inputs[-1].set_data_from_numpy(shaped, binary_data=binary)
    return inputs


def predicted(http: httpx.Client, model_id: str, table: pl.DataFrame) -> list[dict[str, Any]]:
    return http.post(f"/v1/models/{model_id}/predict", json={"rows": records(table)}).json()["data"]


def test_the_server_tells_of_itself(triton: InferenceServerClient):
    assert triton.is_server_live()
    assert triton.is_server_ready()
    told = triton.get_server_metadata()
    assert told == {"name": "deltabar", "version": version("deltabar"), "extensions": ["binary_tensor_data"]}


def test_a_server_that_cannot_work_is_not_ready(http: httpx.Client, monkeypatch: pytest.MonkeyPatch):
    def broken(_: Context) -> str:
        raise NotReady("the disk is full")

    monkeypatch.setattr("service.health._storage", broken)
    answer = http.get("/v2/health/ready")
    assert answer.status_code == 503
    assert answer.json() == {"error": "storage: the disk is full"}


def test_a_model_tells_of_its_tensors(triton: InferenceServerClient, species_model: str):
    assert triton.is_model_ready(species_model)
    assert not triton.is_model_ready(UNKNOWN)
    told = triton.get_model_metadata(species_model)
    assert told["name"] == species_model
    assert told["inputs"] == [
        {"name": "length", "datatype": "FP64", "shape": [-1, 1]},
        {"name": "island", "datatype": "BYTES", "shape": [-1, 1]},
        {"name": "tagged", "datatype": "BOOL", "shape": [-1, 1]},
        {"name": "seen", "datatype": "BYTES", "shape": [-1, 1]},
        {"name": "mass", "datatype": "FP64", "shape": [-1, 1]},
    ]
    assert told["outputs"] == [
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP64", "shape": [-1, 3]},
    ]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("binary", [False, True])
def test_labels_are_those_of_predict(
    http: httpx.Client, triton: InferenceServerClient, species_model: str, binary: bool, nested: bool
):
    table = TABLE.drop("species")
    outputs = [InferRequestedOutput(name, binary_data=binary) for name in ("probabilities", "label")]
    inputs = inputs_of(table, binary=binary, nested=nested)
    answer = triton.infer(species_model, inputs, outputs=outputs, request_id="7")
    expected = predicted(http, species_model, table)
    labels, probabilities = answer.as_numpy("label"), answer.as_numpy("probabilities")
    assert labels is not None
    texts = [label.decode() if isinstance(label, bytes) else label for label in labels.tolist()]
    assert texts == [each["label"] for each in expected]
    np.testing.assert_array_equal(probabilities, [list(each["probabilities"].values()) for each in expected])
    response = answer.get_response()
    assert (response["model_name"], response["id"]) == (species_model, "7")
    assert [output["name"] for output in response["outputs"]] == ["probabilities", "label"]


def test_numbers_in_their_own_unit_by_the_defaults_of_the_client(
    app: tuple[httpx.Client, Context], triton: InferenceServerClient
):
    http, context = app
    model_id = add_model(context, "mass")
    table = TABLE.drop("mass", "species")  # a column that is left out is missing
    value = triton.infer(model_id, inputs_of(table, binary=True)).as_numpy("value")
    np.testing.assert_array_equal(value, [each["value"] for each in predicted(http, model_id, table)])


@pytest.mark.parametrize(
    ("datatype", "binary"),
    # The client has no FP16 in JSON.
    [("FP16", True), *product(["FP32", "INT64", "INT16", "UINT16", "UINT64"], [False, True])],
)
def test_numbers_of_every_type(
    http: httpx.Client, triton: InferenceServerClient, species_model: str, datatype: str, binary: bool
):
    dtypes: dict[str, type[np.generic]] = {
        **{"FP32": np.float32, "FP16": np.float16, "INT64": np.int64},
        **{"INT16": np.int16, "UINT16": np.uint16, "UINT64": np.uint64},
    }
    tensor = InferInput("mass", [2], datatype)
    tensor.set_data_from_numpy(np.array([4000, 5000], dtypes[datatype]), binary_data=binary)
    outputs = [InferRequestedOutput("probabilities", binary_data=False)]
    found = triton.infer(species_model, [tensor], outputs=outputs).as_numpy("probabilities")
    expected = predicted(http, species_model, pl.DataFrame({"mass": [4000, 5000]}))
    np.testing.assert_array_equal(found, [list(each["probabilities"].values()) for each in expected])


def test_what_is_no_number_comes_back_as_such(triton: InferenceServerClient, app: tuple[httpx.Client, Context]):
    _, context = app
    model_id = add_model(context, "species")
    predictor = context.predictors.get(_folder(context, model_id))
    predictor.network.parameters[:] = np.nan
    inputs = inputs_of(TABLE.drop("species"), binary=False)
    for binary, missing in ((False, None), (True, b"")):
        outputs = [InferRequestedOutput(name, binary_data=binary) for name in ("label", "probabilities")]
        answer = triton.infer(model_id, inputs, outputs=outputs)
        labels, probabilities = answer.as_numpy("label"), answer.as_numpy("probabilities")
        assert labels is not None
        assert probabilities is not None
        assert set(labels.tolist()) == {missing}
        assert np.isnan(probabilities).all()


def _folder(context: Context, model_id: str) -> Any:
    from service.tables import Model

    with context.database.read() as session:
        return context.storage.path(session.get_one(Model, model_id).folder)


def tensor(name: str = "mass", datatype: str = "FP64", shape: Any = (2,), **rest: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape), **({"data": [1, 2]} | rest)}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"inputs": []}, "inputs: list should have at least 1 item"),
        ({}, "inputs: this field is required"),
        ({"inputs": [tensor()], "rows": []}, "rows: there is no such field"),
        ({"inputs": [tensor(datatype="STRING")]}, "inputs.0.datatype"),
        (
            {"inputs": [tensor(datatype="BYTES", data=["1", "2"])]},
            "a numeric column can't come as BYTES",
        ),
        ({"inputs": [tensor(data=["1", 2])]}, "inputs.mass.0: the model was trained on numeric values"),
        ({"inputs": [tensor(data=[[1, 2]])]}, "its shape is [2], and there are 1 values"),
        ({"inputs": [tensor(shape=(3,))]}, "its shape is [3], and there are 2 values"),
        ({"inputs": [tensor(shape=(1, 2))]}, "its shape is [1, 2]; expected [n] or [n, 1]"),
        ({"inputs": [tensor(shape=(0,), data=[])]}, "its shape is [0]; expected"),
        ({"inputs": [tensor(), tensor("length", shape=(1,), data=[1])]}, "this column has 1 values"),
        ({"inputs": [tensor(), tensor()]}, "there is a second input of this name"),
        ({"inputs": [tensor(data=None)]}, "its values are expected either in data, or in binary"),
        ({"inputs": [tensor(parameters={"binary_data_size": 16})]}, "its values are expected either in data, or"),
        ({"inputs": [tensor(data=None, parameters={"binary_data_size": 16})]}, "add up to 16"),
        ({"inputs": [tensor("wings")]}, "inputs.wings: the model has no such column; expected one of: length"),
        ({"inputs": [tensor("species", "BYTES")]}, "this is the column that the model predicts"),
        ({"inputs": [tensor("seen", "BYTES", data=["now", ""])]}, "expected a date as in ISO 8601"),
        ({"inputs": [tensor()], "outputs": [{"name": "value"}]}, "the model gives no 'value'; expected one of: label,"),
        ({"inputs": [tensor(shape=(51,), data=[1] * 51)]}, "expected from 1 to 50 rows a call"),
    ],
)
def test_what_is_wrong_is_said_in_the_form_of_the_protocol(
    http: httpx.Client, species_model: str, body: dict[str, Any], said: str
):
    answer = http.post(f"/v2/models/{species_model}/infer", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("json_length", "body"),
    [
        ("999", b"{}"),
        ("-1", b"{}"),
        ("x", b"{}"),
        ("2", b"{}\x00"),
        (None, b"\xff"),
        (None, b"["),
        (None, b"[" * 10_000),
    ],
)
def test_a_body_that_is_none_is_refused(http: httpx.Client, species_model: str, json_length: str | None, body: bytes):
    headers = {} if json_length is None else {"Inference-Header-Content-Length": json_length}
    answer = http.post(f"/v2/models/{species_model}/infer", content=body, headers=headers)
    assert answer.status_code == 422
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("data", [b"\x02\x00\x00\x00a", b"\x01\x00", b"\x01\x00\x00\x00\xff"])
def test_binary_texts_that_are_none_are_refused(http: httpx.Client, species_model: str, data: bytes):
    head = json.dumps(
        {"inputs": [tensor("island", "BYTES", (1,), data=None, parameters={"binary_data_size": len(data)})]}
    )
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = http.post(f"/v2/models/{species_model}/infer", content=head.encode() + data, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("inputs.island: ")


def test_errors_reach_the_client(triton: InferenceServerClient):
    with pytest.raises(InferenceServerException, match="There is no model with the id"):
        triton.get_model_metadata(UNKNOWN)


@pytest.mark.parametrize("path", ["/v2/nothing", "/v2/models/x/versions/1/infer"])
def test_paths_that_are_none_answer_in_the_form_of_the_protocol(http: httpx.Client, path: str):
    answer = http.get(path)
    assert answer.status_code == 404
    assert list(answer.json()) == ["error"]
