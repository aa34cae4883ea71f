from __future__ import annotations

import re
import threading

import httpx
import pytest
from sqlalchemy import delete

from service import tables
from service.client import Client
from service.context import Context
from service.jobs import actions, held
from service.jobs.held import News
from service.jobs.queue import Lease
from tests.service.jobs.api.asking import problem, stream, tell
from tests.service.processes import PATIENCE, eventually


def test_events_come_in_pages(http: httpx.Client, context: Context, lease: Lease):
    tell(context, lease, 1, 2, 3)
    path = f"/v1/jobs/{lease.job_id}/events"
    tell(context, lease, 4)
    first = http.get(path, params={"limit": 3}).json()
    assert [event["sequence"] for event in first["data"]] == [1, 2, 3]
    assert [event["kind"] for event in first["data"]] == ["state", "state", "metrics"]
    assert [first["data"][2]["data"][name] for name in ("first_epoch", "epoch")] == [1, 3]
    assert "epochs" not in first["data"][2]
    assert (first["object"], first["first_id"], first["last_id"], first["has_more"]) == ("list", "1", "3", True)
    assert first["data"][1]["data"] == {"state": "running", "attempt": 1, "epoch": 0}
    rest = http.get(path, params={"after": first["last_id"]}).json()
    assert [event["sequence"] for event in rest["data"]] == [4]
    assert rest["has_more"] is False
    assert http.get(path, params={"after": 5}).json()["data"] == []
    for wrong in ("limit=1001", "after=-1", "after=1e30"):
        problem(http.get(f"{path}?{wrong}"), 422, "invalid_request")


def test_the_stream_replays_an_ended_job_and_ends(http: httpx.Client, context: Context, lease: Lease):
    tell(context, lease, 1)
    held.fail(context.database, lease, "code", "in\ntwo lines")
    text, headers = stream(http, lease.job_id)
    assert headers["content-type"].startswith("text/event-stream")
    messages = text.removesuffix("\n\n").split("\n\n")
    assert messages[0] == 'id: 1\nevent: state\ndata: {"state":"queued"}'
    assert messages[1] == 'id: 2\nevent: state\ndata: {"state":"running","attempt":1,"epoch":0}'
    assert messages[3] == (
        'id: 4\nevent: state\ndata: {"state":"failed","error":{"code":"code","message":"in\\ntwo lines"}}'
    )
    assert len(messages) == 4


@pytest.mark.parametrize(("last", "ids"), [("0", [1, 2, 3, 4]), ("2", [3, 4]), ("3", [4])])
def test_the_stream_goes_on_after_the_last_event_id(
    http: httpx.Client, context: Context, lease: Lease, last: str, ids: list[int]
):
    tell(context, lease, 1)
    held.fail(context.database, lease, "code", "message")
    text, _ = stream(http, lease.job_id, last_event_id=last)
    assert [int(line.removeprefix("id: ")) for line in text.splitlines() if line.startswith("id: ")] == ids


def test_the_stream_follows_a_running_job_to_its_end(http: httpx.Client, context: Context, lease: Lease):
    with http.stream("GET", f"/v1/jobs/{lease.job_id}/events/stream") as answer:
        lines = answer.iter_lines()
        ids = []
        for line in lines:
            if line.startswith("id: "):
                ids.append(int(line.removeprefix("id: ")))
                if len(ids) < 6:
                    tell(context, lease, len(ids))
                elif len(ids) == 6:
                    held.fail(context.database, lease, "code", "message")
    assert ids == list(range(1, ids[-1] + 1))
    assert http.get(f"/v1/jobs/{lease.job_id}/events", params={"after": ids[-1]}).json()["data"] == []


def test_nothing_follows_the_end_of_a_job(http: httpx.Client, context: Context, lease: Lease):
    path = f"/v1/jobs/{lease.job_id}/events/stream"
    with http.stream("GET", path, headers={"last-event-id": "9"}) as answer:
        assert answer.status_code == 200, "it may have more events yet"
    held.fail(context.database, lease, "code", "message")
    for last in ("3", "9"):
        answer = http.get(path, headers={"last-event-id": last})
        assert (answer.status_code, answer.content) == (204, b"")
        assert http.get(path, params={"after": last}).status_code == 204
    assert "id: 3" in http.get(path, headers={"last-event-id": "2"}, params={"after": 3}).text, "the header goes first"


