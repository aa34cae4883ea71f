"""A NUL character in an address is refused, whatever the database."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.service.conftest import NewDatabase
from tests.service.jobs.api.asking import problem
from tests.service.live import live
from tests.service.test_who_may_what import ROUTES


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory, new_database: NewDatabase) -> Iterator[httpx.Client]:
    with new_database() as database, live(tmp_path_factory.mktemp("addresses") / "data", **database) as (client, _):
        yield client


@pytest.mark.parametrize("route", [route for route in ROUTES if "{" in route])
def test_no_id_holds_nul(http: httpx.Client, route: str):
    method, path = route.split()
    answer = http.request(method, re.sub(r"{\w+}", "a%00b", path))
    assert answer.status_code == 404
    assert "NUL" in answer.text


@pytest.mark.parametrize("address", ["/v1/datasets?after=%00", "/v1/jobs?after=job_%00", "/v1/models?after=%00"])
def test_no_query_holds_nul(http: httpx.Client, address: str):
    [error] = problem(http.get(address), 422, "invalid_request")["errors"]
    assert error["field"] == "query.after"


def test_no_name_holds_nul(http: httpx.Client):
    answer = http.post("/v1/datasets?name=a%00b", content=b"a,b\n1,2\n")
    assert problem(answer, 422, "invalid_request")["errors"][0]["field"] == "query.name"
    assert http.get("/v1/datasets").json()["data"] == []
