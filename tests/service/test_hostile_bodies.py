"""Bodies that are meant to do harm, or are merely broken, on every route that takes one: 4xx, quickly, nothing kept."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from service import tables
from service.app import create_app
from service.context import Context
from service.problems import MEDIA_TYPE
from service.settings import Settings
from tests.service.history import files_below
from tests.service.live import live
from tests.service.processes import PATIENCE, eventually
from tests.service.workplace import PENGUINS

JSON = {"content-type": "application/json"}
JSON_LINES = [f"{name}: {value}" for name, value in JSON.items()]
UNKNOWN = "0" * 32
VALIDATE = "/v1/jobs/validate"
UPLOAD = "/v1/datasets"


def _paths() -> list[str]:
    described = create_app(Settings()).openapi()["paths"]
    return [path for path, item in described.items() if "requestBody" in item.get("post", {})]


PATHS = _paths()
INFER = "/v2/models/{model_id}/infer"
WITH_JSON = [path for path in PATHS if path not in (UPLOAD, INFER)]
# No JSON at all, or none that Python can read: these are refused wherever they are sent.
UNREADABLE = {
    "empty": b"",
    "cut off": b'{"target": "spec',
    "not utf-8": b'{"target": "\xff\xfe"}',
    "nul": b"\0" * 64,
    "deep lists": b"[" * 10_000,
    "deep objects": b'{"a":' * 10_000,
    "digits": b'{"epochs": ' + b"9" * 100_000 + b"}",
}
# JSON as Python reads it, in which some field is at fault: what is told must name one.
READABLE = {
    "nan": b'{"epochs": NaN, "rows": NaN}',
    "infinity": b'{"epochs": -Infinity, "rows": Infinity}',
    "1e999": b'{"epochs": 1e999, "rows": 1e999}',
    "utf-16": '{"epochs": "x"}'.encode("utf-16"),
    "list": b"[]",
    "null": b"null",
    "number": b"1e308",
    "text": b'"job"',
    "duplicate keys": b'{"epochs": 1, "epochs": "x", "rows": [], "rows": "x"}',
    "half a surrogate": b'{"target": "\\ud800", "dataset_id": "\\udfff", "rows": "\\ud800"}',
    "nul in a text": b'{"target": "a\\u0000b", "dataset_id": "\\u0000", "rows": "\\u0000"}',
    "huge text": b'{"dataset_id": "' + b"x" * 1_000_000 + b'"}',
    "huge key": b'{"' + b"k" * 1_000_000 + b'": 1}',
    "many keys": json.dumps({f"k{k}": k for k in range(2000)}).encode(),
    "prototype": b'{"__proto__": {"x": 1}, "__class__": "x"}',
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Context]]:
    with live(tmp_path_factory.mktemp("hostile")) as running:
        yield running


@pytest.fixture(scope="module")
def http(app: tuple[httpx.Client, Context]) -> httpx.Client:
    return app[0]


@pytest.fixture(scope="module")
def dataset_id(http: httpx.Client) -> str:
    return http.post(UPLOAD, content=PENGUINS.read_bytes()).json()["id"]


@pytest.fixture(autouse=True)
def nothing_is_kept(app: tuple[httpx.Client, Context], dataset_id: str) -> Iterator[None]:
    _, context = app

    def kept() -> tuple[list[int], set[str]]:
        each = (tables.Dataset, tables.Job, tables.Event, tables.Model)
        with context.database.read() as session:
            rows = [session.scalars(select(func.count()).select_from(table)).one() for table in each]
        return rows, files_below(context.settings.data_dir / "files")

    before = kept()
    yield
    assert eventually(lambda: kept() == before), (kept(), before)  # of a broken connection the server hears last


def at(path: str) -> str:
    return path.replace("{model_id}", f"model_{UNKNOWN}").replace("{job_id}", f"job_{UNKNOWN}")


def refused(answer: httpx.Response) -> dict[str, Any]:
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:500])
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert len(answer.content) < 1_000_000
    assert "Traceback" not in answer.text
    return answer.json()


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("path", WITH_JSON)
def test_what_is_no_json_is_refused(http: httpx.Client, path: str, body: bytes):
    assert refused(http.post(at(path), content=body, headers=JSON))["status"] in (400, 413, 422)


@pytest.mark.parametrize("body", READABLE.values(), ids=READABLE)
@pytest.mark.parametrize("path", WITH_JSON)
def test_what_is_no_request_is_refused_by_field(http: httpx.Client, path: str, body: bytes):
    answer = http.post(at(path), content=body, headers=JSON)
    if path == VALIDATE and answer.status_code == 200:
        report = answer.json()
        assert not report["valid"]
        assert report["errors"]
        return
    told = refused(answer)
    assert told["status"] == 422
    assert all(error["field"] for error in told["errors"])
    assert told["errors"]


@pytest.mark.parametrize("body", [*UNREADABLE.values(), *READABLE.values()], ids=[*UNREADABLE, *READABLE])
def test_what_is_no_inference_is_refused_in_the_form_of_its_protocol(http: httpx.Client, body: bytes):
    answer = http.post(at(INFER), content=body)
    assert answer.status_code == 422
    assert list(answer.json()) == ["error"]
    assert 0 < len(answer.json()["error"]) < 10_000


@pytest.mark.parametrize("declared", [None, "text/plain", "application/xml", "multipart/form-data; boundary=x", "json"])
@pytest.mark.parametrize("path", WITH_JSON)
def test_a_body_of_another_type_is_refused(http: httpx.Client, path: str, declared: str | None):
    headers = {} if declared is None else {"content-type": declared}
    assert refused(http.post(at(path), content=b'{"epochs": 1}', headers=headers))["status"] == 415


FIELDS = sorted(create_app(Settings()).openapi()["components"]["schemas"]["JobRequest"]["properties"])
NO_FIELD_IS = (b"NaN", b"-Infinity", b"1e999", b'{"\\ud800": 1}', b"[[[[]]]]", b'"' + b"x" * 100_000 + b'"', b"-0.5")


@pytest.mark.parametrize("value", NO_FIELD_IS, ids=lambda value: value[:12].decode())
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("path", ["/v1/jobs", VALIDATE])
def test_each_field_of_a_job_refuses_what_it_is_not(
    http: httpx.Client, dataset_id: str, path: str, field: str, value: bytes
):
    job = {"dataset_id": json.dumps(dataset_id).encode(), "target": b'"species"', field: value}
    body = b"{" + b", ".join(json.dumps(name).encode() + b": " + each for name, each in job.items()) + b"}"
    answer = http.post(path, content=body, headers=JSON)
    errors = answer.json()["errors"]
    assert answer.status_code == (200 if path == VALIDATE else 422), answer.text[:500]
    assert field in {error["field"].partition(".")[0] for error in errors}, errors
    assert len(answer.content) < 10_000


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("announced", ["100000", "-1", "x", "1e3"])
def test_a_content_length_that_lies_is_no_reason_to_wait_or_to_fail(http: httpx.Client, path: str, announced: str):
    """What a client announces and doesn't send is not waited for once it has gone."""
    with socket.create_connection((http.base_url.host, http.base_url.port or 80), timeout=PATIENCE) as connection:
        head = (f"POST {at(path)} HTTP/1.1", "Host: x", *JSON_LINES, f"Content-Length: {announced}", "", '{"epochs"')
        connection.sendall("\r\n".join(head).encode())
        connection.shutdown(socket.SHUT_WR)
        said = connection.makefile("rb").readline()
    assert said == b"" or said.split()[1].startswith(b"4"), said
    assert http.get("/healthz").status_code == 200


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\xff", b"\0" * 100, b"[" * 10_000, b"PK\x03\x04" + b"\0" * 100])
def test_an_upload_that_is_no_table_is_refused(http: httpx.Client, body: bytes):
    assert refused(http.post(UPLOAD, content=body))["errors"]


@pytest.mark.parametrize("format", ["csv", "jsonl"])
@pytest.mark.parametrize("body", [b"a,b\n1,2\n", b"a", b'{"a": 1}\n', b'\x1a+"\xd5\x00\rxX'])
def test_utf_16_without_a_byte_order_mark_is_refused(http: httpx.Client, body: bytes, format: str):
    [error] = refused(http.post(UPLOAD, params={"encoding": "utf-16", "format": format}, content=body))["errors"]
    assert "utf-16-le" in error["allowed"]
