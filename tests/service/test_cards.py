"""Cards: how a model came to be, written beside its weights, the same however often its job was interrupted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import core
from service.datasets.targets import NumberTarget
from service.models.card import CARD, read_card
from service.models.schemas import ModelCard
from service.models.scores import NumberScores
from service.protocol import Assignment
from service.training import certificate, course
from service.training.course import Wish
from service.training.samples import Tables
from tests.service.test_runner import APART, DATASET_ID, Make, assign, told
from tests.service.workplace import PENGUINS

__all__ = ["assign"]  # a fixture

TEST = {"split": {"by": "fraction", "test": 0.2}}
IDENTITY = {
    "id": f"model_{'0' * 32}", "owner": "local", "job_id": f"job_{'0' * 32}", "dataset_id": DATASET_ID,
    "created_at": 0.0,
}  # fmt: skip


def card_of(assignment: Assignment) -> ModelCard:
    told(assignment)
    return ModelCard.model_validate(IDENTITY | (read_card(assignment.draft) or {}))


def test_scores_are_those_of_the_job_on_all_three_parts(assign: Make):
    assignment = assign(epochs=20, **TEST)
    _, _, done = told(assignment)
    card = ModelCard.model_validate(IDENTITY | (read_card(assignment.draft) or {}))
    result = done["result"]
    assert {part: scores.rows for part, scores in card.scores.items()} == {"train": 206, "validation": 69, "test": 69}
    assert card.scores["validation"].metrics == result["metrics"]
    assert card.scores["test"].metrics == result["test_metrics"] == card.test_metrics
    losses = [scores.loss for scores in card.scores.values()]
    assert losses == [result["loss"], result["validation_loss"], result["test_loss"]]
    for scores in card.scores.values():
        assert scores.confusion is not None
        counts = np.array(scores.confusion.counts)
        assert counts.sum() == scores.rows
        assert counts.trace() / scores.rows == scores.metrics["accuracy"]
    assert (card.epoch, card.device, card.spec.seed) == (20, "cpu", 0)
    assert set(card.versions) == {"python", "deltabar", "numpy", "numba"}
    assert "NaN" not in (assignment.draft / CARD).read_text()


def test_numbers_have_residuals(assign: Make):
    card = card_of(assign("body_mass_g", epochs=5, **TEST))
    for scores in card.scores.values():
        assert set(scores.metrics) == {"rmse", "mae", "r2"}
        assert scores.residuals is not None
        assert scores.residuals.quantiles["0"] < scores.residuals.quantiles["0.5"] < scores.residuals.quantiles["1"]
        assert len(scores.residuals.points) == scores.rows


def test_of_many_rows_some_residuals_are_kept_and_the_worst_among_them():
    rng = np.random.default_rng(0)
    predicted = rng.normal(size=(20_000, 1))
    target = NumberTarget(name="y", mean=0.0, standard_deviation=1.0)
    kept = []
    for _ in range(2):
        scores = NumberScores(target)
        scores.add(np.zeros_like(predicted), predicted)
        kept.append(scores.result()["residuals"].points)
    assert kept[0] == kept[1]
    off = [residual for _, residual in kept[0]]
    assert len(off) == 500
    assert off == sorted(off)
    np.testing.assert_allclose([off[0], off[-1]], [predicted.min(), predicted.max()], rtol=1e-5)
    np.testing.assert_allclose(np.mean(off), predicted.mean(), atol=0.01)


JOBS: dict[str, dict[str, Any]] = {
    "relu": {},
    "float64, tanh": {"dtype": "float64", "network": {"layers": [{"units": 9, "activation": "tanh"}]}},
    "dropout, batch_norm": {"network": {"layers": [{"units": 16, "dropout": 0.3, "normalization": "batch_norm"}]}},
    "two classes, hinge": {"target": "sex", "loss": "hinge"},
    "two classes, softmax": {"target": "sex", "loss": "softmax_cross_entropy"},
    "poisson": {"target": "body_mass_g", "loss": "poisson"},
}


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_gradients_are_certified_after_the_first_and_the_last_epoch(assign: Make, job: dict[str, Any]):
    card = card_of(assign(epochs=4, **job, **APART))
    assert [each.epoch for each in card.certificates] == [1, 4]
    for each in card.certificates:
        assert each.rows == certificate.ROWS
        assert each.dot_test.passed
        assert each.dot_test.error is not None
        assert each.dot_test.error < 1e-10
        assert each.directional.passed
        assert not each.directional.kink
    assert card.certificates[0].directional != card.certificates[1].directional


def test_a_wrong_gradient_is_not_certified(assign: Make, monkeypatch: pytest.MonkeyPatch):
    """The way back is off by a tenth, as with a 1/m in the wrong place."""
    right = core.Network.gradient

    def wrong(network: core.Network, *args: Any, **options: Any) -> Any:
        value, gradient = right(network, *args, **options)
        return value, gradient * 0.9

    monkeypatch.setattr(core.Network, "gradient", wrong)
    [only] = card_of(assign(epochs=1)).certificates
    assert (only.epoch, only.directional.passed, only.dot_test.passed) == (1, False, True)


def test_a_large_network_has_no_certificate(assign: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(certificate, "MOST_PARAMETERS", 1000)
    assert card_of(assign(epochs=1)).certificates == []


@pytest.mark.parametrize("steps", [3, 20])
def test_the_card_of_a_resumed_training_is_the_same(assign: Make, steps: int):
    """It is left within the first epoch of nine steps, and after it."""
    job = {"epochs": 4, "split": {"by": "group", "column": "year", "validation": 0.3}, "batch_size": 26}
    undisturbed = assign(**job)
    told(undisturbed)
    left = assign(**job)
    kept = left.checkpoint_draft(steps)
    wish, advance = Wish(), core.Training.advance

    def some(training: core.Training, **_: Any) -> core.Record | None:
        record = advance(training, steps=1)
        if training.step == steps:
            wish.stop = wish.keep = True
        return record

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core.Training, "advance", some)
        assert list(course.train(left, wish, Tables()))[-1][0] == "stopped"
    told(left.model_copy(update={"resume": kept}))
    assert read_card(left.draft) == read_card(undisturbed.draft)


def test_lineage_goes_through_models_and_checkpoints(assign: Make, tmp_path: Path):
    def named(number: int, job: Assignment, **more: Any) -> Assignment:
        data = {"train": {"dataset_id": DATASET_ID, "sha256": f"{number}" * 64}}
        return job.model_copy(update={"data": data, **more})

    first = named(1, assign(epochs=1))
    told(first)
    second = named(2, assign(epochs=10**6), init_from=first.draft, start=f"model_{'1' * 32}")
    wish = Wish()
    for kind, _ in course.train(second, wish, Tables()):
        if kind == "metrics":
            wish.stop = wish.keep = True
    [checkpoint] = second.checkpoints.iterdir()
    third = named(3, assign(epochs=1), init_from=checkpoint, start=f"ckpt_{'2' * 32}")
    card = card_of(third)
    assert [(each.id[:6], each.data["train"].sha256[0]) for each in card.lineage] == [("model_", "1"), ("ckpt_2", "2")]
    assert card.data["train"].sha256[0] == "3"

    (first.draft / CARD).unlink()  # as an older version left it
    fourth = assign(epochs=1).model_copy(update={"init_from": first.draft, "start": f"model_{'1' * 32}"})
    assert [(each.id[:6], each.data) for each in card_of(fourth).lineage] == [("model_", {})]


def test_a_card_has_no_machine_paths_and_no_times(assign: Make):
    assignment = assign(epochs=1)
    told(assignment)
    text = (assignment.draft / CARD).read_text()
    assert str(PENGUINS.parent) not in text
    assert "seconds" not in json.loads(text)
