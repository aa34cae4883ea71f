"""The pages over HTTP: who gets them, what goes along with them, and what they say when something is wrong."""

from __future__ import annotations

import html
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service import keys
from service.caller import Scope
from service.context import Context
from service.tables import Worker
from tests.service.conftest import PENGUINS
from tests.service.live import live
from tests.service.processes import PATIENCE, serving

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Context]]:
    with live(tmp_path_factory.mktemp("pages"), poll_seconds=0.02) as running:
        yield running


@pytest.fixture(scope="module")
def http(app: tuple[httpx.Client, Context]) -> httpx.Client:
    return app[0]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, str]]:
    """A service that needs keys, and one of Ann's."""
    with live(tmp_path_factory.mktemp("locked"), require_keys=True) as (http, context):
        yield http, keys.create(context.database, owner="ann", scopes=[Scope.WRITE])[1]


def links(text: str) -> set[str]:
    return {link for link in re.findall(r'(?:href|src)="([^"]+)"', text) if not link.startswith("#")}


def test_a_page_allows_nothing_that_is_inline_or_from_elsewhere(http: httpx.Client):
    dataset = http.post("/v1/datasets", content=PENGUINS.read_bytes()).json()["id"]
    job = http.post("/v1/jobs", json={"dataset_id": dataset, "target": "species"}).json()["id"]
    for path in ("/", f"/datasets/{dataset}", "/jobs", f"/jobs/{job}", "/inspector", f"/compare?job={job}", "/system"):
        answer = http.get(path, headers=HTML)
        assert answer.status_code == 200, answer.text
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert not re.search(r"unsafe|http|\*|script-src", policy)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", answer.text)
        assert all(link.startswith(("/", "?")) for link in links(answer.text))
        assert len(set(re.findall(r'\sid="([^"]+)"', answer.text))) == len(re.findall(r'\sid="([^"]+)"', answer.text))


