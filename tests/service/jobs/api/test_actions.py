"""Actions on jobs over HTTP and with the Python client; checkpoints; what a job says of how it is run."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import update

from service import tables
from service.client import Client, DeltabarError
from service.context import Context
from service.ids import new_id
from service.jobs import held, queue
from service.jobs.queue import Lease
from tests.service.jobs.api.asking import post, problem, tell
from tests.service.processes import PATIENCE

UNKNOWN = "job_" + "0" * 32


@pytest.fixture
def client(http: httpx.Client) -> Iterator[Client]:
    with Client(str(http.base_url), timeout=PATIENCE) as client:
        yield client


def add_checkpoint(context: Context, job_id: str, epoch: int) -> str:
    checkpoint_id, folder = new_id("ckpt"), f"checkpoints/{job_id}-1-{9 * epoch}"
    context.storage.path(folder).mkdir(parents=True)
    (context.storage.path(folder) / "weights.safetensors").write_bytes(b"weights of epoch %d" % epoch)
    told = {"epochs": 100, "seconds": 2.0, "loss": 0.5, "validation_loss": None, "accuracy": 0.75} if epoch else {}
    with context.database.write() as session:
        data = told | {"epoch": epoch, "step": 9 * epoch}
        session.add(
            tables.Checkpoint(
                id=checkpoint_id, owner="local", job_id=job_id, folder=folder, data=data, epoch=epoch, step=9
            )
        )
    return checkpoint_id


def test_pausing_and_resuming_a_queued_job(client: Client, job_id: str):
    for _ in range(2):
        job = client.jobs.pause(job_id)
        assert (job.state, job.requested) == ("paused", None)
    for _ in range(2):
        assert client.jobs.resume(job_id).state == "queued"


def test_a_running_job_is_asked_and_the_wish_can_be_withdrawn(client: Client, context: Context, lease: Lease):
    job = client.jobs.pause(lease.job_id)
    assert (job.state, job.requested) == ("running", "pause")
    assert held.requested(context.database, lease) == "pause"
    assert client.jobs.resume(lease.job_id).requested is None
    assert held.requested(context.database, lease) is None
    assert client.jobs.pause(lease.job_id).requested == "pause"
    assert client.jobs.cancel(lease.job_id).requested == "cancel"
    with pytest.raises(DeltabarError, match="409 action_not_allowed"):
        client.jobs.pause(lease.job_id)
    assert held.requested(context.database, lease) == "cancel"


def test_retrying_a_failed_job_goes_on_in_sequence(client: Client, context: Context, lease: Lease):
    tell(context, lease, 1, 2)
    held.fail(context.database, lease, "child_died", "it died")
    assert client.jobs.get(lease.job_id).error is not None
    job = client.jobs.retry(lease.job_id)
    assert (job.state, job.attempts, job.error, job.finished_at) == ("queued", 0, None, None)
    again = queue.claim(context.database, lease_seconds=30)
    assert again is not None
    tell(context, again, 1, 2, 3)
    held.cancel(context.database, again)
    events = list(client.jobs.events(lease.job_id))  # over the first end, to the second
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    states = [event.data["state"] for event in events if event.kind == "state"]
    assert states == ["queued", "running", "failed", "queued", "running", "cancelled"]


def test_a_refused_action_tells_the_state_and_what_is_allowed(http: httpx.Client, context: Context, lease: Lease):
    held.fail(context.database, lease, "child_died", "it died")
    said = problem(http.post(f"/v1/jobs/{lease.job_id}/pause"), 409, "action_not_allowed")
    assert said["detail"] == (
        "The job has failed and can't be paused. "
        f"What it allows: POST /v1/jobs/{lease.job_id}/retry or DELETE /v1/jobs/{lease.job_id}."
    )
    assert said["errors"] == [
        {"field": "state", "value": "failed", "message": "can't be paused", "allowed": "retry, delete"}
    ]


@pytest.mark.parametrize("action", ["pause", "resume", "cancel", "retry"])
def test_actions_on_an_unknown_job_are_404(http: httpx.Client, action: str):
    problem(http.post(f"/v1/jobs/{UNKNOWN}/{action}"), 404, "job_not_found")


def test_whether_to_retry_from_the_start_is_true_or_false(
    http: httpx.Client, client: Client, context: Context, lease: Lease
):
    add_checkpoint(context, lease.job_id, 3)
    held.fail(context.database, lease, "child_died", "it died")
    answer = http.post(f"/v1/jobs/{lease.job_id}/retry", params={"from_start": "perhaps"})
    assert problem(answer, 422, "invalid_request")["errors"][0]["field"] == "query.from_start"
    assert client.jobs.retry(lease.job_id, from_start=True).checkpoint_id is None
    assert client.jobs.checkpoints(lease.job_id).data == []


def test_checkpoints_are_listed_newest_first_with_their_weights(
    http: httpx.Client, client: Client, context: Context, lease: Lease
):
    first, second = (add_checkpoint(context, lease.job_id, epoch) for epoch in (0, 4))
    page = client.jobs.checkpoints(lease.job_id)
    assert [(one.id, one.job_id, one.epoch) for one in page.data] == [
        (second, lease.job_id, 4),
        (first, lease.job_id, 0),
    ]
    assert [one.metrics for one in page.data] == [{"loss": 0.5, "validation_loss": None, "accuracy": 0.75}, {}]
    assert client.jobs.checkpoints(lease.job_id, limit=1).has_more
    assert client.jobs.checkpoints(lease.job_id, after=second).data[0].id == first
    path = f"/v1/jobs/{lease.job_id}/checkpoints/{second}/weights"
    assert http.get(path).content == b"weights of epoch 4"
    context.storage.delete(f"checkpoints/{lease.job_id}-1-36")
    problem(http.get(path), 404, "checkpoint_not_found")
    problem(http.get(f"/v1/jobs/{UNKNOWN}/checkpoints/{first}/weights"), 404, "checkpoint_not_found")
    problem(http.get(f"/v1/jobs/{UNKNOWN}/checkpoints"), 404, "job_not_found")


def test_a_job_says_how_it_is_to_be_run(http: httpx.Client, client: Client, context: Context, dataset_id: str):
    given = {"priority": -3, "deadline_seconds": 60.5, "max_attempts": 7, "init_from": None}
    job = post(http, dataset_id, **given)
    assert {name: job[name] for name in given} == given
    assert job["checkpoint_id"] is None
    assert job["estimate"]["steps"] == job["progress"]["steps"]
    usual = client.jobs.create(dataset_id=dataset_id, target="species")
    assert (usual.priority, usual.deadline_seconds, usual.max_attempts) == (0, None, context.settings.max_attempts)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("priority", [-101, 101, 0.5, "1", True, None]),
        ("deadline_seconds", [0, -1, "60", True]),
        ("max_attempts", [0, 101, 1.5, "3", True]),
        ("init_from", [UNKNOWN, "model_1", 3, "../x"]),
    ],
)
def test_how_it_is_to_be_run_is_checked(http: httpx.Client, dataset_id: str, field: str, wrong: list[object]):
    for value in wrong:
        answer = http.post("/v1/jobs", json={"dataset_id": dataset_id, "target": "species", field: value})
        assert problem(answer, 422, "invalid_request")["errors"][0]["field"] == field


def test_jobs_are_listed_by_several_states_and_by_data_set(
    http: httpx.Client, client: Client, dataset_id: str, job_id: str
):
    client.jobs.pause(job_id)
    other = http.post("/v1/datasets", params={"name": "xy"}, content=b"x,species\n" + b"1,a\n2,b\n" * 5).json()["id"]
    there = client.jobs.create(dataset_id=other, target="species").id
    both = [job.id for job in client.jobs.list(state=["queued", "paused"]).data]
    assert both[:2] == [there, job_id]
    assert [job.id for job in client.jobs.list(state="queued", dataset_id=other).data] == [there]
    assert client.jobs.list(state="paused", dataset_id=other).data == []
    assert job_id in [job.id for job in client.jobs.list(dataset_id=dataset_id).data]
    answer = http.get("/v1/jobs", params={"dataset_id": "x"})
    assert problem(answer, 422, "invalid_request")["errors"][0]["field"] == "query.dataset_id"


def test_the_time_that_is_left_follows_from_the_pace(client: Client, context: Context, lease: Lease):
    assert client.jobs.get(lease.job_id).progress.seconds_left is None
    tell(context, lease, 1, 2, 3, 4)  # an epoch has 9 steps and takes 1/8 s
    with context.database.write() as session:
        session.execute(update(tables.Job).where(tables.Job.id == lease.job_id).values(steps_done=36))
    progress = client.jobs.get(lease.job_id).progress
    assert (progress.epoch, progress.epochs, progress.step, progress.steps) == (4, 100, 36, 900)
    assert progress.seconds_left == pytest.approx(96 / 8)
    assert client.jobs.list(state="running").data[0].progress == progress
    held.fail(context.database, lease, "code", "message")
    assert client.jobs.get(lease.job_id).progress.seconds_left is None


def test_an_idempotency_key_is_sent_as_a_header(http: httpx.Client, dataset_id: str, monkeypatch: pytest.MonkeyPatch):
    sent: list[httpx.Request] = []
    with Client(str(http.base_url), timeout=PATIENCE) as client:
        client._http.event_hooks["request"].append(sent.append)
        client.jobs.create(dataset_id=dataset_id, target="species", idempotency_key="mine")
        client.jobs.create(dataset_id=dataset_id, target="species")
        client.jobs.create(dataset_id=dataset_id, target="species")
    given, *made_up = (request.headers["idempotency-key"] for request in sent)
    assert given == "mine"
    assert len({given, *made_up}) == 3, "each call without a key has one of its own"
