"""Every action on a job in every situation; and what happens to a wish when a worker acts at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from types import ModuleType
from typing import Any, get_args

import pytest
from sqlalchemy import select, update

from service import tables
from service.context import Context
from service.datasets.schemas import Dataset
from service.datasets.service import delete_dataset
from service.ids import new_id
from service.jobs import actions, held, queue
from service.jobs.actions import ACTIONS, Action, Situation
from service.jobs.schemas import Job
from service.jobs.states import Stale
from service.problems import Problem
from tests.service.history import history_of, row_of
from tests.service.processes import PATIENCE
from tests.service.workplace import post

DO: dict[Action, Callable[[Context, str], object]] = {
    "pause": actions.pause,
    "resume": actions.resume,
    "cancel": actions.cancel,
    "retry": lambda context, job_id: actions.retry(context, job_id, from_start=False),
    "delete": actions.delete_job,
}
NOT_ALLOWED = "not allowed"
# One line an action: what comes of it in each situation.
SITUATIONS: tuple[Situation, ...] = (
    "queued",
    "running",
    "pausing",
    "cancelling",
    "paused",
    "succeeded",
    "failed",
    "cancelled",
)
no = NOT_ALLOWED
TABLE: dict[Action, tuple[str, ...]] = {
    "pause": ("paused", "pausing", "pausing", no, "paused", no, no, no),
    "resume": ("queued", "running", "running", no, "queued", no, no, no),
    "cancel": ("cancelled", "cancelling", "cancelling", "cancelling", "cancelled", no, no, "cancelled"),
    "retry": ("queued", "running", no, no, no, no, "queued", "queued"),
    "delete": (no, no, no, no, no, "gone", "gone", "gone"),
}
ALLOWED: dict[Situation, list[str]] = {
    "pausing": ["resume", "cancel"],
    "cancelling": [],
    "paused": ["resume", "cancel"],
    "queued": ["pause", "cancel"],
    "running": ["pause", "cancel"],
    "succeeded": ["delete"],
    "failed": ["retry", "delete"],
    "cancelled": ["retry", "delete"],
}


def put_into(context: Context, job: Job, situation: str) -> None:
    wishes = {"pausing": ("running", "pause"), "cancelling": ("running", "cancel")}
    state, wish = wishes.get(situation, (situation, None))
    with context.database.write() as session:
        values = {"state": state, "requested": wish, "lease_token": 7, "attempts": 2, "run_seconds": 5.0}
        if state == "failed":
            values["error"] = {"code": "child_died", "message": "it died"}
        session.execute(update(tables.Job).where(tables.Job.id == job.id).values(**values))


def situation(context: Context, job: Job) -> Situation:
    with context.database.read() as session:
        return actions.situation_of(session.get_one(tables.Job, job.id))


def claimed(context: Context, job: Job) -> queue.Lease:
    lease = queue.claim(context.database, lease_seconds=30)
    assert lease is not None
    assert lease.job_id == job.id
    return lease


def add_checkpoint(context: Context, job: Job, epoch: int = 3, step: int = 27) -> str:
    """Add a checkpoint of the job with a file, and make it the last."""
    checkpoint_id, folder = new_id("ckpt"), f"checkpoints/{job.id}-1-{step}"
    data = {"epoch": epoch, "step": step, "epochs": 100, "seconds": 1.5, "loss": 0.25, "accuracy": 0.5}
    context.storage.path(folder).mkdir(parents=True)
    (context.storage.path(folder) / "weights.safetensors").write_bytes(b"weights")
    with context.database.write() as session:
        values = {"owner": job.owner, "job_id": job.id, "folder": folder, "epoch": epoch, "step": step, "data": data}
        session.add(tables.Checkpoint(id=checkpoint_id, **values))
        session.execute(
            update(tables.Job)
            .where(tables.Job.id == job.id)
            .values(checkpoint_id=checkpoint_id, epochs_done=epoch + 2, steps_done=step + 18)
        )
    return checkpoint_id


def test_the_table_has_every_action_and_situation():
    states = {name for part in get_args(Situation) for name in (get_args(part) or [part])}
    assert set(SITUATIONS) == states == set(ALLOWED)
    assert set(TABLE) == set(DO) == set(ACTIONS) == set(get_args(Action))


@pytest.mark.parametrize(("action", "before"), [*product(TABLE, SITUATIONS)])
def test_what_each_action_does_in_each_situation(context: Context, job: Job, action: Action, before: Situation):
    put_into(context, job, before)
    row, history = row_of(context, job.id), history_of(context, job.id)
    after = dict(zip(SITUATIONS, TABLE[action], strict=True))[before]
    if after == NOT_ALLOWED:
        with pytest.raises(Problem) as refused:
            DO[action](context, job.id)
        assert (refused.value.status, refused.value.code) == (409, "action_not_allowed")
        [error] = refused.value.errors
        assert (error.field, error.value) == ("state", before)
        assert (error.allowed or "").split(", ") == (ALLOWED[before] or [""])
        assert (row_of(context, job.id), history_of(context, job.id)) == (row, history)
        return
    for _ in range(1 if after == "gone" else 2):  # asking twice is no error, and changes nothing more
        DO[action](context, job.id)
        if after == "gone":
            with context.database.read() as session:
                assert session.get(tables.Job, job.id) is None
            return
        assert situation(context, job) == after
        moved = [] if row_of(context, job.id)["state"] == row["state"] else [after]
        assert [data["state"] for _, _, data in history_of(context, job.id)[len(history) :]] == moved
        assert row_of(context, job.id)["lease_token"] == 7


@pytest.mark.parametrize("action", DO)
def test_of_an_unknown_job_there_is_nothing_to_do(context: Context, action: Action):
    with pytest.raises(Problem) as refused:
        DO[action](context, "job_" + "0" * 32)
    assert refused.value.status == 404


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_retrying_goes_on_from_the_last_checkpoint(context: Context, job: Job, state: str):
    checkpoint_id = add_checkpoint(context, job)
    put_into(context, job, state)
    actions.retry(context, job.id, from_start=False)
    row = row_of(context, job.id)
    assert (row["attempts"], row["run_seconds"], row["error"], row["finished_at"]) == (0, 0.0, None, None)
    assert (row["checkpoint_id"], row["epochs_done"], row["steps_done"]) == (checkpoint_id, 3, 27)
    told = {"state": "queued", "message": "tried again, from its checkpoint after 27 steps"}
    assert history_of(context, job.id)[-1] == (row["last_event"], "state", told)
    lease = claimed(context, job)
    assert (lease.attempt, lease.token) == (1, 8)


def test_retrying_from_the_start_drops_the_checkpoints(context: Context, job: Job):
    add_checkpoint(context, job, step=9)
    add_checkpoint(context, job, step=18)
    put_into(context, job, "failed")
    actions.retry(context, job.id, from_start=True)
    row = row_of(context, job.id)
    assert (row["state"], row["checkpoint_id"], row["epochs_done"], row["steps_done"]) == ("queued", None, 0, 0)
    assert history_of(context, job.id)[-1][2]["message"] == "tried again, from the start"
    with context.database.read() as session:
        assert session.scalars(select(tables.Checkpoint)).all() == []
    assert list(context.storage.path("checkpoints").iterdir()) == []


def test_deleting_takes_checkpoints_and_their_files_along(context: Context, job: Job, dataset: Dataset):
    other = post(context, dataset)
    kept = add_checkpoint(context, other)
    add_checkpoint(context, job)
    put_into(context, job, "cancelled")
    actions.delete_job(context, job.id)
    with context.database.read() as session:
        assert session.scalars(select(tables.Checkpoint.id)).all() == [kept]
    assert [path.name for path in context.storage.path("checkpoints").iterdir()] == [f"{other.id}-1-27"]


@pytest.mark.parametrize("state", ["queued", "paused"])
def test_what_another_job_starts_with_stays(context: Context, job: Job, dataset: Dataset, state: str):
    start = add_checkpoint(context, job)
    other = post(context, dataset, init_from=start)
    put_into(context, job, "failed")
    put_into(context, other, state)
    for action in (
        lambda: actions.delete_job(context, job.id),
        lambda: actions.retry(context, job.id, from_start=True),
    ):
        with pytest.raises(Problem, match=other.id) as refused:
            action()
        assert refused.value.code == "start_of_another_job"
    assert context.storage.path(f"checkpoints/{job.id}-1-27").exists()
    put_into(context, other, "failed")
    actions.delete_job(context, job.id)
    with pytest.raises(Problem, match=start) as refused:
        actions.retry(context, other.id, from_start=False)
    assert refused.value.code == "start_gone"


def test_a_job_whose_data_set_was_deleted_is_not_retried(context: Context, job: Job, dataset: Dataset):
    put_into(context, job, "paused")
    with pytest.raises(Problem) as refused:
        delete_dataset(context, dataset.id)
    assert refused.value.code == "dataset_in_use"
    put_into(context, job, "failed")
    delete_dataset(context, dataset.id)
    with pytest.raises(Problem, match=dataset.id) as refused:
        actions.retry(context, job.id, from_start=False)
    assert refused.value.code == "dataset_gone"
    assert row_of(context, job.id)["state"] == "failed"


@pytest.mark.parametrize("how", ["hand_back", "silence"])
def test_a_wish_to_pause_outlives_the_worker(context: Context, job: Job, how: str):
    lease = queue.claim(context.database, lease_seconds=-1 if how == "silence" else 30)
    assert lease is not None
    actions.pause(context, job.id)
    if how == "hand_back":
        held.hand_back(context.database, lease, "its worker was stopped")
    assert queue.claim(context.database, lease_seconds=30) is None
    assert situation(context, job) == "paused"


@pytest.mark.parametrize(
    ("action", "after", "attempts"), [(None, "paused", 0), ("resume", "queued", 0), ("cancel", "cancelled", 1)]
)
def test_a_worker_that_pauses_follows_what_is_wished_by_then(
    context: Context, job: Job, action: Action | None, after: str, attempts: int
):
    """The wish changes while the child writes its checkpoint."""
    lease = claimed(context, job)
    actions.pause(context, job.id)
    assert held.requested(context.database, lease) == "pause"
    if action:
        DO[action](context, job.id)
    held.pause(context.database, lease)
    assert situation(context, job) == after
    row = row_of(context, job.id)
    assert (row["attempts"], row["requested"], row["lease_expires_at"]) == (attempts, None, None)
    with pytest.raises(Stale):
        held.append(context.database, lease, [], lease_seconds=30)


def at_once(*each: Callable[[], Any]) -> list[Any]:
    """Do all of it at the same time, each in a thread of its own; return what each gave, or was refused with."""
    barrier = threading.Barrier(len(each), timeout=PATIENCE)

    def run(one: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return one()
        except Problem as refused:
            return refused

    with ThreadPoolExecutor(len(each)) as pool:
        return [future.result() for future in [pool.submit(run, one) for one in each]]


def in_order(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, first: Callable[[], Any], second: Callable[[], Any]
) -> tuple[Any, Any]:
    """Begin `second` while `first`, which calls the module's `move`, has written and not yet committed."""
    written, begun, move = threading.Event(), threading.Event(), module.move

    def move_and_wait(*arguments: Any, **options: Any) -> int:
        sequence = move(*arguments, **options)
        written.set()
        assert begun.wait(PATIENCE)
        return sequence

    def begin() -> Any:
        begun.set()
        return second()

    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(module, "move", move_and_wait)
        one = pool.submit(first)
        assert written.wait(PATIENCE)
        other = pool.submit(begin)
        return one.result(), other.result()


