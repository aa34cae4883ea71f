"""`Idempotency-Key`: what is asked for twice is done once, whoever is in a hurry, goes away or is killed."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from service import keys, tables
from service.client import Client
from service.context import Context
from service.ids import new_id
from service.jobs import idempotency
from tests.service.conftest import NewDatabase
from tests.service.jobs.api.asking import problem
from tests.service.live import live
from tests.service.processes import eventually


def ask(http: httpx.Client, dataset_id: str, key: str, **spec: Any) -> httpx.Response:
    body = {"dataset_id": dataset_id, "target": "species", **spec}
    return http.post("/v1/jobs", json=body, headers={"Idempotency-Key": key})


def number_of_jobs(context: Context) -> int:
    with context.database.read() as session:
        return session.scalar(select(func.count()).select_from(tables.Job)) or 0


def age(context: Context, key: str, seconds: float) -> None:
    with context.database.write() as session:
        session.execute(
            update(tables.IdempotencyKey)
            .where(tables.IdempotencyKey.key == key)
            .values(created_at=time.time() - seconds)
        )


@contextmanager
def held_up(context: Context, dataset_id: str) -> Iterator[None]:
    """Hold a lock that every post of a job on the data set waits for."""
    with context.database.write() as session:
        session.get(tables.Dataset, dataset_id, with_for_update=True)
        yield


@pytest.fixture
def key() -> str:
    return new_id("req")


def test_the_same_job_with_the_same_key_is_queued_once(http: httpx.Client, context: Context, dataset_id: str, key: str):
    before = number_of_jobs(context)
    first = ask(http, dataset_id, key, epochs=3, seed=1)
    again = http.post(
        "/v1/jobs",
        content=json.dumps({"seed": 1, "epochs": 3, "target": "species", "dataset_id": dataset_id}, indent=3),
        headers={"Idempotency-Key": key, "Content-Type": "application/json"},
    )
    assert [first.status_code, again.status_code] == [202, 202]
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert number_of_jobs(context) == before + 1


def test_a_replay_shows_the_job_as_it_stands(http: httpx.Client, dataset_id: str, key: str):
    job = ask(http, dataset_id, key).json()
    http.post(f"/v1/jobs/{job['id']}/cancel")
    assert ask(http, dataset_id, key).json()["state"] == "cancelled"


def test_another_job_with_the_same_key_is_refused(http: httpx.Client, dataset_id: str, key: str):
    job = ask(http, dataset_id, key, epochs=3).json()
    for spec in ({"epochs": 4}, {}, {"epochs": 3, "seed": 1}):
        [error] = problem(ask(http, dataset_id, key, **spec), 422, "idempotency_key_reused")["errors"]
        assert (error["field"], error["value"]) == ("header.idempotency-key", key)
        assert job["id"] in error["message"]


def test_what_is_refused_uses_no_key_up(http: httpx.Client, dataset_id: str, key: str):
    problem(ask(http, dataset_id, key, epochs=0), 422, "invalid_request")
    problem(ask(http, dataset_id, key, target="specie"), 422, "invalid_request")
    problem(ask(http, "ds_" + "0" * 32, key), 422, "invalid_request")
    assert "idempotent-replayed" not in ask(http, dataset_id, key).headers


@pytest.mark.parametrize("wrong", ["", "x" * 256, "a\tb", "ä"])
def test_a_key_has_up_to_255_printable_characters(http: httpx.Client, dataset_id: str, wrong: str):
    body = {"dataset_id": dataset_id, "target": "species"}
    answer = http.post("/v1/jobs", json=body, headers={b"Idempotency-Key": wrong.encode()})
    [error] = problem(answer, 422, "invalid_request")["errors"]
    assert error["field"] == "header.idempotency-key"
    assert ask(http, dataset_id, "~ " * 127 + "x").status_code == 202


def test_a_deleted_job_is_gone_and_none_takes_its_place(
    http: httpx.Client, context: Context, dataset_id: str, key: str
):
    job = ask(http, dataset_id, key).json()
    http.post(f"/v1/jobs/{job['id']}/cancel")
    assert http.delete(f"/v1/jobs/{job['id']}").status_code == 204
    before = number_of_jobs(context)
    assert job["id"] in problem(ask(http, dataset_id, key), 410, "job_deleted")["detail"]
    assert number_of_jobs(context) == before


def test_a_key_counts_for_a_day_and_is_swept_then(http: httpx.Client, context: Context, dataset_id: str, key: str):
    other = new_id("req")
    first = [ask(http, dataset_id, name).json()["id"] for name in (key, other)]
    age(context, key, 23 * 3600)
    assert ask(http, dataset_id, key).json()["id"] == first[0]
    age(context, key, 25 * 3600)
    age(context, other, 25 * 3600)
    assert ask(http, dataset_id, key, epochs=7).json()["id"] not in first
    idempotency.sweep(context.database)
    with context.database.read() as session:
        left = session.scalars(
            select(tables.IdempotencyKey.key).where(tables.IdempotencyKey.key.in_([key, other]))
        ).all()
    assert left == [key]


def test_owners_have_keys_of_their_own(http: httpx.Client, context: Context, dataset_id: str, key: str):
    ask(http, dataset_id, key)
    _, secret = keys.create(context.database, owner="ann")
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": key}
    content = b"x,species\n" + b"1,a\n2,b\n" * 10
    anns = http.post("/v1/datasets", content=content, headers=headers).json()["id"]
    answer = http.post("/v1/jobs", json={"dataset_id": anns, "target": "species"}, headers=headers)
    assert (answer.status_code, answer.json()["owner"]) == (202, "ann")
    assert "idempotent-replayed" not in answer.headers


def test_while_the_first_is_worked_on_the_second_is_told_so(
    http: httpx.Client, context: Context, dataset_id: str, key: str
):
    before = number_of_jobs(context)
    with ThreadPoolExecutor(1) as pool:
        with held_up(context, dataset_id):
            first: Future[httpx.Response] = pool.submit(ask, http, dataset_id, key)
            assert eventually(lambda: ("local", key) in context.in_flight)
            refused = ask(http, dataset_id, key)
            problem(refused, 409, "idempotency_key_in_flight")
            assert refused.headers["retry-after"] == "1"
            assert not first.done()
        job = first.result()
    assert job.status_code == 202
    again = ask(http, dataset_id, key)
    assert (again.json()["id"], again.headers["idempotent-replayed"]) == (job.json()["id"], "true")
    assert number_of_jobs(context) == before + 1


def test_a_client_that_goes_away_in_mid_submit_gets_the_one_job_later(
    http: httpx.Client, context: Context, dataset_id: str, key: str
):
    before = number_of_jobs(context)
    body = json.dumps({"dataset_id": dataset_id, "target": "species"}).encode()
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nIdempotency-Key: {key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    address = (http.base_url.host, http.base_url.port)
    with socket.create_connection(address) as half:
        half.sendall(head + body[:20])  # and it is gone
    with held_up(context, dataset_id), socket.create_connection(address) as whole:
        whole.sendall(head + body)
        assert eventually(lambda: ("local", key) in context.in_flight)
    assert eventually(lambda: ("local", key) not in context.in_flight)
    assert number_of_jobs(context) == before + 1
    answer = ask(http, dataset_id, key)
    assert answer.headers["idempotent-replayed"] == "true"
    assert number_of_jobs(context) == before + 1


def test_two_processes_asked_at_once_queue_one_job(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("two")
    with new_database() as settings, live(folder, **settings) as (a, context), live(folder, **settings) as (b, _):
        table = b"x,species\n" + b"1,a\n2,b\n" * 10
        dataset_id = a.post("/v1/datasets", content=table).json()["id"]
        for n in range(10):
            together = threading.Barrier(2)

            def post(http: httpx.Client, key: str = f"key {n}", together: threading.Barrier = together) -> Any:
                together.wait()
                return ask(http, dataset_id, key)

            with ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(post, (a, b)))
            assert [answer.status_code for answer in answers] == [202, 202], [answer.text for answer in answers]
            assert len({answer.json()["id"] for answer in answers}) == 1
            assert sum("idempotent-replayed" in answer.headers for answer in answers) == 1
        assert number_of_jobs(context) == 10


def test_a_client_asks_again_when_its_answer_was_lost_and_there_is_one_job(
    http: httpx.Client, context: Context, dataset_id: str
):
    before = number_of_jobs(context)
    with losing_the_first_answer(http) as (url, connections), Client(url) as client:
        job = client.jobs.create(dataset_id=dataset_id, target="species")
    assert len(connections) == 2
    assert number_of_jobs(context) == before + 1
    assert http.get(f"/v1/jobs/{job.id}").status_code == 200


@contextmanager
def losing_the_first_answer(http: httpx.Client) -> Iterator[tuple[str, list[int]]]:
    """Stand before the service; hand requests on, and of the first connection's answers nothing back."""
    connections: list[int] = []

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            connections.append(len(connections))
            with client, socket.create_connection((http.base_url.host, http.base_url.port)) as service:
                request = client.recv(65536)
                while b"\r\n\r\n" not in request or not request.endswith(b"}"):
                    request += client.recv(65536)
                service.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
                answer = b""
                while piece := service.recv(65536):
                    answer += piece
                if len(connections) > 1:
                    client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", connections
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
