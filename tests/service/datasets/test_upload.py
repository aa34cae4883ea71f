"""POST /v1/datasets: what is kept, and that nothing is kept of a body that is refused."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI

from service import examples, problem_handlers
from service.caller import SERVICE
from service.datasets import service, upload
from service.datasets.ingest import Table
from service.datasets.ingestion import Ingestion
from service.datasets.routes import router
from tests.service.datasets.conftest import MAX_BYTES, MAX_COLUMNS, App
from tests.service.processes import eventually

PENGUINS = examples.PENGUINS.read_bytes()


def files_of(dataset_id: str) -> set[str]:
    """The files of a data set of one batch."""
    names = ["upload", "table/schema.json", "table/sample.arrow", "table/000000.arrow"]
    return {f"datasets/{dataset_id}/{name}" for name in names}


def unique_csv(text: str) -> bytes:
    return f"a,b\n1,{text}\n2,x\n".encode()


def test_a_new_data_set_is_described(app: App):
    answer = app.post(PENGUINS, "penguins.csv")
    assert answer.status_code == 201
    dataset = answer.json()
    assert answer.headers["location"] == f"/v1/datasets/{dataset['id']}"
    assert {key: value for key, value in dataset.items() if key not in ("columns", "id", "created_at")} == {
        "options": {
            "delimiter": "comma",
            "quote": "double",
            "header": "yes",
            "encoding": "utf-8",
            "decimal": "point",
        },
        "warnings": [],
        "object": "dataset",
        "owner": "local",
        "name": "penguins.csv",
        "sha256": hashlib.sha256(PENGUINS).hexdigest(),
        "format": "csv",
        "bytes": len(PENGUINS),
        "rows": 344,
    }
    assert abs(dataset["created_at"] - time.time()) < 60
    assert {column["name"]: column["kind"] for column in dataset["columns"]} == {
        "species": "categorical",
        "island": "categorical",
        "bill_length_mm": "numeric",
        "bill_depth_mm": "numeric",
        "flipper_length_mm": "numeric",
        "body_mass_g": "numeric",
        "sex": "categorical",
        "year": "numeric",
    }
    ids, files = app.kept()
    assert dataset["id"] in ids
    assert files_of(dataset["id"]) <= files


def test_the_same_bytes_are_the_same_data_set(app: App):
    first = app.post(unique_csv("same"), "first")
    before = app.kept()
    second = app.post(unique_csv("same"), "second")
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    assert second.headers["location"] == first.headers["location"]
    assert app.kept() == before


def test_the_same_bytes_twice_at_once_are_one_data_set(app: App, monkeypatch: pytest.MonkeyPatch):
    both_have_looked = threading.Barrier(2)

    async def slow_ingest(self: Ingestion, *arguments: Any) -> Table:
        await anyio.to_thread.run_sync(both_have_looked.wait, 30)
        return await ingest(self, *arguments)

    ingest = Ingestion.ingest
    monkeypatch.setattr(Ingestion, "ingest", slow_ingest)
    ids, files = app.kept()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: app.post(unique_csv("twins")), range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    new = answers[0].json()["id"]
    assert app.kept() == (ids | {new}, files | files_of(new))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/tmp/x", "ünï 'code'", "x" * 200])
def test_a_name_is_text_and_never_a_path(app: App, name: str):
    dataset = app.post(unique_csv(f"name {len(name)} {name[0]}"), name).json()
    assert dataset["name"] == name
    assert all(file.startswith("datasets/ds_") for file in app.kept()[1])


def test_a_data_set_without_name_is_untitled(app: App):
    assert app.post(unique_csv("no name")).json()["name"] == "untitled"


@pytest.mark.parametrize("name", ["", "x" * 201])
def test_a_name_has_limits(app: App, name: str):
    before = app.kept()
    answer = app.post(unique_csv("name"), name)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    [error] = answer.json()["errors"]
    assert error["field"] == "query.name"
    assert error["allowed"]
    assert app.kept() == before


def test_a_body_of_several_pieces_is_kept_byte_for_byte(app: App):
    row = b"1.5,some text,3\n"
    body = b"a,b,c\n" + row * (2 * upload.PIECE // len(row))
    dataset = app.post(body).json()
    assert dataset["bytes"] == len(body)
    assert app.http.get(f"/v1/datasets/{dataset['id']}/content").content == body


def test_an_empty_body_is_refused(app: App):
    before = app.kept()
    answer = app.post(b"")
    assert (answer.status_code, answer.json()["code"]) == (422, "unreadable_dataset")
    assert answer.json()["errors"][0]["message"] == "the body is empty"
    assert app.kept() == before


def test_a_form_with_a_file_in_it_is_refused_with_the_way_to_send_the_file(app: App):
    before = app.kept()
    answer = app.http.post("/v1/datasets", files={"file": ("penguins.csv", b"a,b\n1,2\n")})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "curl -T" in answer.json()["detail"]
    [error] = answer.json()["errors"]
    assert error["field"] == "header.content-type"
    assert error["value"].startswith("multipart/form-data")
    assert app.kept() == before


def test_too_many_columns_are_refused(app: App):
    before = app.kept()
    header = ",".join(f"c{i}" for i in range(MAX_COLUMNS + 1))
    answer = app.post(f"{header}\n{header}\n".encode())
    assert (answer.status_code, answer.json()["code"]) == (422, "unreadable_dataset")
    [error] = answer.json()["errors"]
    assert (error["field"], error["value"], error["allowed"]) == (
        "body",
        MAX_COLUMNS + 1,
        f"up to {MAX_COLUMNS} columns (the setting DELTABAR_MAX_COLUMNS)",
    )
    assert app.kept() == before


def test_a_body_that_is_too_large_is_refused(app: App):
    before = app.kept()
    answer = app.post(b"a,b\n" + b"1,2\n" * (MAX_BYTES // 4))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    [error] = answer.json()["errors"]
    assert (error["field"], error["value"]) == ("body", MAX_BYTES + 4)
    assert f"up to {MAX_BYTES} bytes" in error["allowed"]
    assert app.kept() == before


@pytest.mark.parametrize("failing", ["Request", "_store", "_insert"])
def test_nothing_is_kept_when_the_service_fails(app: App, monkeypatch: pytest.MonkeyPatch, failing: str):
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(service, failing, fail)
    before = app.kept()
    # uvicorn closes the connection after an exception, and the client of the next test must not find it closed.
    answer = app.post(unique_csv(f"fails in {failing}"), connection="close")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "planted" not in answer.text
    assert app.kept() == before


# Bodies that end too early, or never: seen from inside ...

Messages = Iterable[dict[str, Any]]


def asgi_post(app: App, messages: Messages, headers: dict[str, str]) -> tuple[httpx.Response, int]:
    """Post these ASGI messages; return the answer, and how many messages were taken."""
    routes_only = FastAPI()
    problem_handlers.install(routes_only)
    routes_only.include_router(router)
    routes_only.state.context = app.context
    scope = {
        "type": "http", "method": "POST", "path": "/v1/datasets", "query_string": b"", "http_version": "1.1",
        "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
        "state": {"caller": SERVICE},
    }  # fmt: skip
    sent: list[dict[str, Any]] = []
    taken = 0
    waiting = iter(messages)

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return next(waiting)

    async def send(message: Any) -> None:
        sent.append(message)

    call: Callable[..., Awaitable[None]] = routes_only
    anyio.run(call, scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=body), taken


def part(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(
    ("messages", "headers", "value", "allowed"),
    [
        ([part(b"a,b\n1,"), {"type": "http.disconnect"}], {"content-length": "50"}, 6, "all 50 bytes"),
        ([part(b"a,b\n1,2\n"), {"type": "http.disconnect"}], {}, 8, "all bytes of the body"),
        ([part(b"a,b\n1,2\n", more=False)], {"content-length": "50"}, 8, "all 50 bytes"),
        ([{"type": "http.disconnect"}], {"content-length": "50"}, 0, "all 50 bytes"),
        ([part(b"a,b\n" + b"1,2\n" * 2**19), {"type": "http.disconnect"}], {}, 4 + 2**21, "all bytes of the body"),
    ],
    ids=["known length", "chunked", "too short", "nothing", "after pieces were written"],
)
def test_nothing_is_kept_of_a_body_cut_off(
    app: App, messages: Messages, headers: dict[str, str], value: int, allowed: str
):
    before = app.kept()
    answer, _ = asgi_post(app, messages, headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "body_incomplete")
    [error] = answer.json()["errors"]
    assert (error["field"], error["value"]) == ("body", value)
    assert allowed in error["allowed"]
    assert app.kept() == before


def test_a_length_over_the_limit_is_refused_before_the_body_is_asked_for(app: App):
    answer, taken = asgi_post(app, [], {"content-length": str(MAX_BYTES + 1)})
    assert (answer.status_code, answer.json()["code"], taken) == (413, "body_too_large", 0)


def test_an_endless_body_is_refused_as_soon_as_it_is_too_large(app: App):
    before = app.kept()
    piece = part(b"1,2\n" * 2**14)

    def endless() -> Messages:
        while True:
            yield piece

    answer, taken = asgi_post(app, endless(), {})
    assert answer.status_code == 413
    assert taken == MAX_BYTES // len(piece["body"]) + 1
    assert app.kept() == before


# ... and on a real socket.


@pytest.mark.parametrize("length", ["content-length: 5000", "transfer-encoding: chunked"])
def test_nothing_is_kept_when_the_connection_breaks_in_the_middle(app: App, length: str):
    before = app.kept()
    body = "8\r\na,b\n1,2\n\r\n" if "chunked" in length else "a,b\n1,2\n"
    request = f"POST /v1/datasets HTTP/1.1\r\nhost: {app.http.base_url.host}\r\n{length}\r\n\r\n{body}"
    with socket.create_connection((app.http.base_url.host, app.http.base_url.port or 80)) as connection:
        connection.sendall(request.encode())
        assert eventually(lambda: len(app.kept()[1]) == len(before[1]) + 1)  # the draft is there
    assert eventually(lambda: app.kept() == before)
    assert app.http.get("/v1/datasets").status_code == 200
