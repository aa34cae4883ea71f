"""A job that is looked at without being queued: what is wrong, what it becomes, what it will take."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from service import tables
from service.context import Context
from service.datasets.schemas import Dataset
from service.jobs.duration import Calibration, Rate
from service.jobs.estimate import calibration_of
from service.jobs.schemas import ValidationReport
from service.jobs.validation import SAID_OF, validate
from tests.service.workplace import post, upload

RATES = [Rate(flops=1e3, per_second=1e9), Rate(flops=1e6, per_second=1e10)]
CALIBRATION = Calibration(rates={"float32": RATES, "float64": RATES}, start=1.0)


def report(context: Context, dataset: Dataset, **job: Any) -> ValidationReport:
    return validate(context, {"dataset_id": dataset.id, "target": "species", **job})


def fields(report: ValidationReport) -> list[str]:
    return sorted(error.field for error in report.errors)


def remember(context: Context, calibration: Calibration) -> None:
    row = {"id": "worker_0", "host": "h", "pid": 1, "version": "0", "devices": ["cpu"]}
    with context.database.write() as session:
        session.add(tables.Worker(**row, calibration=calibration.model_dump()))


def test_a_valid_job_is_resolved_and_estimated_as_the_posted_one_and_nothing_is_queued(
    context: Context, dataset: Dataset
):
    found = report(context, dataset, epochs=3, device="cpu")
    assert (found.valid, found.errors) == (True, [])
    with context.database.read() as session:
        assert session.scalar(select(func.count()).select_from(tables.Job)) == 0
        assert session.scalar(select(func.count()).select_from(tables.Event)) == 0
    posted = post(context, dataset, epochs=3)
    assert (posted.spec, posted.estimate) == (found.spec, found.estimate)


def test_what_is_wrong_with_the_document_and_with_the_data_comes_together(context: Context, dataset: Dataset):
    found = report(context, dataset, target="colour", epochs=0, speed=1, seed="x")
    assert fields(found) == ["epochs", "seed", "speed", "target"]
    assert (found.valid, found.spec, found.estimate) == (False, None, None)
    found = report(context, dataset, loss="huber", network={"layers": [{"units": 0}]}, early_stopping={"monitor": "r2"})
    assert fields(found) == ["loss", "network.layers.0.units"]  # with the loss put right, r2 may be measured


# What the data set can't give, by the field that is told.
UNFIT: dict[str, dict[str, Any]] = {
    "target": {"target": "colour"},
    "loss": {"loss": "huber"},
    "class_weight.Puffin": {"class_weight": {"Puffin": 2.0}},
    "early_stopping.monitor": {"early_stopping": {"monitor": "r2"}},
    "split.validation": {"split": {"by": "fraction", "validation": 0.001}},
    "network.layers": {"network": {"layers": [{"units": 65536}, {"units": 65536}]}},
    "batch_size": {"optimizer": "lbfgs", "batch_size": 32},
    "schedule": {"optimizer": "lbfgs", "schedule": "cosine"},
    "regularization.l1": {"optimizer": "lbfgs", "regularization": {"l1": 0.1}},
}
UNREADABLE = ("loss", "split", "network", "optimizer", "schedule", "regularization", "class_weight", "batch_size")


@pytest.mark.parametrize(
    ("told", "unread"), [(told, unread) for told, job in UNFIT.items() for unread in UNREADABLE if unread not in job]
)
def test_an_unreadable_field_hides_only_what_depends_on_it(context: Context, dataset: Dataset, told: str, unread: str):
    found = report(context, dataset, **UNFIT[told], **{unread: 3.5})
    hidden = told.partition(".")[0] in SAID_OF.get(unread, ())
    assert fields(found) == sorted([unread] if hidden else [unread, told])


@pytest.mark.parametrize("given", [None, [], 3, "job", {}, {"dataset_id": 3}, {"target": "species"}])
def test_any_document_is_answered(context: Context, given: Any):
    found = validate(context, given)
    assert not found.valid
    assert found.errors


def test_seconds_are_told_once_a_worker_has_measured_its_machine(context: Context, dataset: Dataset):
    def seconds(**job: Any) -> float | None:
        found = report(context, dataset, **job)
        assert found.estimate is not None
        return found.estimate.seconds

    assert seconds() is None
    remember(context, CALIBRATION)
    with context.database.read() as session:
        assert calibration_of(session) == CALIBRATION
    one, ten = seconds(epochs=1), seconds(epochs=10)
    assert one is not None
    assert ten is not None
    assert (ten - 1.0) == pytest.approx(10 * (one - 1.0))
    assert seconds(device="cuda") is None


def test_bounds_of_the_inputs_meet_where_the_training_rows_are_known(context: Context, dataset: Dataset):
    found = report(context, dataset, split=None).estimate
    assert found is not None
    # island has 3 categories and sex 2; 4 measurements and the year are numbers; the measurements and sex are missing
    # in some rows.
    assert found.inputs.least == found.inputs.most == 3 + 2 + 5 + 5
    assert found.parameters.most == 16 * 64 + 65 * 32 + 33 * 3
    held_out = report(context, dataset).estimate
    assert held_out is not None
    assert (held_out.inputs.least, held_out.inputs.most) == (
        2 + 2 + 5,
        15,
    )  # no more than 69 rows are on Torgersen, and as many are held out


def test_steps_and_arithmetic_count_the_rows_that_are_trained_on(context: Context, dataset: Dataset):
    found = report(context, dataset, split=None, epochs=2, batch_size="all").estimate
    assert found is not None
    forward = 2 * 344 * (15 * 64 + 64 * 32 + 32 * 3)
    assert (found.steps, found.flops) == (2, 2 * (3 * forward - 2 * 344 * 15 * 64))
    without = report(context, dataset, split=None, epochs=1, class_weight={"Gentoo": 0.0}, batch_size=1).estimate
    assert without is not None
    assert without.steps == 344 - 124


def test_what_may_not_be_meant_is_pointed_out(context: Context, tmp_path):
    path = tmp_path / "t.csv"
    rows = [f"n{row},{row % 2},same,,{'ab'[row % 2] if row else ''}" for row in range(40)]
    path.write_text("\n".join(["name,x,constant,empty,label", *rows]))
    found = report(context, upload(context, path), target="label", batch_size=64)
    assert found.valid
    said = {(warning.field, warning.value): warning.message for warning in found.warnings}
    assert set(said) == {
        ("dataset_id", "empty"), ("dataset_id", "name"), ("dataset_id", "constant"), ("target", "label"),
        ("split.validation", 0.2), ("batch_size", 64), ("kinds", "x"),
    }  # fmt: skip
    assert "1 of 40 rows" in said["target", "label"]
    assert "only 31 rows" in said["batch_size", 64]
    assert "'x' alone tells 'label'" in said["kinds", "x"]


def test_nothing_is_pointed_out_about_the_penguins(context: Context, dataset: Dataset):
    assert report(context, dataset).warnings == []


def test_the_cap_on_categories_counts_in_the_inputs_and_is_pointed_out(context: Context, dataset: Dataset):
    found = report(context, dataset, split=None, encoding={"max_categories": 1})
    assert found.estimate is not None
    # One input for the most frequent category and one for the others, of island and sex; sex is missing in some rows.
    assert found.estimate.inputs.least == found.estimate.inputs.most == 2 + 2 + 5 + 5
    [warning] = found.warnings
    assert (warning.value, "more than 1 categories" in warning.message) == ("island, sex", True)
