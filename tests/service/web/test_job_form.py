"""The form of a job has all that the API takes, and posts what it shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from playwright.sync_api import Page, expect

from service.client import Client
from service.jobs.choices import LOSS, OPTIMIZER, SCHEDULE
from service.jobs.request import JobRequest
from service.jobs.schemas import Job
from service.web import forms
from service.web.forms import Field
from tests.service.web.conftest import Opened


def all_of(fields: Sequence[Field]) -> Iterator[Field]:
    for each in fields:
        yield each
        yield from all_of(each.fields)
        for case in each.cases.values():
            yield from all_of(case)


def test_there_is_no_field_of_the_api_that_it_lacks():
    common, rare = forms.fields()
    found = {each.path[0] for each in [*common, *rare]} | set(forms.ELSEWHERE)
    assert found == set(JobRequest.model_fields)
    choices = {each.name: each for each in all_of([*common, *rare]) if each.kind == "choice"}
    for name, choice in (("optimizer", OPTIMIZER), ("schedule", SCHEDULE), ("loss", LOSS)):
        told = {word: {each.path[-1] for each in inner} for word, inner in choices[name].cases.items()}
        assert told == {word: set(model.model_fields) - {"name"} for word, model in choice.models.items()}
        assert set(choices[name].words) == {*choice.words, *choice.models}
    assert choices["split"].words == ["column", "dataset", "fraction", "group", "time"]


def test_a_field_that_comes_to_the_api_comes_to_the_form():
    class More(JobRequest):
        new_number: int = 3

    schema = More.model_json_schema()
    [new] = [each for each in forms._fields(schema, schema["$defs"], ()) if each.name == "new_number"]
    assert (new.kind, new.default, new.text) == ("input", 3, False)


def posted(page: Page, client: Client) -> Job:
    """Start what the form describes."""
    expect(page.get_by_role("button", name="Start")).to_be_enabled()
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/jobs/*")
    return client.jobs.get(page.url.rpartition("/")[2])


def test_what_is_chosen_is_what_is_posted(opened: Opened, client: Client, penguins_job: Job):
    page = opened.page(f"/datasets/{penguins_job.dataset_id}")
    page.locator("input[name=target][value=species]").check()
    page.evaluate("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")
    chosen = {
        "kinds.year": "categorical", "network.layers.0.normalization": "batch_norm",
        "network.layers.1.activation": "tanh", "optimizer": "sgd", "schedule": "warmup", "schedule.then": "cosine",
        "split": "group", "split.column": "island", "encoding.numbers": "robust", "dtype": "float64",
    }  # fmt: skip
    for name, word in chosen.items():
        page.locator(f"select[name='{name}']:enabled").select_option(word)
    typed = {
        "network.layers.0.normalization.momentum": "0.2", "network.layers.1.dropout": "0.25",
        "optimizer.learning_rate": "0.05", "optimizer.momentum": "0.9", "schedule.duration": "2",
        "schedule.then.end": "0.1", "split.validation": "0.3", "early_stopping.patience": "4", "epochs": "3",
        "batch_size": "16", "seed": "7", "class_weight": "balanced", "regularization.l2": "0.01", "average": "0.9",
        "metadata": '{"by": "hand"}', "priority": "5", "deadline_seconds": "600", "max_attempts": "2", "device": "cpu",
        "encoding.max_categories": "12",
    }  # fmt: skip
    page.locator("[name=early_stopping]").check()
    page.locator("[name='early_stopping.restore_best']").uncheck()
    for name, text in typed.items():
        page.locator(f"[name='{name}']:enabled").fill(text)
    with page.expect_request("**/v1/jobs") as asked:
        job = posted(page, client)
    given: dict[str, Any] = {
        "dataset_id": penguins_job.dataset_id, "target": "species", "kinds": {"year": "categorical"},
        "network": {"layers": [
            {"units": 64, "activation": "relu", "normalization": {"name": "batch_norm", "momentum": 0.2}},
            {"units": 32, "activation": "tanh", "normalization": None, "dropout": 0.25},
        ]},
        "epochs": 3, "batch_size": 16, "seed": 7, "loss": "auto", "average": 0.9, "class_weight": "balanced",
        "optimizer": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": False},
        "schedule": {"name": "warmup", "duration": 2, "then": {"name": "cosine", "end": 0.1}},
        "split": {"by": "group", "column": "island", "validation": 0.3},
        "early_stopping": {"monitor": "validation_loss", "patience": 4, "restore_best": False},
        "encoding": {"numbers": "robust", "max_categories": 12}, "regularization": {"l2": 0.01},
        "metadata": {"by": "hand"}, "priority": 5, "deadline_seconds": 600, "max_attempts": 2, "device": "cpu",
        "dtype": "float64",
    }  # fmt: skip
    assert asked.value.post_data_json == given
    assert (job.priority, job.deadline_seconds, job.max_attempts) == (5, 600, 2)

    page.goto(f"/datasets/{penguins_job.dataset_id}?like={job.id}")
    expect(page.locator("[name='optimizer.momentum']:enabled")).to_have_value("0.9")
    assert posted(page, client).spec == job.spec


def test_training_goes_on_from_a_model(opened: Opened, client: Client, penguins_job: Job):
    page = opened.page(f"/jobs/{penguins_job.id}")
    page.get_by_role("link", name="Train on from here").click()
    page.wait_for_url("**/datasets/*")
    page.locator("[name=epochs]").fill("2")
    job = posted(page, client)
    assert job.init_from == penguins_job.model_id
    page.wait_for_selector("#card")
    expect(page.locator(".lineage a:has(code)")).to_have_attribute("href", f"/jobs/{penguins_job.id}")


def test_all_rows_are_trained_on_where_no_split_is_chosen(opened: Opened, client: Client, penguins_job: Job):
    page = opened.page(f"/datasets/{penguins_job.dataset_id}")
    page.locator("input[name=target][value=species]").check()
    page.locator("[name=split]").select_option("")
    for _ in range(2):
        page.get_by_role("button", name="remove this layer").first.click()
    job = posted(page, client)
    assert job.spec.split is None
    assert job.spec.network.layers == []
