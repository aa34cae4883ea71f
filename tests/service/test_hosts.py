"""Without keys the service answers under the names of this machine alone: no page can make its own name one of them."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import httpx
import pytest
from pydantic import ValidationError

from service.settings import Settings
from tests.service.jobs.api.asking import problem
from tests.service.live import live
from tests.service.test_who_may_what import ROUTES

ELSEWHERE = [
    "rebound.example",
    "rebound.example:8000",
    "127.0.0.1.rebound.example",
    "10.0.0.5",
    "[::2]",
    "localhost@x",
    "",
]


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with live(tmp_path_factory.mktemp("hosts") / "data") as (client, _):
        yield client


@pytest.mark.parametrize("route", [*ROUTES, "GET /static/0/page.css", "GET /nowhere"])
def test_no_route_answers_for_another_host(http: httpx.Client, route: str):
    method, path = route.split()
    answer = http.request(method, re.sub(r"{\w+}", "x", path), headers={"Host": "rebound.example"})
    assert answer.status_code == 421
    if path.startswith("/v2"):
        assert "rebound.example" in answer.json()["error"]
    elif method != "HEAD":
        assert "DELTABAR_ALLOWED_HOSTS" in problem(answer, 421, "host_not_allowed")["detail"]


@pytest.mark.parametrize("host", ELSEWHERE)
def test_names_of_elsewhere(http: httpx.Client, host: str):
    assert http.get("/v1/jobs", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "localhost.", "127.0.0.1:1", "127.1.2.3", "[::1]:8000"])
def test_names_of_this_machine(http: httpx.Client, host: str):
    assert http.get("/v1/jobs", headers={"Host": host}).status_code == 200


def test_a_request_without_a_host_is_no_browsers(http: httpx.Client):
    with socket.create_connection((http.base_url.host, http.base_url.port or 0)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("settings", "answers"),
    [
        ({"require_keys": True}, {"deltabar.example": 401, "other.example": 401}),
        ({"require_keys": True, "allowed_hosts": "deltabar.example"}, {"deltabar.example": 401, "other.example": 421}),
        (
            {"allowed_hosts": "Deltabar.example,fd00::5"},
            {"deltabar.EXAMPLE:443": 200, "[fd00::5]": 200, "other.example": 421, "127.0.0.1": 200},
        ),
        ({"allowed_hosts": "*"}, {"other.example": 200}),
    ],
)
def test_names_that_a_proxy_may_have(
    tmp_path_factory: pytest.TempPathFactory, settings: dict[str, object], answers: dict[str, int]
):
    with live(tmp_path_factory.mktemp("proxied") / "data", **settings) as (http, _):
        assert {host: http.get("/v1/jobs", headers={"Host": host}).status_code for host in answers} == answers


@pytest.mark.parametrize("given", ["", "https://deltabar.example", "deltabar.example:443", "a b", "a,,b", "*.example"])
def test_what_is_no_list_of_names_is_refused(given: str):
    with pytest.raises(ValidationError, match="allowed_hosts"):
        Settings(allowed_hosts=given)
