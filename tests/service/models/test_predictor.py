"""The models in memory: which are kept, and for how long."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from service.context import Context
from service.models import predictor
from service.models.predictor import Predictors
from service.tables import Model
from tests.service.models.conftest import add_model


@pytest.fixture(scope="module")
def folders(app: tuple[httpx.Client, Context]) -> list[Path]:
    _, context = app
    ids = [add_model(context, "species") for _ in range(4)]
    with context.database.read() as session:
        return [context.storage.path(session.get_one(Model, model_id).folder) for model_id in ids]


def test_a_model_is_read_once(folders: list[Path]):
    predictors = Predictors()
    assert predictors.get(folders[0]) is predictors.get(folders[0])


def test_the_model_used_longest_ago_goes_first(folders: list[Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(predictor, "MOST_MODELS", 2)
    predictors = Predictors()
    a, b = predictors.get(folders[0]), predictors.get(folders[1])
    assert predictors.get(folders[0]) is a
    predictors.get(folders[2])
    assert predictors.get(folders[0]) is a
    assert predictors.get(folders[1]) is not b


def test_their_parameters_are_bounded_too_but_one_model_may_be_large(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(predictor, "MOST_PARAMETERS", 1)
    predictors = Predictors()
    a = predictors.get(folders[0])
    assert predictors.get(folders[0]) is a
    predictors.get(folders[1])
    assert predictors.get(folders[0]) is not a
