"""A client that goes away in the middle costs nothing: no half job, none twice, no stream that nobody reads.

An upload that breaks off is in tests/service/datasets/test_upload.py.
"""

from __future__ import annotations

import json
import re
import socket

import httpx
import pytest

from service.context import Context
from service.jobs import held
from service.jobs.queue import Lease
from tests.service.jobs.api.asking import tell
from tests.service.processes import eventually


def posts_over(http: httpx.Client) -> float:
    """Return how many POST requests are over, in whatever way."""
    found = re.findall(r'^deltabar_http_requests_total\{.*method="POST".*\} (\S+)$', http.get("/metrics").text, re.M)
    return sum(map(float, found))


def post_and_go(http: httpx.Client, document: bytes, length: int) -> None:
    """Send this much of a body that is said to have `length` bytes, and hang up at once."""
    host, port = http.base_url.host, http.base_url.port
    assert port is not None
    request = f"POST /v1/jobs HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}"
    with socket.create_connection((host, port)) as connection:
        connection.sendall(request.encode() + b"\r\n\r\n" + document)


@pytest.mark.parametrize("missing", [1, 1000])
def test_nothing_is_queued_when_the_client_goes_in_the_middle_of_a_job(
    http: httpx.Client, dataset_id: str, missing: int
):
    """What has come is a whole document, which would do."""
    document = json.dumps({"dataset_id": dataset_id, "target": "species"}).encode()
    jobs, posts = http.get("/v1/jobs").json()["data"], posts_over(http)
    post_and_go(http, document, len(document) + missing)
    assert eventually(lambda: posts_over(http) == posts + 1)
    assert http.get("/v1/jobs").json()["data"] == jobs


def test_a_job_is_queued_once_when_the_client_goes_before_the_answer(http: httpx.Client, dataset_id: str):
    document = json.dumps({"dataset_id": dataset_id, "target": "species", "metadata": {"who": "gone"}}).encode()
    posts = posts_over(http)
    post_and_go(http, document, len(document))
    assert eventually(lambda: posts_over(http) == posts + 1)
    queued = http.get("/v1/jobs", params={"state": "queued"}).json()["data"]
    assert [job["spec"]["metadata"] for job in queued] == [{"who": "gone"}]


def test_a_viewer_who_goes_is_forgotten_and_comes_back_where_it_was(http: httpx.Client, context: Context, lease: Lease):
    path = f"/v1/jobs/{lease.job_id}/events/stream"
    with http.stream("GET", path) as answer:
        lines = answer.iter_lines()  # kept: the connection is closed as soon as nobody has it
        assert next(line for line in lines if line.startswith("id:")) == "id: 1"
        assert len(context.broadcast.channels()) == 1
    assert eventually(lambda: not context.broadcast.channels())
    tell(context, lease, 1)
    held.fail(context.database, lease, "code", "message")
    rest = http.get(path, headers={"Last-Event-ID": "1"}).text
    assert re.findall(r"^id: (\d+)$", rest, re.M) == ["2", "3", "4"]
