"""API keys: their secrets, how long they are good for, and whose rows there are with them."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from service import keys, tables
from service.caller import LOCAL, Caller, Scope
from service.context import Context
from service.ids import new_id
from service.settings import Settings
from tests.service.live import live
from tests.service.processes import PATIENCE, eventually
from tests.service.workplace import post, upload, workplace

TABLE = b"x,y\n" + b"1,a\n2,b\n" * 10


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Context]]:
    with live(tmp_path_factory.mktemp("keys"), require_keys=True) as running:
        yield running


@pytest.fixture(scope="module")
def http(app: tuple[httpx.Client, Context]) -> httpx.Client:
    return app[0]


@pytest.fixture(scope="module")
def context(app: tuple[httpx.Client, Context]) -> Context:
    return app[1]


def status(http: httpx.Client, secret: str) -> int:
    return http.get("/v1/jobs", headers=bearer(secret)).status_code


def test_a_secret_has_256_random_bits_of_which_the_hash_is_kept(context: Context):
    made = [keys.create(context.database, owner="ann") for _ in range(20)]
    secrets = [secret for _, secret in made]
    assert len(set(secrets)) == 20
    assert all(secret.startswith("dbk_") and len(secret) == 4 + 43 for secret in secrets)
    everything = b"".join(path.read_bytes() for path in context.settings.data_dir.rglob("*") if path.is_file())
    assert made[0][0].sha256.encode() in everything
    assert not any(secret.encode() in everything or secret[4:].encode() in everything for secret in secrets)


def test_a_revoked_key_is_refused_within_a_second(http: httpx.Client, context: Context):
    key, secret = keys.create(context.database, owner="ann")
    assert status(http, secret) == 200
    assert keys.revoke(context.database, key.id)
    assert eventually(lambda: status(http, secret) == 401)
    revoked_at = time.time()
    assert keys.FRESH_SECONDS <= 0.5
    assert keys.revoke(context.database, key.id)  # again, which changes nothing
    with context.database.read() as session:
        at = session.get_one(tables.ApiKey, key.id).revoked_at
    assert at is not None
    assert at < revoked_at
    assert not keys.revoke(context.database, "key_none")


def test_a_key_expires_to_the_moment_also_while_it_is_remembered(http: httpx.Client, context: Context):
    key, secret = keys.create(context.database, owner="ann", days=1)
    assert status(http, secret) == 200
    assert key.expires_at == pytest.approx(time.time() + 86_400, abs=60)
    _, over = keys.create(context.database, owner="ann", days=-1)
    assert status(http, over) == 401


@pytest.mark.parametrize(
    "header", ["Bearer dbk_wrong", "bearer  dbk_wrong", "Bearer", "Bearer \xff", "Bearer " + "x" * 10_000]
)
def test_all_that_is_no_good_key_is_refused_alike(http: httpx.Client, header: str):
    answer = http.get("/v1/jobs", headers={b"Authorization": header.encode("latin-1")})
    assert (answer.status_code, answer.json()["code"]) == (401, "key_not_valid")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert "dbk_wrong" not in answer.text


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YTpi"}, {"Authorization": "dbk_x"}])
@pytest.mark.parametrize("path", ["/v1/jobs", "/nothing", "/v1/jobs/", "/v1/jobs?api_key=dbk_x", "//healthz"])
def test_without_a_key_nothing_is_told_not_even_what_is_there(http: httpx.Client, path: str, headers: dict[str, str]):
    answer = http.get(path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "key_required")
    assert "deltabar keys create" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/datasets"])
def test_no_body_of_a_stranger_is_waited_for(http: httpx.Client, path: str):
    with socket.create_connection((http.base_url.host, http.base_url.port), timeout=PATIENCE) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_secrets_are_in_no_log(http: httpx.Client, context: Context, caplog: pytest.LogCaptureFixture):
    _, secret = keys.create(context.database, owner="ann")
    with caplog.at_level(logging.DEBUG):
        assert status(http, secret) == 200
        assert http.post("/v1/jobs", headers=bearer(secret), json={"epochs": 0}).status_code == 422
        assert status(http, secret + "x") == 401
    assert secret not in caplog.text
    assert secret not in http.post("/v1/jobs", headers=bearer(secret), content=b"{").text


def test_the_same_bytes_of_two_owners_are_two_data_sets_and_one_survives_the_other(
    http: httpx.Client, context: Context
):
    ann, bob, operator = (
        bearer(keys.create(context.database, owner=owner, scopes=[scope])[1])
        for owner, scope in (("ann", Scope.WRITE), ("bob", Scope.WRITE), ("operator", Scope.ADMIN))
    )
    made = [http.post("/v1/datasets", content=TABLE, headers=who) for who in (ann, bob, operator, ann)]
    assert [answer.status_code for answer in made] == [201, 201, 201, 200]
    ids = [answer.json()["id"] for answer in made]
    assert len(set(ids)) == 3
    assert ids[3] == ids[0]
    assert http.delete(f"/v1/datasets/{ids[0]}", headers=ann).status_code == 204
    assert http.get(f"/v1/datasets/{ids[1]}/content", headers=bob).content == TABLE
    assert http.delete(f"/v1/datasets/{ids[1]}", headers=ann).status_code == 404
    assert http.delete(f"/v1/datasets/{ids[1]}", headers=operator).status_code == 204


def test_a_job_belongs_to_the_owner_of_its_data_set_whoever_posts_it(http: httpx.Client, context: Context):
    key, secret = keys.create(context.database, owner="ann")
    operator, operators = keys.create(context.database, owner="operator", scopes=[Scope.ADMIN])
    dataset = http.post("/v1/datasets", content=TABLE + b"3,a\n", headers=bearer(secret)).json()
    body = {"dataset_id": dataset["id"], "target": "y"}
    jobs = [http.post("/v1/jobs", json=body, headers=bearer(who)).json() for who in (secret, operators)]
    assert [job["owner"] for job in jobs] == ["ann", "ann"]
    with context.database.read() as session:
        assert [session.get_one(tables.Job, job["id"]).key_id for job in jobs] == [key.id, operator.id]


@contextmanager
def two_owners(tmp_path: Path) -> Iterator[tuple[Context, Context]]:
    with workplace(tmp_path) as context:
        yield context.of(Caller("ann", frozenset())), context.of(Caller("bob", frozenset()))


def test_no_query_finds_what_is_anothers_however_it_asks(tmp_path: Path):
    job, event, other = tables.Job, tables.Event, aliased(tables.Job)
    queries: list[Any] = [
        select(job),
        select(job.id),
        select(func.count(job.id)).having(func.count(job.id) > 0),
        select(func.count()).select_from(job).having(func.count() > 0),
        select(other.id),
        select(event.job_id).join(job, job.id == event.job_id),
        select(event.job_id).where(event.job_id.in_(select(job.id))),
        select(event.job_id).where(exists().where(job.id == event.job_id)),
        select(tables.Dataset.id).join(job, job.dataset_id == tables.Dataset.id),
        select(select(job.id).subquery().c.id),
        update(job).values(priority=5).returning(job.id).execution_options(synchronize_session=False),
        delete(job).returning(job.id).execution_options(synchronize_session=False),
    ]
    with two_owners(tmp_path) as (ann, bob):
        posted = post(ann, upload(ann))
        for query in queries:
            with bob.database.write() as session:
                assert session.execute(query).all() == [], str(query)
                assert session.get(job, posted.id) is None
            with ann.database.write() as session:
                assert session.get(job, posted.id) is not None
                assert session.execute(query).all() != [], str(query)


def test_a_row_of_nobody_is_refused(tmp_path: Path):
    with workplace(tmp_path) as context:
        for row in (
            tables.Training(id=new_id("job"), dataset_id="ds_1", spec={}),
            tables.Dataset(id=new_id("ds"), name="t", sha256="", format="csv", bytes=1, rows=1, columns=[]),
            tables.Model(id=new_id("model"), job_id="job_1", dataset_id="ds_1", folder="models/1", card={}),
            tables.Checkpoint(id=new_id("ckpt"), job_id="job_1", folder="c/1", epoch=1, step=1, data={}),
        ):
            with pytest.raises(IntegrityError, match="owner"), context.database.write() as session:
                session.add(row)


def test_with_keys_off_a_key_means_its_owner_and_none_means_local(tmp_path: Path):
    with live(tmp_path) as (http, context):
        _, secret = keys.create(context.database, owner="ann")
        assert http.post("/v1/datasets", content=TABLE).json()["owner"] == LOCAL
        assert http.post("/v1/datasets", content=TABLE, headers=bearer(secret)).json()["owner"] == "ann"
        assert len(http.get("/v1/datasets").json()["data"]) == 1
        assert http.get("/v1/datasets", headers=bearer("dbk_x")).status_code == 401
        assert http.get("/v1/datasets", headers={"Authorization": "Basic YTpi"}).status_code == 200  # a proxy's


def test_what_was_made_without_keys_belongs_to_the_keys_of_local(tmp_path: Path):
    with live(tmp_path) as (http, _):
        dataset = http.post("/v1/datasets", content=TABLE).json()
    with live(tmp_path, require_keys=True) as (http, context):
        seen = {}
        for owner, scope in (("ann", Scope.WRITE), (LOCAL, Scope.WRITE), ("operator", Scope.ADMIN)):
            _, secret = keys.create(context.database, owner=owner, scopes=[scope])
            seen[owner] = [row["id"] for row in http.get("/v1/datasets", headers=bearer(secret)).json()["data"]]
        assert seen == {"ann": [], LOCAL: [dataset["id"]], "operator": [dataset["id"]]}


@pytest.mark.parametrize(
    ("host", "chosen", "required"),
    [
        ("127.0.0.1", "auto", False),
        ("localhost", "auto", False),
        ("::1", "auto", False),
        ("127.0.0.1", True, True),
        ("127.0.0.1", False, False),
        ("0.0.0.0", "auto", True),
        ("::", "auto", True),
        ("192.0.2.1", "auto", True),
        ("some.name", "auto", True),
        ("0.0.0.0", True, True),
    ],
)
def test_keys_are_off_on_loopback_only(host: str, chosen: Any, required: bool):
    assert Settings(host=host, require_keys=chosen).keys_required is required


def test_keys_cannot_be_off_where_others_reach_the_service():
    with pytest.raises(ValueError, match=r"host '0.0.0.0' .*deltabar keys create"):
        Settings(host="0.0.0.0", require_keys=False)
