from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from service import tables
from service.context import Context
from service.datasets.schemas import Dataset
from service.jobs import actions, held, queue
from service.jobs.held import News
from service.jobs.queue import Lease
from service.jobs.schemas import Job
from service.jobs.states import Stale
from tests.service.history import history_of, row_of
from tests.service.news import of_epoch
from tests.service.workplace import post

RESULT = {"loss": 0.1, "validation_loss": float("nan"), "metrics": {"accuracy": 0.9}}


def claim(context: Context, lease_seconds: float = 30.0) -> Lease | None:
    return queue.claim(context.database, lease_seconds=lease_seconds)


def claimed(context: Context, lease_seconds: float = 30.0) -> Lease:
    lease = claim(context, lease_seconds)
    assert lease is not None
    return lease


def states_of(context: Context, job_id: str) -> list[str]:
    return [data["state"] for _, kind, data in history_of(context, job_id) if kind == "state"]


def metrics_of(*epochs: int) -> list[News]:
    return [of_epoch({"epoch": epoch, "step": 9 * epoch, "loss": 1 / epoch}, time.time()) for epoch in epochs]


WRITES: dict[str, Callable[[Context, Lease], object]] = {
    "renew": lambda c, lease: held.append(c.database, lease, [], lease_seconds=30),
    "requested": lambda c, lease: held.requested(c.database, lease),
    "append": lambda c, lease: held.append(c.database, lease, metrics_of(1), lease_seconds=30),
    "succeed": lambda c, lease: held.succeed(c.database, lease, result=RESULT, card={}),
    "fail": lambda c, lease: held.fail(c.database, lease, "code", "message"),
    "cancel": lambda c, lease: held.cancel(c.database, lease),
    "put_back": lambda c, lease: held.put_back(c.database, lease, "code", "message"),
    "hand_back": lambda c, lease: held.hand_back(c.database, lease, "message"),
}


def test_the_oldest_job_is_claimed_first(context: Context, dataset: Dataset):
    jobs = []
    for _ in range(3):
        jobs.append(post(context, dataset).id)
        time.sleep(0.002)  # ids sort by the millisecond
    assert [claimed(context).job_id for _ in jobs] == jobs
    assert claim(context) is None


def test_a_claim_counts_the_attempt_and_gives_a_new_token(context: Context, job: Job, dataset: Dataset):
    lease = claimed(context)
    row = row_of(context, job.id)
    assert (lease.job_id, lease.token, lease.attempt, lease.dataset.id) == (job.id, 1, 1, dataset.id)
    assert lease.spec == job.spec.model_dump(mode="json")
    assert (row["state"], row["lease_token"], row["attempts"]) == ("running", 1, 1)
    assert row["lease_expires_at"] == pytest.approx(time.time() + 30, abs=5)
    assert history_of(context, job.id)[-1] == (2, "state", {"state": "running", "attempt": 1, "epoch": 0})


@pytest.mark.parametrize("unlooked", [False, True])
def test_many_threads_claim_each_job_once(context: Context, dataset: Dataset, unlooked: bool):
    jobs = {post(context, dataset).id for _ in range(40)}

    def claim_until_empty(_: int) -> list[str]:
        taken = []
        while lease := queue.claim(context.database, lease_seconds=30, unlooked=unlooked):
            taken.append(lease.job_id)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [job_id for part in pool.map(claim_until_empty, range(8)) for job_id in part]
    assert len(taken) == 40
    assert set(taken) == jobs


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("how", ["lease lost", "handed back", "ended", "deleted"])
def test_a_stale_worker_writes_nothing(context: Context, job: Job, write: str, how: str):
    stale = claimed(context, lease_seconds=-1 if how == "lease lost" else 30)
    if how == "lease lost":
        assert claimed(context).token == 2
    elif how == "handed back":
        held.hand_back(context.database, stale, "going")
    else:
        held.fail(context.database, stale, "code", "message")
    if how == "deleted":
        actions.delete_job(context, job.id)
        before = None
    else:
        before = row_of(context, job.id), history_of(context, job.id)
    with pytest.raises(Stale):
        WRITES[write](context, stale)
    if before:
        assert (row_of(context, job.id), history_of(context, job.id)) == before
    with context.database.read() as session:
        assert session.scalars(select(tables.Model)).all() == []


