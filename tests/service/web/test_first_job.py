"""From a file to a trained network, in the browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from service.client import Client
from service.jobs.schemas import Job
from tests.service.conftest import PENGUINS
from tests.service.web.conftest import Opened


def ended(page: Page) -> str:
    """The state that the job of the page comes to."""
    page.wait_for_selector("#summary[data-over=yes]")
    return page.get_attribute("#summary", "data-state") or ""


def test_three_clicks_to_a_trained_network(opened: Opened, client: Client):
    page = opened.page()
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Choose a file").click()  # one
    chooser.value.set_files(PENGUINS)
    page.wait_for_url("**/datasets/*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("penguins")  # other tests may have given it its name
    assert page.locator("svg.histogram").count() == 8
    page.get_by_role("radio", name="species").or_(page.locator("input[value=species]")).first.check()  # two
    expect(page.locator("#report .chain li")).to_have_text([re.compile("inputs"), "64 relu", "32 relu", "3 softmax"])
    expect(page.locator("#report")).to_contain_text("parameters")
    page.get_by_role("button", name="Start").click()  # three
    page.wait_for_url("**/jobs/*")
    page.evaluate("window.mark = 'not loaded again'")
    assert ended(page) == "succeeded"

    # The model has come, and with it the form that needs one.
    page.wait_for_selector("#predict")
    page.wait_for_selector("#curves[data-epochs='100']")
    job = client.jobs.get(page.url.rpartition("/")[2])
    accuracy = client.jobs.metrics(job.id).columns["accuracy"]
    assert None not in accuracy
    assert max(accuracy) > 0.95 > min(accuracy)  # type: ignore[type-var]
    assert accuracy.index(min(accuracy)) < accuracy.index(max(accuracy))  # type: ignore[type-var]
    assert job.result is not None
    expect(page.locator("#metric")).to_have_text(f"{job.result.metrics['accuracy']:.4g}")
    assert page.evaluate("window.mark") == "not loaded again"
    drawn = page.evaluate("document.getElementById('curves').data.find((trace) => trace.name == 'accuracy').y")
    assert drawn == accuracy

    assert page.locator("table.confusion").first.locator("tbody tr").count() == 3

    page.locator("#predict input[name=flipper_length_mm]").fill("217")
    page.locator("#predict input[name=island]").fill("Biscoe")
    page.get_by_role("button", name="Predict", exact=True).click()
    told = client.models.predict(job.model_id or "", [{"island": "Biscoe", "flipper_length_mm": 217}])
    expect(page.locator("#prediction b")).to_have_text(told.model_dump()["data"][0]["label"])
    page.locator("#predict input[name=flipper_length_mm]").fill("long")
    opened.expected = ("422",)  # the browser itself writes that to the console
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.locator("#prediction")).to_contain_text("numeric values in this column")


def test_the_penguins_are_there_to_try_it_with(opened: Opened):
    page = opened.page()
    page.get_by_role("button", name="Try it with the penguins").click()
    page.wait_for_url("**/datasets/*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("penguins")
    expect(page.locator("main")).to_contain_text("344 rows, 8 columns")


def test_messages_stand_at_their_fields_and_the_estimate_follows(opened: Opened, client: Client):
    dataset = client.datasets.upload(PENGUINS)
    page = opened.page(f"/datasets/{dataset.id}")
    expect(page.get_by_role("button", name="Start")).to_be_disabled()
    page.locator("input[value=body_mass_g]").check()
    expect(page.locator("#report")).to_contain_text("Predicts a number")
    before = page.locator("#report").inner_text()
    page.get_by_role("button", name="add a layer").click()
    page.keyboard.type("128")  # where one would go on
    layers = page.locator("#report .chain li")
    expect(layers).to_have_text([re.compile("inputs"), "64 relu", "32 relu", "128 relu", "1 identity"])
    assert page.locator("#report").inner_text() != before
    page.get_by_role("button", name="remove this layer").first.click()
    expect(layers).to_have_text([re.compile("inputs"), "32 relu", "128 relu", "1 identity"])
    page.locator("select[name='optimizer']:enabled").select_option("adam")
    said = {
        "network.layers.1.units": ("many", "allowed: an integer"),
        "epochs": ("0", "≥ 1"),
        "optimizer.learning_rate": ("-1", "> 0"),
        "optimizer.beta1": ("2", "< 1"),  # folded, and unfolded by its message
        "deadline_seconds": ("-5", "> 0"),
    }
    for name, (text, _) in said.items():
        page.locator(f"[name='{name}']:enabled").evaluate("(input, text) => (input.value = text)", text)
    page.locator("[name=epochs]").fill("0")
    for name, (_, allowed) in said.items():
        field = page.locator(f"[data-field='{name}']:has([aria-invalid=true])")
        expect(field.locator(".says")).to_contain_text(allowed)
        expect(field).to_be_visible()
    expect(page.locator("#report")).to_contain_text("5 fields need a change")
    expect(page.get_by_role("button", name="Start")).to_be_disabled()


def test_a_file_that_is_no_table_is_refused_with_the_reason(opened: Opened, tmp_path: Path):
    opened.expected = ("422",)
    broken = tmp_path / "broken.csv"
    broken.write_bytes(b"")
    page = opened.page()
    page.set_input_files("#file", broken)
    expect(page.locator("#upload-says")).to_contain_text("the body is empty")
    assert page.url.endswith("/")


@pytest.mark.parametrize("part", ["JSON", "curl", "Python"])
def test_the_job_can_be_copied_and_posted_again(opened: Opened, client: Client, penguins_job: Job, part: str):
    page = opened.page(f"/jobs/{penguins_job.id}")
    text = page.locator("details", has_text=part).first.locator("pre").text_content() or ""
    if part == "JSON":
        again = client.request("POST", "/v1/jobs/validate", json=json.loads(text)).json()
        assert again["valid"], again["errors"]
        assert again["spec"] == penguins_job.spec.model_dump(mode="json")
    else:
        assert penguins_job.dataset_id in text
        assert "species" in text
        if part == "Python":
            compile(text, "the page", "exec")
