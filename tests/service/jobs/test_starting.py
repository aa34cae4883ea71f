"""Starting with a model's or a checkpoint's weights: what may differ, field by field, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from service import tables
from service.context import Context
from service.datasets.schemas import Dataset
from service.ids import new_id
from service.jobs.request import JobRequest
from service.jobs.schemas import Job
from service.jobs.service import get_job
from service.jobs.starting import MAY_DIFFER
from service.problems import Problem
from tests.service.workplace import PENGUINS, post, upload

LAYERS = [{"units": 8, "activation": "tanh", "dropout": 0.1}, {"units": 4, "normalization": "layer_norm"}]
NETWORK: dict[str, Any] = {"network": {"layers": LAYERS}}

OTHERWISE: dict[str, Any] = {
    "class_weight": "balanced",
    "optimizer": "sgd",
    "schedule": "cosine",
    "regularization": {"l2": 0.1},
    "average": 0.9,
    "epochs": 3,
    "batch_size": 7,
    "split": {"by": "fraction", "validation": 0.5},
    "early_stopping": {"patience": 3},
    "seed": 5,
    "device": "auto",
    "dtype": "float64",
    "metadata": {"by": "me"},
    "priority": 3,
    "deadline_seconds": 5.0,
    "max_attempts": 2,
}
"""For each field that may differ freely, another value than that of the start."""


@pytest.fixture
def trained(context: Context, dataset: Dataset) -> Job:
    return post(context, dataset, **NETWORK)


@pytest.fixture
def model_id(context: Context, dataset: Dataset, trained: Job) -> str:
    return add_model(context, dataset, trained)


def add_model(context: Context, dataset: Dataset, job: Job) -> str:
    """Add the model of the job as it would be, as far as rows go."""
    columns = {column.name: column for column in dataset.columns}
    target = columns.pop(job.spec.target)
    spec = job.spec.model_dump(mode="json")
    card = {
        "task": spec["task"],
        "target": spec["target"],
        "classes": sorted(target.classes or {}) if spec["task"] == "classification" else None,
        "features": [{"name": column.name, "kind": column.kind} for column in columns.values()],
        "network": {"n_inputs": 10, "layers": [*spec["network"]["layers"], spec["output"]]},
        "metrics": {},
        "n_parameters": 100,
    }
    row = tables.Model(
        id=new_id("model"), owner=job.owner, job_id=job.id, dataset_id=dataset.id, folder="models/x-1", card=card
    )
    with context.database.write() as session:
        session.add(row)
    return row.id


def add_checkpoint(context: Context, job: Job) -> str:
    row = tables.Checkpoint(
        id=new_id("ckpt"), owner=job.owner, job_id=job.id, folder="checkpoints/x-1-9", epoch=1, step=9, data={}
    )
    with context.database.write() as session:
        session.add(row)
    return row.id


def errors_of(context: Context, dataset: Dataset, **spec: Any) -> dict[str, tuple[str, str | None]]:
    with pytest.raises(Problem) as refused:
        post(context, dataset, **spec)
    return {error.field: (error.message, error.allowed) for error in refused.value.errors}


def changed(context: Context, path: Path, text: str) -> Dataset:
    path.write_text(text)
    return upload(context, path)


def test_the_table_has_every_field_of_a_job():
    assert set(MAY_DIFFER) == set(JobRequest.model_fields) - {"init_from"}
    assert {name for name, may in MAY_DIFFER.items() if may == "freely"} == set(OTHERWISE)


def test_a_job_starts_with_a_model_or_a_checkpoint(context: Context, dataset: Dataset, trained: Job, model_id: str):
    for start in (model_id, add_checkpoint(context, trained)):
        job = post(context, dataset, **NETWORK, init_from=start)
        assert job.init_from == start
        assert get_job(context, job.id) == job


@pytest.mark.parametrize("field", OTHERWISE)
def test_what_may_differ_freely_does(context: Context, dataset: Dataset, model_id: str, field: str):
    job = post(context, dataset, **NETWORK, **{"init_from": model_id, field: OTHERWISE[field]})
    assert job.init_from == model_id


def test_dropout_rates_and_losses_of_the_same_output_may_differ(context: Context, dataset: Dataset, model_id: str):
    layers = [LAYERS[0] | {"dropout": 0.5}, LAYERS[1] | {"normalization": {"name": "layer_norm", "epsilon": 0.1}}]
    assert post(context, dataset, network={"layers": layers}, loss="softmax_focal", init_from=model_id)


@pytest.mark.parametrize(
    "layers",
    [
        [],
        LAYERS[::-1],
        LAYERS[:1],
        [LAYERS[0] | {"units": 9}, LAYERS[1]],
        [LAYERS[0] | {"activation": "relu"}, LAYERS[1]],
        [LAYERS[0] | {"dropout": 0.0}, LAYERS[1]],
        [LAYERS[0], LAYERS[1] | {"normalization": "batch_norm"}],
    ],
)
@pytest.mark.parametrize("start", ["model", "checkpoint"])
def test_other_hidden_layers_are_refused(
    context: Context, dataset: Dataset, trained: Job, model_id: str, start: str, layers: list[dict[str, Any]]
):
    start_id = model_id if start == "model" else add_checkpoint(context, trained)
    errors = errors_of(context, dataset, network={"layers": layers}, init_from=start_id)
    assert errors == {"network.layers": (f"{start_id} has other hidden layers", "8 tanh dropout, 4 relu layer_norm")}


def test_everything_that_differs_is_said_at_once(context: Context, dataset: Dataset, model_id: str):
    wrong = {"target": "sex", "network": {"layers": []}, "early_stopping": {"monitor": "rmse"}}
    errors = errors_of(context, dataset, **wrong, init_from=model_id)
    assert set(errors) == {"target", "network.layers", "early_stopping.monitor"}
    assert errors["target"] == (f"{model_id} predicts the column 'species'", "species")


def test_another_output_is_refused(context: Context, dataset: Dataset):
    mass = {"target": "body_mass_g", "network": {"layers": []}}
    model_id = add_model(context, dataset, post(context, dataset, **mass))
    assert post(context, dataset, **mass, loss="huber", init_from=model_id)
    errors = errors_of(context, dataset, **mass, loss="poisson", init_from=model_id)
    assert errors["loss"] == (
        f"{model_id} was trained for regression with the output identity",
        "a loss for regression with the output identity",
    )


def test_another_data_set_needs_the_columns_and_classes(
    context: Context, dataset: Dataset, trained: Job, model_id: str, tmp_path: Path
):
    text = PENGUINS.read_text()
    more = changed(context, tmp_path / "more.csv", text.replace("\n", ",1\n").replace("year,1\n", "year,one\n", 1))
    assert post(context, more, **NETWORK, init_from=model_id).init_from == model_id
    renamed = changed(context, tmp_path / "renamed.csv", text.replace("island", "isle", 1))
    errors = errors_of(context, renamed, **NETWORK, init_from=model_id)
    assert errors == {
        "dataset_id": (
            f"{model_id} reads the column 'island', which isn't in the data set",
            "a data set with it as a categorical column",
        )
    }
    numbered = changed(
        context, tmp_path / "numbered.csv", text.replace("Torgersen", "1").replace("Biscoe", "2").replace("Dream", "3")
    )
    errors = errors_of(context, numbered, **NETWORK, init_from=model_id)
    assert errors["dataset_id"][0] == f"{model_id} reads the column 'island', which is numeric here"
    birds = changed(context, tmp_path / "birds.csv", text.replace("Adelie", "Emperor"))
    errors = errors_of(context, birds, **NETWORK, init_from=model_id)
    assert errors == {
        "target": (
            f"{model_id} tells other classes apart than the column has here, Chinstrap, Emperor, Gentoo",
            "the classes Adelie, Chinstrap, Gentoo",
        )
    }
    fewer = changed(context, tmp_path / "fewer.csv", text.replace("Adelie", "Gentoo"))
    start = add_checkpoint(context, trained)
    errors = errors_of(context, fewer, **NETWORK, loss="softmax_cross_entropy", init_from=start)
    assert errors["target"][0] == f"{start} has 3 outputs, and this job 2"


def test_a_start_that_is_not_there_is_said_with_all_else(context: Context, dataset: Dataset, model_id: str):
    gone = model_id
    with context.database.write() as session:
        session.execute(delete(tables.Model))
    for start in (gone, "ckpt_" + "0" * 32):
        message, allowed = errors_of(context, dataset, init_from=start)["init_from"]
        assert message == "there is nothing with this id"
        assert "GET /v1/models" in (allowed or "")
        assert set(errors_of(context, dataset, init_from=start, target="colour")) == {"init_from", "target"}
        nowhere = dataset.model_copy(update={"id": "ds_" + "0" * 32})
        assert set(errors_of(context, nowhere, init_from=start)) == {"init_from", "dataset_id"}


def test_the_encoding_is_that_of_the_start(context: Context, dataset: Dataset):
    robust: dict[str, Any] = {"encoding": {"numbers": "robust"}}
    source = post(context, dataset, **NETWORK, **robust)
    for start in (add_model(context, dataset, source), add_checkpoint(context, source)):
        for given in ({}, robust):
            assert post(context, dataset, **NETWORK, **given, init_from=start).spec.encoding.numbers == "robust"
        errors = errors_of(context, dataset, **NETWORK, encoding={"max_categories": 5}, init_from=start)
        assert errors == {
            "encoding": (f"{start} comes with its encoding of the columns", "that of the start, or none given")
        }


def test_what_the_start_reads_cannot_divide_the_rows(context: Context, dataset: Dataset, model_id: str):
    errors = errors_of(context, dataset, **NETWORK, split={"by": "group", "column": "island"}, init_from=model_id)
    assert errors["split.column"][0] == f"{model_id} reads this column, so it can't divide the rows"