def test_a_job_that_is_tried_again_goes_on_in_the_stream(http: httpx.Client, context: Context, lease: Lease):
    held.fail(context.database, lease, "code", "message")
    actions.retry(context, lease.job_id, from_start=False)
    events = Client(str(http.base_url), timeout=PATIENCE).jobs.events(lease.job_id)
    assert [next(events).data["state"] for _ in range(4)] == ["queued", "running", "failed", "queued"]
    actions.cancel(context, lease.job_id)
    assert [event.data["state"] for event in events] == ["cancelled"]


def test_events_far_behind_the_newest_come_too(
    http: httpx.Client, context: Context, lease: Lease, monkeypatch: pytest.MonkeyPatch
):
    """More events than the window holds, of which some viewers want all, and others the last."""
    monkeypatch.setattr("service.jobs.broadcast.WINDOW_BYTES", 20_000)
    logs = [News("log", {"message": f"message {n} of many"}, 1.0) for n in range(3000)]
    held.append(context.database, lease, logs, lease_seconds=30)
    held.fail(context.database, lease, "code", "message")
    for start in (0, 1500, 2990):
        text, _ = stream(http, lease.job_id, last_event_id=str(start))
        ids = [int(line.removeprefix("id: ")) for line in text.splitlines() if line.startswith("id: ")]
        assert ids == list(range(start + 1, 3004))


def test_all_viewers_see_the_same_and_are_counted(http: httpx.Client, context: Context, lease: Lease):
    path, n = f"/v1/jobs/{lease.job_id}/events/stream", 20
    texts: list[str] = []
    url = f"{str(http.base_url).rstrip('/')}{path}"
    viewers = [threading.Thread(target=lambda: texts.append(httpx.get(url, timeout=PATIENCE).text)) for _ in range(n)]
    for viewer in viewers:
        viewer.start()
    try:
        assert eventually(lambda: open_streams(http) == n)
        for epoch in range(1, 50):
            tell(context, lease, epoch)
    finally:
        held.fail(context.database, lease, "code", "message")
        for viewer in viewers:
            viewer.join()
    assert len(set(texts)) == 1
    assert texts[0].count("event: metrics") == 49
    assert eventually(lambda: open_streams(http) == 0)


def test_a_viewer_who_reads_nothing_costs_no_memory(
    http: httpx.Client, context: Context, lease: Lease, monkeypatch: pytest.MonkeyPatch
):
    """It is sent what fits into the buffers; the rest stays in the tables, and comes when it reads on."""
    monkeypatch.setattr("service.jobs.broadcast.WINDOW_BYTES", 100_000)
    with http.stream("GET", f"/v1/jobs/{lease.job_id}/events/stream") as slow:
        pieces = slow.iter_bytes()
        first = next(pieces)
        for second in range(40):  # the same news twice would be taken for what a lost answer left in the tables
            news = [News("log", {"message": "x" * 10_000}, float(second)) for _ in range(20)]
            held.append(context.database, lease, news, lease_seconds=30)
        [channel] = context.broadcast.channels()
        assert eventually(lambda: channel.last == 802)
        assert channel.size <= 100_000
        assert len(channel.frames) < 20
        held.fail(context.database, lease, "code", "message")
        whole = first + b"".join(pieces)
    assert [int(found) for found in re.findall(rb"^id: (\d+)$", whole, re.M)] == list(range(1, 804))


def open_streams(http: httpx.Client) -> float:
    return float(re.findall(r"^deltabar_event_stream_viewers (\S+)$", http.get("/metrics").text, re.M)[0])


def test_a_silent_stream_beats_and_ends_when_its_job_is_deleted(
    http: httpx.Client, context: Context, lease: Lease, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("service.jobs.broadcast.HEARTBEAT_SECONDS", 0.05)
    with http.stream("GET", f"/v1/jobs/{lease.job_id}/events/stream") as answer:
        lines = answer.iter_lines()
        assert ": still here" in lines
        with context.database.write() as session:
            session.execute(delete(tables.Job).where(tables.Job.id == lease.job_id))
        assert [line for line in lines if line not in ("", ": still here")] == []


@pytest.mark.parametrize("last", ["-1", "x", "1" * 30])
def test_a_wrong_last_event_id_is_refused(http: httpx.Client, job_id: str, last: str):
    answer = http.get(f"/v1/jobs/{job_id}/events/stream", headers={"last-event-id": last})
    assert problem(answer, 422, "invalid_request")["errors"][0]["field"] == "header.last-event-id"