def test_events_have_no_gap_over_attempts(context: Context, job: Job):
    lease = claimed(context)
    held.append(context.database, lease, metrics_of(1, 2, 3), lease_seconds=30)
    held.put_back(context.database, lease, "child_died", "it died")
    lease = claimed(context)
    held.append(context.database, lease, [News("log", {"message": "again"}, 5.0)], lease_seconds=30)
    held.append(context.database, lease, metrics_of(1, 2), lease_seconds=30)
    held.succeed(context.database, lease, result=RESULT, card={"task": "classification"})
    history = history_of(context, job.id)
    assert [sequence for sequence, _, _ in history] == list(range(1, 9))
    assert row_of(context, job.id)["last_event"] == 8
    assert [kind for _, kind, _ in history] == [
        "state", "state", "metrics", "state", "state", "log", "metrics", "state",
    ]  # fmt: skip
    assert states_of(context, job.id) == ["queued", "running", "queued", "running", "succeeded"]


def test_appending_tells_the_epoch_and_renews_the_lease(context: Context, job: Job):
    lease = claimed(context, lease_seconds=1)
    held.append(context.database, lease, metrics_of(1, 2), lease_seconds=1000)
    row = row_of(context, job.id)
    assert row["epochs_done"] == 2
    assert row["lease_expires_at"] > time.time() + 900


def test_success_is_one_transaction_of_job_model_and_event(context: Context, job: Job):
    lease = claimed(context)
    model_id = held.succeed(context.database, lease, result=RESULT, card={"task": "classification", "r2": float("inf")})
    row = row_of(context, job.id)
    assert (row["state"], row["model_id"]) == ("succeeded", model_id)
    assert row["result"] == RESULT | {"validation_loss": None}
    assert history_of(context, job.id)[-1][2] == {"state": "succeeded", "model_id": model_id}
    with context.database.read() as session:
        model = session.get_one(tables.Model, model_id)
    assert (model.job_id, model.dataset_id) == (job.id, job.dataset_id)
    assert (model.folder, model.card) == (lease.folder, {"task": "classification", "r2": None})


def test_a_silent_workers_job_goes_to_the_next(context: Context, job: Job):
    assert claimed(context, lease_seconds=-1).attempt == 1
    lease = claimed(context)
    assert (lease.job_id, lease.attempt, lease.token) == (job.id, 2, 2)
    assert states_of(context, job.id) == ["queued", "running", "queued", "running"]
    assert claim(context) is None


def test_a_job_whose_workers_all_fall_silent_fails(context: Context, job: Job):
    for _ in range(3):
        claimed(context, lease_seconds=-1)
    assert claim(context) is None
    row = row_of(context, job.id)
    assert (row["state"], row["attempts"], row["error"]["code"]) == ("failed", 3, "attempts_exhausted")
    assert "attempt 3 of 3" in row["error"]["message"]


def test_a_job_whose_children_all_die_fails_with_the_last_reason(context: Context, dataset: Dataset):
    job = post(context, dataset, max_attempts=2)
    for attempt in (1, 2):
        lease = claimed(context)
        assert lease.attempt == attempt
        held.put_back(context.database, lease, "child_died", "ended by SIGSEGV")
    row = row_of(context, job.id)
    assert (row["state"], row["error"]["code"]) == ("failed", "child_died")
    assert "SIGSEGV" in row["error"]["message"]
    assert claim(context) is None


def test_handing_back_spends_no_attempt(context: Context, job: Job):
    for _ in range(10):
        lease = claimed(context)
        assert lease.attempt == 1
        held.hand_back(context.database, lease, "the worker stops")
    row = row_of(context, job.id)
    assert (row["state"], row["attempts"], row["lease_token"]) == ("queued", 0, 10)


@pytest.mark.parametrize("how", ["hand_back", "put_back", "silence"])
def test_a_wish_to_cancel_outlives_the_worker(context: Context, job: Job, how: str):
    lease = claimed(context, lease_seconds=-1 if how == "silence" else 30)
    actions.cancel(context, job.id)
    assert row_of(context, job.id)["requested"] == "cancel"
    if how == "silence":
        assert claim(context) is None
    else:
        WRITES[how](context, lease)
    assert row_of(context, job.id)["state"] == "cancelled"
    assert claim(context) is None


def test_looking_for_work_waits_for_no_writer(context: Context, job: Job):
    lease = claimed(context)
    with context.database.write() as session:
        session.execute(update(tables.Job).values(epochs_done=1))
        assert claim(context) is None
        assert held.requested(context.database, lease) is None


def test_what_happens_twice_is_told_twice(context: Context, job: Job):
    """Only a try after one whose answer was lost takes such news for those that it wrote."""
    lease = claimed(context)
    news = [News("log", {"message": "again"}, 1000.0)]
    for _ in range(2):
        held.append(context.database, lease, news, lease_seconds=30)
    assert [kind for _, kind, _ in history_of(context, job.id)] == ["state", "state", "log", "log"]
