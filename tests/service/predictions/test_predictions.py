"""Predictions of whole data sets: the same as predict calls, whatever happens to those who work on them."""

from __future__ import annotations

import io
import logging
import os
import re
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import polars as pl
import pytest

from service import tables
from service.children import Child
from service.context import Context
from service.datasets.files import table_key
from service.datasets.schemas import Dataset
from service.datasets.service import delete_dataset
from service.jobs import actions, files, held, queue
from service.jobs.actions import PREDICTIONS
from service.jobs.held import News
from service.jobs.insistence import Try
from service.jobs.service import get_job, list_jobs
from service.jobs.states import Stale
from service.models.schemas import PredictRequest
from service.models.service import delete_model
from service.models.service import predict as predict_rows
from service.predictions import batches, service
from service.predictions.schemas import FileFormat, Prediction, PredictionRequest, PredictionSpec
from service.problems import Problem
from service.protocol import PredictionAssignment
from service.training.course import Wish
from tests.service.conftest import NewDatabase
from tests.service.history import history_of, published, row_of
from tests.service.models.conftest import TABLE, add_model, records
from tests.service.processes import PATIENCE, eventually
from tests.service.test_worker import in_thread
from tests.service.workplace import upload, workplace

FEATURES = ["length", "island", "tagged", "seen"]
ROWS = 10_000  # more than two batches
READERS = {"csv": pl.read_csv, "parquet": pl.read_parquet}


