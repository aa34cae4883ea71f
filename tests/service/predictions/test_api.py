"""Predictions over HTTP: asked for once with an `Idempotency-Key`, and followed as jobs are."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from service import tables
from service.client import Client
from service.context import Context
from service.ids import new_id
from service.jobs import held, queue
from service.jobs.held import News
from tests.service.conftest import NewDatabase
from tests.service.jobs.api.asking import problem
from tests.service.live import live
from tests.service.models.conftest import TABLE, add_model
from tests.service.processes import PATIENCE, eventually

ROWS = 60


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, new_database: NewDatabase) -> Iterator[tuple[httpx.Client, Context]]:
    with new_database() as database, live(tmp_path_factory.mktemp("api"), poll_seconds=0.02, **database) as running:
        yield running


@pytest.fixture(scope="module")
def http(app: tuple[httpx.Client, Context]) -> httpx.Client:
    return app[0]


@pytest.fixture(scope="module")
def context(app: tuple[httpx.Client, Context]) -> Context:
    return app[1]


@pytest.fixture(scope="module")
def body(http: httpx.Client, context: Context) -> dict[str, Any]:
    """What asks for a prediction."""
    content = TABLE.write_csv().splitlines()
    rows = "\n".join([content[0], *content[1:] * (ROWS // TABLE.height)])
    dataset = http.post("/v1/datasets", content=rows)
    assert dataset.is_success, dataset.text
    return {"model_id": add_model(context, "species"), "dataset_id": dataset.json()["id"]}


@pytest.fixture
def key() -> str:
    return new_id("req")


def ask(http: httpx.Client, body: dict[str, Any], key: str) -> httpx.Response:
    return http.post("/v1/predictions", json=body, headers={"Idempotency-Key": key})


def listed(http: httpx.Client) -> list[str]:
    return [each["id"] for each in http.get("/v1/predictions", params={"limit": 100}).json()["data"]]


def test_the_same_prediction_with_the_same_key_is_queued_once(http: httpx.Client, body: dict[str, Any], key: str):
    before = len(listed(http))
    first, again = ask(http, body, key), ask(http, dict(reversed(body.items())), key)
    assert [first.status_code, again.status_code] == [202, 202]
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"] == f"/v1/predictions/{first.json()['id']}"
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(listed(http)) == before + 1


def test_a_key_is_for_one_job_of_whatever_kind(http: httpx.Client, body: dict[str, Any], key: str):
    made = ask(http, body, key).json()["id"]
    [error] = problem(ask(http, {**body, "format": "parquet"}, key), 422, "idempotency_key_reused")["errors"]
    assert error["field"] == "header.idempotency-key"
    assert made in error["message"]
    job = {"dataset_id": body["dataset_id"], "target": "species"}
    answer = http.post("/v1/jobs", json=job, headers={"Idempotency-Key": key})
    assert made in problem(answer, 422, "idempotency_key_reused")["detail"]


def test_what_is_refused_uses_no_key_up(http: httpx.Client, body: dict[str, Any], key: str):
    problem(ask(http, {**body, "format": "xml"}, key), 422, "invalid_request")
    problem(ask(http, {**body, "model_id": "model_" + "0" * 32}, key), 422, "invalid_request")
    assert "idempotent-replayed" not in ask(http, body, key).headers


def test_a_deleted_prediction_is_gone(http: httpx.Client, body: dict[str, Any], key: str):
    made = ask(http, body, key).json()["id"]
    http.post(f"/v1/predictions/{made}/cancel")
    assert http.delete(f"/v1/predictions/{made}").status_code == 204
    assert made in problem(ask(http, body, key), 410, "job_deleted")["detail"]


def test_while_the_first_is_worked_on_the_second_is_told_so(
    http: httpx.Client, context: Context, body: dict[str, Any], key: str
):
    with ThreadPoolExecutor(1) as pool:
        with context.database.write() as session:  # a lock that every post on the data set waits for
            session.get(tables.Dataset, body["dataset_id"], with_for_update=True)
            first = pool.submit(ask, http, body, key)
            assert eventually(lambda: ("local", key) in context.in_flight)
            refused = ask(http, body, key)
            problem(refused, 409, "idempotency_key_in_flight")
            assert refused.headers["retry-after"] == "1"
        made = first.result()
    assert made.status_code == 202
    assert ask(http, body, key).json()["id"] == made.json()["id"]


def test_events_are_paged_and_streamed_to_the_end_that_is_nothing(
    http: httpx.Client, context: Context, body: dict[str, Any]
):
    while lease := queue.claim(context.database, lease_seconds=30):
        held.cancel(context.database, lease)
    made = http.post("/v1/predictions", json=body).json()["id"]
    lease = queue.claim(context.database, lease_seconds=30)
    assert lease is not None
    path = f"/v1/predictions/{made}/events"
    with Client(str(http.base_url), timeout=PATIENCE) as client:
        events = client.predictions.get(made).events()
        assert [next(events).data["state"] for _ in range(2)] == ["queued", "running"]
        news = News("rows", {"rows_done": 30, "rows": ROWS, "seconds": 0.5}, 1.0)
        held.append(context.database, lease, [news], lease_seconds=30)
        third = next(events)
        assert (third.sequence, third.kind, third.data) == (3, "rows", news.data)
        assert client.predictions.get(made).rows_done == 30
        held.succeed_without_model(context.database, lease, result={"bytes": 1, "seconds": 0.5})
        assert [event.data for event in events] == [{"state": "succeeded"}]
        assert [each.sequence for each in client.predictions.history(made, after=1, limit=2).data] == [2, 3]
    page = http.get(path, params={"limit": 3}).json()
    assert [each["kind"] for each in page["data"]] == ["state", "state", "rows"]
    assert page["has_more"]
    rest = http.get(f"{path}/stream", headers={"Last-Event-ID": "3"})
    assert rest.headers["content-type"].startswith("text/event-stream")
    assert rest.text.endswith('id: 4\nevent: state\ndata: {"state":"succeeded"}\n\n')
    assert http.get(f"{path}/stream", headers={"Last-Event-ID": "4"}).status_code == 204


def test_each_kind_has_its_own_events(http: httpx.Client, body: dict[str, Any]):
    made = http.post("/v1/predictions", json=body).json()["id"]
    job = http.post("/v1/jobs", json={"dataset_id": body["dataset_id"], "target": "species"}).json()["id"]
    for path in ("events", "events/stream"):
        problem(http.get(f"/v1/jobs/{made}/{path}"), 404, "job_not_found")
        problem(http.get(f"/v1/predictions/{job}/{path}"), 404, "prediction_not_found")
