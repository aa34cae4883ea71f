from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

import core
from service import tables
from service.attempt import ERROR_PAUSE_SECONDS
from service.children import Child, Children
from service.context import Context
from service.datasets.encoding import Encoding
from service.datasets.schemas import Dataset
from service.jobs import actions, files, held, queue
from service.jobs.metrics import Curve
from service.jobs.service import get_job
from service.models.card import CARD
from service.models.predictor import ENCODING, WEIGHTS
from service.storage import Storage
from service.worker import Worker
from tests.service.conftest import NewDatabase
from tests.service.history import ended, history_of, published, row_of, states_of, training
from tests.service.processes import eventually
from tests.service.test_runner import APART
from tests.service.workplace import post, upload, workplace

ENDLESS: dict[str, Any] = {"epochs": 1_000_000}
POLL = 0.02


@contextmanager
def in_thread(context: Context) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=Worker(context.settings).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory, new_database: NewDatabase) -> Iterator[Context]:
    folder = tmp_path_factory.mktemp("worker")
    with (
        new_database() as database,
        workplace(folder, poll_seconds=POLL, **database) as context,
        in_thread(context),
    ):
        yield context


@pytest.fixture(scope="module")
def dataset(context: Context) -> Dataset:
    return upload(context)


def test_a_job_becomes_a_model(context: Context, dataset: Dataset):
    job = ended(context, post(context, dataset))
    assert (job.state, job.attempts, job.error) == ("succeeded", 1, None)
    assert job.result is not None
    assert job.result.validation_loss is not None
    assert job.result.metrics["accuracy"] is not None
    assert job.result.metrics["accuracy"] >= 0.97
    assert job.progress.epoch == job.progress.epochs == 100

    history = history_of(context, job.id)
    assert [sequence for sequence, _, _ in history] == list(range(1, len(history) + 1))
    told = [data for _, kind, data in history if kind == "metrics"]
    assert [data["first_epoch"] for data in told] == [1, *(data["epoch"] + 1 for data in told[:-1])]
    assert Curve(context, job.id).columns()["epoch"] == list(range(1, 101))
    assert states_of(context, job) == ["queued", "running", "succeeded"]

    with context.database.read() as session:
        model = session.get_one(tables.Model, job.model_id)
    folder = context.storage.path(model.folder)
    assert (model.job_id, model.folder) == (job.id, files.folder(job.id, 1))
    assert sorted(path.name for path in folder.iterdir()) == [CARD, ENCODING, WEIGHTS]
    assert not files.draft(context.storage, model.folder).exists()
    assert core.load(folder / WEIGHTS).n_parameters == model.card["n_parameters"] == job.result.n_parameters
    assert Encoding.model_validate_json((folder / ENCODING).read_bytes()).n_inputs == model.card["network"]["n_inputs"]


def test_the_best_epoch_so_far_is_told_and_goes_on_with_the_job(context: Context, dataset: Dataset):
    job = post(context, dataset, target="body_mass_g", **ENDLESS)
    assert eventually(lambda: get_job(context, job.id).progress.epoch > 100)  # it overfits: later ones are worse
    actions.pause(context, job.id)
    assert eventually(lambda: get_job(context, job.id).state == "paused")
    before = get_job(context, job.id).progress.epoch
    actions.resume(context, job.id)
    assert eventually(lambda: get_job(context, job.id).progress.epoch > before)
    actions.cancel(context, job.id)
    ended(context, job)
    told = [data for _, kind, data in history_of(context, job.id) if kind == "metrics"]
    columns = Curve(context, job.id).columns()
    rmse = np.array(columns["rmse"], float)
    assert np.argmin(rmse) < len(rmse) - 1
    for data in told:
        best = int(np.argmin(rmse[: data["epoch"]]))
        assert data["best"] == {"name": "rmse", "value": rmse[best], "epoch": best + 1}
    assert "best" not in columns


def test_jobs_need_no_new_child(context: Context, dataset: Dataset, caplog: pytest.LogCaptureFixture):
    ended(context, post(context, dataset, epochs=1))
    with caplog.at_level(logging.INFO):
        jobs = [post(context, dataset, epochs=1) for _ in range(5)]
        assert {ended(context, job).state for job in jobs} == {"succeeded"}
    assert len(set(re.findall(r"in process (\d+)", caplog.text))) == 1


def test_a_job_that_cannot_go_well_fails_at_once_and_leaves_nothing(context: Context, dataset: Dataset):
    before = published(context)
    optimizer = {"name": "sgd", "learning_rate": 1e30}
    job = ended(context, post(context, dataset, "body_mass_g", optimizer=optimizer, **APART))
    assert (job.state, job.attempts, job.model_id) == ("failed", 1, None)
    assert job.error is not None
    assert job.error.code == "non_finite_loss"
    assert "smaller optimizer.learning_rate (it was 1e+30)" in job.error.message
    assert history_of(context, job.id)[-1][2] == {"state": "failed", "error": job.error.model_dump()}
    assert published(context) == before
    assert ended(context, post(context, dataset, epochs=1)).state == "succeeded"


def test_a_running_job_is_cancelled(context: Context, dataset: Dataset):
    job = training(context, post(context, dataset, **ENDLESS))
    actions.cancel(context, job.id)
    assert get_job(context, job.id).requested == "cancel"
    assert ended(context, job).state == "cancelled"
    assert states_of(context, job) == ["queued", "running", "cancelled"]
    assert ended(context, post(context, dataset, epochs=1)).state == "succeeded"