@pytest.mark.parametrize("action", ["pause", "cancel", "resume", "retry"])
def test_a_claim_comes_before_an_action(context: Context, job: Job, monkeypatch: pytest.MonkeyPatch, action: Action):
    """The worker has the job, and hears of the wish."""
    claim, act = partial(queue.claim, context.database, lease_seconds=30), partial(DO[action], context, job.id)
    lease, _ = in_order(monkeypatch, queue, claim, act)
    wish = {"pause": "pause", "cancel": "cancel"}.get(action)
    assert held.requested(context.database, lease) == wish
    assert situation(context, job) == {"pause": "pausing", "cancel": "cancelling"}.get(action, "running")


@pytest.mark.parametrize(
    ("before", "action", "after"),
    [
        ("queued", "pause", "paused"),
        ("queued", "cancel", "cancelled"),
        ("paused", "resume", "queued"),
        ("failed", "retry", "queued"),
    ],
)
def test_an_action_comes_before_a_claim(
    context: Context, job: Job, monkeypatch: pytest.MonkeyPatch, before: str, action: Action, after: str
):
    """The worker doesn't get the job, or gets it when it asks again."""
    put_into(context, job, before)
    claim, act = partial(queue.claim, context.database, lease_seconds=30), partial(DO[action], context, job.id)
    _, lease = in_order(monkeypatch, actions, act, claim)
    if after != "queued":
        assert lease is None
        assert situation(context, job) == after
    else:
        assert (lease or claimed(context, job)).job_id == job.id
        assert queue.claim(context.database, lease_seconds=30) is None