def test_what_pages_load_is_kept_for_ever_and_is_there(http: httpx.Client):
    found = {link for path in ("/", "/inspector", "/system") for link in links(http.get(path).text) if "static" in link}
    assert len(found) > 4
    script = next(link for link in found if link.endswith("start.js"))
    imported = {f"{script.rpartition('/')[0]}/{name}" for name in re.findall(r'"\./(\w+\.js)"', http.get(script).text)}
    assert imported
    plotly = f"{script.rpartition('/')[0]}/plotly.min.js"
    for link in found | imported | {plotly}:
        answer = http.get(link)
        assert answer.status_code == 200, link
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-encoding"] == "gzip" if len(answer.content) >= 1024 else True
    whole = http.get(plotly, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in whole.headers
    assert whole.content == http.get(plotly).content
    assert int(http.get(plotly).headers["content-length"]) < 0.31 * len(whole.content)
    for encoding in ("gzip", "gzip;q=0"):
        again = {"If-None-Match": http.get(plotly).headers["etag"], "Accept-Encoding": encoding}
        assert http.get(plotly, headers=again).status_code == 304
    assert "content-encoding" not in http.get(plotly, headers={"Accept-Encoding": "gzip;q=0"}).headers
    assert http.get(script.replace("/static/", "/static/0")).status_code == 404
    assert http.get(f"{script.rpartition('/')[0]}/..%2f__init__.py").status_code == 404


def test_errors_are_pages_for_people_and_documents_for_programs(http: httpx.Client):
    nobody = "job_" + "0" * 32
    for path, status in (
        (f"/jobs/{nobody}", 404),
        ("/jobs?state=asleep", 422),
        (f"/jobs/{nobody}/inspector?row=x", 422),
    ):
        page = http.get(path, headers=HTML)
        assert page.status_code == status
        assert page.headers["content-type"].startswith("text/html")
        assert "<h1>" in page.text
        assert http.get(path).headers["content-type"] == "application/problem+json"
    page = http.get("/jobs?state=<b>asleep", headers=HTML)
    assert "<b>asleep" not in page.text
    assert "queued" in page.text  # what is allowed


def test_a_job_without_weights_says_so(http: httpx.Client):
    dataset = http.post("/v1/datasets", content=PENGUINS.read_bytes()).json()["id"]
    job = http.post("/v1/jobs", json={"dataset_id": dataset, "target": "species"}).json()["id"]
    answer = http.get(f"/v1/jobs/{job}/trace")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_weights_yet")
    assert "has no weights yet" in http.get(f"/jobs/{job}/inspector", headers=HTML).text


def test_the_system_page_shows_workers_that_are_silent_and_devices_that_are_lost(tmp_path: Path):
    about = {"host": "a-machine", "pid": 1, "version": "0", "devices": ["cuda:0", "cuda:1"]}
    with live(tmp_path, require_keys=True) as (http, context):
        with context.database.write() as session:
            session.add(Worker(id="worker_1", faults={"cuda:1": "CUDA says <214>"}, **about))
            session.add(Worker(id="worker_2", seen_at=1.0, **about))
        for scope, is_told_why in ((Scope.ADMIN, True), (Scope.READ, False)):
            secret = keys.create(context.database, owner="ann", scopes=[scope])[1]
            page = http.get("/system", headers=HTML | {"Authorization": f"Bearer {secret}"}).text
            assert re.findall(r'<span class="state (\w+)">(alive|silent)<', page) == [
                ("running", "alive"),
                ("failed", "silent"),
            ]
            assert re.findall(r'<span class="state failed">(cuda:\d is lost)<', page) == ["cuda:1 is lost"]
            assert ("CUDA says &lt;214&gt;" in page) == ("a-machine" in page) == is_told_why


def test_the_form_begins_as_another_job_was(http: httpx.Client):
    dataset = http.post("/v1/datasets", content=PENGUINS.read_bytes()).json()["id"]
    job = {
        "dataset_id": dataset,
        "target": "sex",
        "optimizer": {"name": "sgd", "momentum": 0.75},
        "metadata": {"a": '"'},
    }
    like = http.post("/v1/jobs", json=job).json()["id"]
    start = f"ckpt_{'1' * 32}"
    page = http.get(f"/datasets/{dataset}?like={like}&init_from={start}", headers=HTML).text
    for part in (r'value="sex" checked', r'value="0\.75"', rf'value="{start}"', r'<option value="sgd" selected>'):
        assert re.search(part, page), part
    assert html.unescape(re.findall(r'name="metadata"[^>]* value="([^"]*)"', page)[0]) == json.dumps(job["metadata"])
    nobody = http.get(f"/datasets/{dataset}?like=job_{'0' * 32}", headers=HTML)
    assert (nobody.status_code, nobody.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert http.get(f"/datasets/{dataset}?like=x", headers=HTML).status_code == 422


def test_a_key_is_asked_for_kept_in_a_cookie_and_forgotten(locked: tuple[httpx.Client, str]):
    http, secret = locked
    with httpx.Client(base_url=http.base_url, trust_env=False, headers=HTML, timeout=PATIENCE) as browser:
        answer = browser.get("/jobs?state=running")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/sign-in?next=/jobs%3Fstate%3Drunning"
        assert "Sign in" in browser.get(answer.headers["location"]).text

        wrong = browser.post("/sign-in", data={"key": "dbk_wrong", "next": "/jobs"})
        assert wrong.status_code == 401
        assert "valid" in wrong.text
        assert not browser.cookies

        answer = browser.post("/sign-in", data={"key": secret, "next": "/jobs?state=running"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/jobs?state=running")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert secret not in answer.headers["location"]

        page = browser.get("/jobs")
        assert page.status_code == 200
        assert "ann" in page.text
        assert secret not in page.text
        assert browser.get("/v1/jobs").status_code == 200  # what modules ask for

        browser.post("/sign-out")
        assert browser.get("/jobs").status_code == 303


@pytest.mark.skipif(sys.platform != "linux", reason="all of 127.0.0.0/8 is loopback on Linux alone")
def test_behind_a_proxy_with_tls_the_cookie_is_for_tls_alone_wherever_the_proxy_is(tmp_path: Path):
    secret = "s" * 32
    with serving(tmp_path, "--workers", "0", require_keys=True, admin_key=secret) as service:
        for scheme, is_secure in (("https", True), ("http", False)):
            transport = httpx.HTTPTransport(local_address="127.0.0.2")  # neither is the service there
            with httpx.Client(base_url=service.url, transport=transport, timeout=PATIENCE) as proxy:
                answer = proxy.post("/sign-in", data={"key": secret}, headers={"X-Forwarded-Proto": scheme})
            assert answer.status_code == 303
            assert ("Secure" in answer.headers["set-cookie"]) == is_secure


@pytest.mark.parametrize("wanted", ["//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example", ""])
def test_signing_in_leads_to_no_other_host(locked: tuple[httpx.Client, str], wanted: str):
    http, secret = locked
    answer = http.post("/sign-in", data={"key": secret, "next": wanted})
    assert answer.headers["location"] == "/"
    http.cookies.clear()


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null", "http://127.0.0.1:1"])
def test_pages_of_others_can_change_nothing(http: httpx.Client, locked: tuple[httpx.Client, str], origin: str):
    service, secret = locked
    for client in (http, service):
        client.post("/sign-in", data={"key": secret})
        answer = client.post("/v1/datasets", content=PENGUINS.read_bytes(), headers={"Origin": origin})
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
        own = str(client.base_url).rstrip("/")
        assert client.post("/v1/datasets", content=PENGUINS.read_bytes(), headers={"Origin": own}).is_success
        client.cookies.clear()
    with_key = {"Origin": origin, "Authorization": f"Bearer {secret}"}
    assert service.post("/v1/datasets", content=PENGUINS.read_bytes(), headers=with_key).is_success


def test_a_cookie_of_another_service_on_this_host_is_no_key_here(http: httpx.Client):
    assert http.get("/jobs", headers={"Cookie": "deltabar_key=dbk_of_another"}).status_code == 200


def test_the_pages_are_in_the_package():
    folder = Path(__file__).parents[3]
    packaged = (folder / "pyproject.toml").read_text(encoding="utf-8")
    assert '"web/templates/*.html", "web/static/*", "examples/*.csv"' in packaged
    assert not [path for path in (folder / "service/web/templates").iterdir() if path.suffix != ".html"]