def test_a_long_epoch_does_not_hold_up_a_cancel(context: Context, dataset: Dataset):
    slow = {"layers": [{"units": 4096}, {"units": 4096}]}
    job = post(context, dataset, network=slow, batch_size=1, **ENDLESS)
    assert eventually(lambda: get_job(context, job.id).progress.step > 0)
    actions.cancel(context, job.id)
    assert ended(context, job).state == "cancelled"
    assert get_job(context, job.id).progress.epoch == 0


def test_a_worker_that_lost_its_lease_discards_its_work(context: Context, dataset: Dataset):
    job = training(context, post(context, dataset, **ENDLESS))
    with context.database.write() as session:
        session.execute(update(tables.Job).where(tables.Job.id == job.id).values(lease_token=7))
    later = ended(context, post(context, dataset, epochs=1))  # the worker goes on with the next job
    assert later.state == "succeeded"
    row = row_of(context, job.id)
    assert (row["state"], row["lease_token"]) == ("running", 7)
    assert len(history_of(context, job.id)) == row["last_event"]
    assert not [name for name in published(context) if job.id in name]


@pytest.mark.parametrize("swept", [False, True], ids=["files there", "files swept by the next worker"])
def test_a_lease_lost_while_publishing_leaves_no_model(
    context: Context, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, swept: bool
):
    publish = Storage.publish

    def publish_too_late(storage: Storage, draft: Path, key: str, **options: Any) -> Path:
        with context.database.write() as session:
            session.execute(update(tables.Job).where(tables.Job.id == job.id).values(lease_token=7))
        if swept:
            shutil.rmtree(draft)
        return publish(storage, draft, key, **options)

    monkeypatch.setattr(Storage, "publish", publish_too_late)
    with caplog.at_level(logging.WARNING):
        job = post(context, dataset, epochs=1)
        assert eventually(lambda: f"{job.id}: the lease is lost" in caplog.text)
    assert eventually(lambda: not [name for name in published(context) if job.id in name])
    assert row_of(context, job.id)["model_id"] is None
    with context.database.read() as session:
        assert session.scalars(select(tables.Model).where(tables.Model.job_id == job.id)).all() == []


def test_a_full_disk_costs_attempts_with_a_pause_between_and_leaves_nothing(
    context: Context, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
):
    def no_space(_storage: Storage, _draft: Path, _key: str, **_options: Any) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Storage, "publish", no_space)
    job = ended(context, post(context, dataset, epochs=1))
    assert job.error is not None
    assert (job.state, job.attempts, job.error.code) == ("failed", 3, "storage_failed")
    assert "No space left on device, in attempt 3 of 3" in job.error.message
    assert not [name for name in published(context) if job.id in name]
    with context.database.read() as session:
        events = session.scalars(select(tables.Event).where(tables.Event.job_id == job.id)).all()
    began = [event.created_at for event in events if event.data.get("state") == "running"]
    assert min(later - earlier for earlier, later in pairwise(began)) >= ERROR_PAUSE_SECONDS


def test_a_worker_goes_on_after_an_error_of_its_own(
    context: Context, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("service.worker.ERROR_PAUSE_SECONDS", 0.0)
    claim, broken = queue.claim, threading.Event()

    def broken_claim(*args: Any, **options: Any) -> queue.Lease | None:
        if not broken.is_set():
            broken.set()
            raise RuntimeError("the database is gone")
        return claim(*args, **options)

    monkeypatch.setattr(queue, "claim", broken_claim)
    assert ended(context, post(context, dataset, epochs=1)).state == "succeeded"
    assert "the database is gone" in caplog.text


def test_a_child_that_cannot_be_started_costs_no_attempt(
    context: Context, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("service.worker.ERROR_PAUSE_SECONDS", 0.0)
    take, broken = Children.take, threading.Event()

    def broken_take(children: Children, device: str) -> Child:
        if not broken.is_set():
            broken.set()
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return take(children, device)

    monkeypatch.setattr(Children, "take", broken_take)
    job = ended(context, post(context, dataset, epochs=1))
    assert (job.state, job.attempts) == ("succeeded", 1)
    assert states_of(context, job) == ["queued", "running", "queued", "running", "succeeded"]
    assert "Resource temporarily unavailable" in caplog.text


def test_files_of_dead_attempts_are_swept(tmp_path: Path, new_database: NewDatabase):
    with new_database() as database, workplace(tmp_path, **database) as context:
        dataset = upload(context)
        jobs = [post(context, dataset) for _ in range(3)]
        leases = [queue.claim(context.database, lease_seconds=30) for _ in jobs]
        done, running, failed = (lease for lease in leases if lease)
        held.succeed(context.database, done, result={}, card={})
        held.fail(context.database, failed, "code", "message")
        alive = [done.folder, running.folder + files.DRAFT]
        dead = [
            failed.folder,
            failed.folder + files.DRAFT,
            files.folder(done.job_id, 0),
            files.folder(running.job_id, 0) + files.DRAFT,
            files.folder("job_" + "0" * 32, 1),
        ]
        for key in alive + dead:
            context.storage.path(key).mkdir(parents=True)
        files.sweep(context.database, context.storage)
        assert published(context) == sorted(key.removeprefix("models/") for key in alive)