def table(rows: int) -> pl.DataFrame:
    """So many rows, all different, some with categories that no training has seen."""
    whole = pl.concat([TABLE] * (rows // TABLE.height + 1)).head(rows)
    islands = pl.when(pl.int_range(rows) % 11 == 0).then(pl.lit("Atlantis")).otherwise("island")
    return whole.with_columns(pl.col("length") + pl.int_range(rows) / 1000, island=islands, note=pl.lit("unread"))


def uploaded(context: Context, rows: pl.DataFrame, folder: Path) -> Dataset:
    path = folder / "rows.parquet"
    rows.write_parquet(path)
    return upload(context, path)


def post(context: Context, model_id: str, dataset_id: str, **fields: Any) -> Prediction:
    request = PredictionRequest(model_id=model_id, dataset_id=dataset_id, **fields)
    return service.post_prediction(context, request)[0]


def ended(context: Context, prediction: Prediction) -> Prediction:
    async def wait() -> Prediction:
        return await service.wait_for(context, prediction.id, PATIENCE)

    found = anyio.run(wait)
    assert found.finished_at is not None, found
    return found


def rows_done(number: int) -> News:
    return News("rows", {"rows_done": number, "rows": ROWS, "seconds": 1.0}, float(number))


def read(context: Context, prediction: Prediction) -> pl.DataFrame:
    path, found = service.content(context, prediction.id)
    return READERS[found.format](io.BytesIO(path.read_bytes()))


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory, new_database: NewDatabase) -> Iterator[Context]:
    with (
        new_database() as database,
        workplace(tmp_path_factory.mktemp("predictions"), poll_seconds=0.02, **database) as context,
    ):
        yield context


@pytest.fixture
def working(context: Context) -> Iterator[None]:
    with in_thread(context):
        yield


@pytest.fixture(scope="module")
def dataset(context: Context, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return uploaded(context, table(ROWS), tmp_path_factory.mktemp("rows"))


@pytest.mark.usefixtures("working")
def test_every_row_is_predicted_as_by_a_call(context: Context, dataset: Dataset):
    cases: list[tuple[str, FileFormat]] = [("species", "csv"), ("tagged", "parquet"), ("mass", "csv")]
    for target, format in cases:
        model_id = add_model(context, target)
        made = ended(context, post(context, model_id, dataset.id, format=format))
        assert (made.state, made.rows, made.rows_done, made.error) == ("succeeded", ROWS, ROWS, None)
        columns = [name for name in (*FEATURES, "mass", "species") if name in TABLE.columns and name != target]
        rows = table(ROWS).select(columns)
        told = predict_rows(context, model_id, PredictRequest(rows=records(rows))).data
        expected = [each.model_dump() for each in told]
        found = read(context, made)
        assert found.height == ROWS
        if target == "mass":
            assert found.columns == [target]
            assert found[target].to_list() == pytest.approx([each["value"] for each in expected])
            continue
        classes = list(expected[0]["probabilities"])
        assert found.columns == [target, *(f"probability_{name}" for name in classes)]
        assert found[target].cast(pl.String).to_list() == [each["label"] for each in expected]
        for name in classes:
            shares = [each["probabilities"][name] for each in expected]
            assert found[f"probability_{name}"].to_list() == pytest.approx(shares)


@pytest.mark.usefixtures("working")
def test_its_events_tell_how_many_rows_are_done(context: Context, dataset: Dataset):
    made = ended(context, post(context, add_model(context, "species"), dataset.id))
    history = history_of(context, made.id)
    assert [data["state"] for _, kind, data in history if kind == "state"] == ["queued", "running", "succeeded"]
    told = [data for _, kind, data in history if kind == "rows"]
    assert [told[-1][name] for name in ("rows_done", "rows")] == [ROWS, ROWS]
    assert history[-1][1] == "state"
    assert made.result is not None
    assert made.result.peak_bytes


def test_news_of_rows_that_come_together_are_one_event(context: Context, dataset: Dataset):
    made = post(context, add_model(context, "species"), dataset.id)
    lease = queue.claim(context.database, lease_seconds=30)
    assert lease is not None
    held.append(context.database, lease, [rows_done(10), rows_done(20)], lease_seconds=30)
    held.append(context.database, lease, [rows_done(30)], lease_seconds=30)
    told = [data["rows_done"] for _, kind, data in history_of(context, made.id) if kind == "rows"]
    assert told == [20, 30]
    assert service.get(context, made.id).rows_done == 30
    held.cancel(context.database, lease)


@pytest.mark.usefixtures("working")
def test_a_target_that_is_named_as_a_probability_has_a_name_of_its_own(context: Context, dataset: Dataset):
    """Else two columns of the file would have one name, which fails when the rows are predicted."""
    target = "probability_Adelie"
    model_id = add_model(context, target, table=TABLE.rename({"species": target}))
    made = ended(context, post(context, model_id, dataset.id))
    assert made.error is None
    found = read(context, made)
    assert found.columns == [f"{target}_", target, "probability_Chinstrap", "probability_Gentoo"]
    assert set(found[f"{target}_"]) <= {"Adelie", "Chinstrap", "Gentoo"}
    assert found[target].dtype == pl.Float64


@pytest.mark.usefixtures("working")
def test_a_prediction_is_no_job_of_training_and_the_other_way_round(context: Context, dataset: Dataset):
    made = ended(context, post(context, add_model(context, "species"), dataset.id))
    assert made.id not in [job.id for job in list_jobs(context, 100, None, states=[], dataset_id=None)[0]]
    with pytest.raises(Problem, match="no job with the id"):
        get_job(context, made.id)
    with pytest.raises(Problem, match="no job with the id"):
        actions.cancel(context, made.id)
    assert listed(context, dataset_id=dataset.id)[0].id == made.id


def listed(context: Context, **only: Any) -> list[Prediction]:
    return service.list_predictions(context, 100, None, **{"states": [], "model_id": None, "dataset_id": None} | only)[
        0
    ]


def test_lists_are_narrowed(context: Context, dataset: Dataset):
    model_id = add_model(context, "species")
    made = post(context, model_id, dataset.id)
    assert listed(context, model_id=model_id) == [made]
    assert listed(context, model_id=model_id, states=["queued"]) == [made]
    assert listed(context, model_id=model_id, states=["running"]) == []
    actions.cancel(context, made.id, PREDICTIONS)


def test_a_killed_one_begins_anew_and_ends_alike(
    context: Context, dataset: Dataset, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """The child is killed as soon as it has its assignment; nothing of it stays."""
    model_id = add_model(context, "species")
    with caplog.at_level(logging.INFO), in_thread(context):
        whole = ended(context, post(context, model_id, dataset.id))
        start, pids = Child.start, []

        def start_and_die(child: Any, assignment: Any) -> None:
            if pids:
                start(child, assignment)
                return
            pids.append(child.pid)
            os.kill(child.pid, signal.SIGSTOP)  # else it may be done before it is killed
            start(child, assignment)
            os.kill(child.pid, signal.SIGKILL)

        monkeypatch.setattr(Child, "start", start_and_die)
        again = ended(context, post(context, model_id, dataset.id))
    assert (again.state, again.attempts, len(pids)) == ("succeeded", 2, 1)
    assert read(context, again).equals(read(context, whole))
    assert [name for name in published(context) if again.id in name] == [f"{again.id}-2"]


def test_a_silent_workers_prediction_goes_to_another(context: Context, dataset: Dataset):
    made = post(context, add_model(context, "species"), dataset.id)
    lease = queue.claim(context.database, lease_seconds=-1)
    assert lease is not None
    assert (lease.job_id, lease.kind) == (made.id, "prediction")
    with in_thread(context):
        assert ended(context, made).attempts == 2
    with pytest.raises(Stale):
        held.append(context.database, lease, [rows_done(1)], lease_seconds=30)


def test_an_answer_that_was_lost_does_no_harm(context: Context, dataset: Dataset):
    made = post(context, add_model(context, "species"), dataset.id)
    lease = queue.claim(context.database, lease_seconds=30)
    assert lease is not None
    one_try: Any = held.succeed_without_model
    for this in (Try(context.database, again=False), Try(context.database, again=True)):
        one_try.__wrapped__(this, lease, result={"bytes": 1, "seconds": 0.1})
    assert service.get(context, made.id).state == "succeeded"
    assert row_of(context, made.id)["last_event"] == 3


def test_one_that_is_cancelled_leaves_nothing_and_can_be_retried(context: Context, dataset: Dataset):
    made = post(context, add_model(context, "species"), dataset.id)
    actions.cancel(context, made.id, PREDICTIONS)
    assert service.get(context, made.id).state == "cancelled"
    with pytest.raises(Problem, match="cancelled, and its file is there once") as refused:
        service.content(context, made.id)
    assert refused.value.status == 409
    with pytest.raises(Problem, match="can't be") as refused:
        actions.retry(context, listed(context, states=["succeeded"])[0].id, PREDICTIONS, from_start=True)
    assert "DELETE /v1/predictions/" in str(refused.value)
    actions.retry(context, made.id, PREDICTIONS, from_start=True)
    with in_thread(context):
        assert ended(context, made).state == "succeeded"
    actions.delete_job(context, made.id, PREDICTIONS)
    assert not [name for name in published(context) if made.id in name]


def test_one_that_runs_is_cancelled_between_two_batches(context: Context, dataset: Dataset, tmp_path: Path):
    wish = Wish()
    running = batches.predict(assignment(context, dataset, tmp_path), wish)
    kind, told = next(running)
    assert (kind, told["rows_done"], told["rows"]) == ("rows", batches.BATCH, ROWS)
    wish.stop = True
    assert list(running) == [("stopped", {})]
    assert not list((tmp_path / "draft").glob("predictions.*"))


def assignment(context: Context, dataset: Dataset, folder: Path) -> PredictionAssignment:
    with context.database.read() as session:
        model = session.get_one(tables.Model, add_model(context, "species")).folder
    spec = PredictionSpec(format="csv", rows=dataset.rows)
    path = context.storage.path
    return PredictionAssignment(table=path(table_key(dataset.id)), draft=folder / "draft", model=path(model), spec=spec)


def test_no_more_than_a_batch_is_predicted_at_a_time(
    context: Context, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(batches, "BATCH", 3000)
    *told, (last, _) = batches.predict(assignment(context, dataset, tmp_path), Wish())
    assert last == "done"
    steps = [0, *(data["rows_done"] for _, data in told)]
    assert max(after - before for before, after in pairwise(steps)) == 3000
    assert steps[-1] == ROWS


def test_every_column_at_fault_is_named_at_once(context: Context, tmp_path: Path):
    rows = table(30).drop("island").with_columns(length=pl.lit("long"), tagged=pl.lit(None, pl.String))
    dataset = uploaded(context, rows, tmp_path)
    with pytest.raises(Problem) as refused:
        post(context, add_model(context, "species"), dataset.id)
    assert refused.value.status == 422
    errors = {error.value: error for error in refused.value.errors}
    assert set(errors) == {"length", "island"}
    assert errors["island"].message == "the model reads the column 'island', which isn't in the data set"
    assert errors["length"].message == "the model reads the column 'length', which holds text there"
    assert errors["length"].allowed == "a data set with it as a numeric column"


def test_what_is_not_there_is_named_at_once(context: Context):
    with pytest.raises(Problem) as refused:
        post(context, "model_" + "0" * 32, "ds_" + "0" * 32)
    assert [error.field for error in refused.value.errors] == ["dataset_id", "model_id"]


def test_rows_and_model_stay_until_it_has_ended(context: Context, dataset: Dataset):
    model_id = add_model(context, "species")
    made = post(context, model_id, dataset.id)
    way = re.escape(f"(POST /v1/predictions/{made.id}/cancel)")
    with pytest.raises(Problem, match=way):
        delete_dataset(context, dataset.id)
    with pytest.raises(Problem, match=way):
        delete_model(context, model_id)
    actions.cancel(context, made.id, PREDICTIONS)
    delete_model(context, model_id)
    with pytest.raises(Problem, match="was deleted"):
        actions.retry(context, made.id, PREDICTIONS, from_start=True)


@pytest.mark.usefixtures("working")
def test_the_sweep_leaves_what_a_prediction_has_made(context: Context, dataset: Dataset):
    made = ended(context, post(context, add_model(context, "species"), dataset.id))
    files.sweep(context.database, context.storage)
    assert read(context, made).height == ROWS
    assert eventually(lambda: f"{made.id}-1" in published(context))
