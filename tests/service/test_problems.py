"""Errors: each is a problem document that names the field, the value and what is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import text

from service.context import Context
from service.problems import dump, echo, field_errors, invalid, plain
from service.schemas import FieldError
from tests.service.live import live

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with live(tmp_path_factory.mktemp("problems"), max_body_bytes=2048) as (client, _):
        yield client


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert set(document) == {"type", "title", "status", "detail", "code", "errors", "instance"}
    assert document["instance"] == f"urn:deltabar:request:{answer.headers['x-request-id']}"
    assert (document["status"], document["code"]) == (status, code)
    assert document["type"] == f"urn:deltabar:problem:{code}"
    assert "Traceback" not in answer.text
    return document


def test_a_path_that_is_not_there(http: httpx.Client):
    assert "/nothing" in assert_problem(http.get("/nothing"), 404, "path_not_found")["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("PUT", "/v1/jobs", "GET, POST"), ("PATCH", "/v1/jobs/x", "DELETE, GET"), ("OPTIONS", "/healthz", "GET")],
)
def test_a_method_that_is_not_allowed_says_which_are(http: httpx.Client, method: str, path: str, allowed: str):
    answer = http.request(method, path)
    document = assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allowed
    assert allowed in document["detail"]


def test_broken_json_says_where_it_breaks(http: httpx.Client):
    document = assert_problem(http.post("/v1/jobs", content='{"target": }', headers=JSON), 422, "invalid_request")
    [error] = document["errors"]
    assert error["field"] == "body"
    assert "character 11" in error["message"]
    assert "JSON" in error["allowed"]


@pytest.mark.parametrize(
    "body", [b"\xff\xfe\xff", b"[" * 2000, b'{"epochs": ' + b"9" * 1500 + b"}"], ids=["utf-8", "deep", "long"]
)
def test_json_that_python_cannot_read_is_the_callers_fault(http: httpx.Client, body: bytes):
    answer = http.post("/v1/jobs", content=body, headers=JSON)
    assert answer.status_code in (400, 422)
    assert_problem(answer, answer.status_code, answer.json()["code"])


def test_half_a_character_is_no_text(http: httpx.Client):
    body = b'{"dataset_id": "ds_00000000000000000000000000000000", "target": "\\ud800"}'
    [error] = assert_problem(http.post("/v1/jobs", content=body, headers=JSON), 422, "invalid_request")["errors"]
    assert error["field"] == "target"
    assert "surrogate" in error["allowed"]


@pytest.mark.parametrize("headers", [{}, {"content-type": "text/plain"}])
def test_a_body_that_is_not_declared_as_json(http: httpx.Client, headers: dict[str, str]):
    document = assert_problem(http.post("/v1/jobs", content=b"{}", headers=headers), 415, "unsupported_media_type")
    assert document["errors"][0]["allowed"] == "application/json"


def test_every_message_comes_at_once(http: httpx.Client):
    answer = http.post("/v1/jobs", json={"dataset_id": "ds_1", "epochs": 0, "dropout": 0.1, "batch_size": True})
    errors = {error["field"]: error for error in assert_problem(answer, 422, "invalid_request")["errors"]}
    assert set(errors) == {"dataset_id", "target", "epochs", "dropout", "batch_size"}
    assert (errors["epochs"]["value"], errors["epochs"]["allowed"]) == (0, "≥ 1")
    assert "epochs" in errors["dropout"]["allowed"]
    assert errors["target"]["message"] == "this field is required"


@pytest.mark.parametrize(
    ("query", "field", "allowed"),
    [
        ("limit=0", "query.limit", "≥ 1"),
        ("limit=x", "query.limit", "an integer"),
        ("after=" + "x" * 65, "query.after", "characters"),
    ],
)
def test_query_parameters_are_named_too(http: httpx.Client, query: str, field: str, allowed: str):
    [error] = assert_problem(http.get(f"/v1/models?{query}"), 422, "invalid_request")["errors"]
    assert error["field"] == field
    assert allowed in error["allowed"]


def test_an_announced_body_that_is_too_large_is_refused_unread(http: httpx.Client):
    document = assert_problem(http.post("/v1/jobs", content=b" " * 2049, headers=JSON), 413, "body_too_large")
    [error] = document["errors"]
    assert (error["field"], error["value"]) == ("body", 2049)
    assert "2048" in error["allowed"]
    assert "DELTABAR_MAX_BODY_BYTES" in error["allowed"]


def test_a_streamed_body_is_counted(http: httpx.Client):
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    answer = http.post("/v1/jobs", content=pieces(), headers=JSON)
    assert "content-length" not in answer.request.headers
    assert_problem(answer, 413, "body_too_large")
    assert_problem(http.get("/nothing"), 404, "path_not_found")  # the connection still serves


def test_the_largest_body_allowed_is_taken(http: httpx.Client):
    body = b'{"target": "x"}'.ljust(2048)
    assert_problem(http.post("/v1/jobs", content=body, headers=JSON), 422, "invalid_request")


def test_the_upload_has_a_limit_of_its_own(http: httpx.Client):
    table = "x,y\n" + "1,a\n2,b\n" * 1000
    assert http.post("/v1/datasets", params={"name": "large"}, content=table).status_code == 201


def test_an_unexpected_error_tells_nothing_of_the_inside(tmp_path):
    with live(tmp_path) as (http, context):
        break_tables(context)
        document = assert_problem(http.get("/v1/models"), 500, "internal_error")
        assert "models" not in document["detail"]


def test_health_and_readiness(tmp_path):
    with live(tmp_path) as (http, context):
        assert http.get("/healthz").json() == {"status": "ok"}
        assert http.get("/readyz").json()["status"] == "ok"
        break_tables(context)
        assert http.get("/healthz").status_code == 200
        assert_problem(http.get("/readyz"), 503, "not_ready")


def break_tables(context: Context) -> None:
    with context.database.write() as session:
        session.execute(text("DROP TABLE models"))
        session.execute(text("DROP TABLE jobs"))


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    units: int = Field(ge=1)


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    layers: list[Inner] = []


def test_an_unknown_field_deep_inside_lists_those_that_stand_there():
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"layers": [{"units": 1}, {"units": 0, "unit": 1}]})
    errors = [{**error, "loc": ("body", *error["loc"])} for error in caught.value.errors()]
    found = {error.field: error for error in field_errors(errors, Outer)}
    assert found["layers.1.unit"].allowed == "one of: units"
    assert found["layers.1.units"].allowed == "≥ 1"


def test_the_detail_names_the_first_three_and_counts_the_rest():
    problem = invalid([FieldError(field=f"f{k}", message="is wrong") for k in range(5)])
    assert problem.detail == "f0: is wrong; f1: is wrong; f2: is wrong; and 2 more"
    assert len(problem.document()["errors"]) == 5


def anything() -> st.SearchStrategy[Any]:
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary()
    return st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(anything())
def test_an_echo_is_always_valid_json_and_short(value: Any):
    echoed = dump(echo(value))
    assert len(echo(value)) <= 201 if isinstance(echo(value), str) else True
    echoed.encode()


@given(st.recursive(st.floats(), st.lists, max_leaves=20))
def test_what_is_no_number_becomes_null(value: Any):
    assert "NaN" not in dump(value)
    assert "Infinity" not in dump(value)
    assert plain(plain(value)) == plain(value)