ROUNDS = 20


@pytest.mark.parametrize("action", ["pause", "cancel"])
def test_a_claim_and_an_action_at_once(context: Context, dataset: Dataset, action: Action):
    """Either the worker has the job and is asked to stop, or it never got it."""
    stopped, asked = {"pause": ("paused", "pausing"), "cancel": ("cancelled", "cancelling")}[action]
    for _ in range(ROUNDS):
        job = post(context, dataset)
        claim, act = partial(queue.claim, context.database, lease_seconds=30), partial(DO[action], context, job.id)
        lease, answer = at_once(claim, act)
        assert answer is None
        assert situation(context, job) == (asked if lease else stopped)
        sequences = [sequence for sequence, _, _ in history_of(context, job.id)]
        assert sequences == list(range(1, len(sequences) + 1))
        if lease:
            held.fail(context.database, lease, "code", "message")


def test_cancelling_overrides_pausing_at_once(context: Context, dataset: Dataset):
    for _ in range(ROUNDS):
        job = post(context, dataset)
        lease = claimed(context, job)
        at_once(partial(actions.pause, context, job.id), partial(actions.cancel, context, job.id))
        assert situation(context, job) == "cancelling"
        held.cancel(context.database, lease)


def test_resuming_twice_at_once_queues_once(context: Context, dataset: Dataset):
    for _ in range(ROUNDS):
        job = post(context, dataset)
        actions.pause(context, job.id)
        assert at_once(*[partial(actions.resume, context, job.id)] * 2) == [None, None]
        assert [data["state"] for _, _, data in history_of(context, job.id)] == ["queued", "paused", "queued"]
        actions.cancel(context, job.id)
