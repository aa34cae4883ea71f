"""A job's page: curves as one wants them, its card, what can be taken from it; and several jobs compared."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from safetensors.numpy import load

from service.client import Client
from service.jobs.schemas import Job
from tests.service.processes import PATIENCE
from tests.service.web.conftest import Opened


@pytest.fixture(scope="module")
def numbers_job(client: Client, penguins_job: Job) -> Job:
    """A regression, with test rows."""
    split = {"by": "fraction", "test": 0.2}
    job = client.jobs.create(dataset_id=penguins_job.dataset_id, target="body_mass_g", epochs=20, split=split)
    return client.jobs.wait(job.id, timeout=PATIENCE)


def plot(page: Page, told: str) -> Any:
    return page.evaluate(f"document.getElementById('curves').{told}")


def test_curves_are_shown_as_one_wants_them(opened: Opened, client: Client, penguins_job: Job):
    page = opened.page(f"/jobs/{penguins_job.id}")
    page.wait_for_selector("#curves[data-epochs='100']")
    columns = client.jobs.metrics(penguins_job.id).columns
    drawn = {trace["name"]: trace["y"] for trace in plot(page, "data.map(({name, y}) => ({name, y: [...y]}))")}
    assert drawn == {name.replace("_", " "): columns[name] for name in ("loss", "validation_loss", "accuracy")}
    assert plot(page, "layout.yaxis.type") == "linear"
    page.get_by_role("checkbox", name="logarithmic loss").press("Space")
    assert plot(page, "layout.yaxis.type") == "log"
    page.get_by_role("checkbox", name="learning rate").check()
    page.get_by_role("checkbox", name="accuracy").uncheck()
    assert plot(page, "data.map((trace) => trace.name)") == ["loss", "validation loss", "learning rate"]

    place = page.locator("#curves .nsewdrag").first
    box = place.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"], steps=5)
    page.mouse.up()
    page.wait_for_function("document.getElementById('curves').layout.xaxis.range[0] > 10")
    assert plot(page, "layout.xaxis.range[1]") < 80
    page.get_by_role("checkbox", name="learning rate").uncheck()
    assert plot(page, "layout.xaxis.range[1]") < 80, "the zoom is kept"


def test_the_card_of_classes(opened: Opened, client: Client, penguins_job: Job):
    page = opened.page(f"/jobs/{penguins_job.id}")
    card = client.models.card(penguins_job.model_id or "")
    expect(page.locator(".scores thead th")).to_have_text(["training275 rows", "validation69 rows"])
    accuracies = [f"{card.scores[part].metrics['accuracy']:.4g}" for part in ("train", "validation")]
    expect(page.locator(".scores tr", has_text="accuracy").locator("td")).to_have_text(accuracies)
    for table, part in zip(page.locator("table.confusion").all(), ("train", "validation"), strict=True):
        confusion = card.scores[part].confusion
        assert confusion is not None
        shown = [int(text) for text in table.locator("td.heat").all_inner_texts()]
        assert shown == [count for row in confusion.counts for count in row]
        [*right] = (row[i] for i, row in enumerate(confusion.counts))
        assert [int(text) for text in table.locator("td.right").all_inner_texts()] == right
    colours = page.locator("table.confusion td.heat").evaluate_all(
        "(cells) => cells.map((cell) => getComputedStyle(cell).backgroundColor)"
    )
    assert len(set(colours)) > 1
    expect(page.locator("#card")).to_contain_text("They were. The backward pass of this network was checked on 8")
    expect(page.locator("#card .state")).to_have_text(["right"] * 4)
    source = page.locator("#card .facts a")
    expect(source).to_have_attribute("href", f"/datasets/{penguins_job.dataset_id}")


def test_the_card_of_a_number_has_its_residuals(opened: Opened, client: Client, numbers_job: Job):
    page = opened.page(f"/jobs/{numbers_job.id}")
    card = client.models.card(numbers_job.model_id or "")
    plots = page.locator("svg.residuals")
    expect(plots).to_have_count(3)
    for drawn, scores in zip(plots.all(), card.scores.values(), strict=True):
        assert scores.residuals is not None
        middles = drawn.locator("circle").evaluate_all(
            "(dots) => dots.map((dot) => [+dot.getAttribute('cx'), +dot.getAttribute('cy')])"
        )
        zero = float((drawn.locator(".zero").get_attribute("d") or "").split()[1].partition("H")[0])
        points = np.array(scores.residuals.points)
        # One scale for all, greater predictions to the right, greater residuals above.
        assert np.corrcoef(points[:, 0], np.array(middles)[:, 0])[0, 1] > 0.9999
        assert np.corrcoef(points[:, 1], zero - np.array(middles)[:, 1])[0, 1] > 0.9999
        assert (zero - np.array(middles)[:, 1]).round() == pytest.approx(
            points[:, 1] * (zero - middles[0][1]) / points[0, 1], abs=1
        )
    expect(page.locator("#card")).to_contain_text("No choice rests on the test rows")


def test_what_a_job_has_made_can_be_taken(opened: Opened, client: Client, penguins_job: Job):
    page = opened.page(f"/jobs/{penguins_job.id}")
    taken = {}
    for name in ("safetensors", "npz", "onnx", "CSV"):
        with page.expect_download() as download:
            page.get_by_role("link", name=name, exact=True).click()
        taken[name] = download.value.path().read_bytes()
    weights = load(taken["safetensors"])
    with np.load(io.BytesIO(taken["npz"])) as arrays:
        for name, array in weights.items():
            np.testing.assert_array_equal(arrays[name], array)
    assert weights["0.weight"].shape == (64, 15)
    assert len(taken["CSV"].splitlines()) == 101
    for name in ("PNG", "SVG", "as JSON"):
        address = page.get_by_role("link", name=name, exact=True).get_attribute("href")
        assert page.request.get(address or "").ok


def test_a_data_set_is_predicted_and_its_file_taken(opened: Opened, client: Client, penguins_job: Job):
    page = opened.page(f"/jobs/{penguins_job.id}")
    form = page.locator("#predict-all")
    form.get_by_label("Data set").select_option(penguins_job.dataset_id)
    form.get_by_label("File").select_option("csv")
    form.get_by_role("button").press("Enter")
    made = page.locator("#predictions tbody tr").first
    expect(made).to_contain_text("344 / 344")
    expect(made.locator(".state")).to_have_text("succeeded")
    with page.expect_download() as download:
        made.get_by_role("link", name="csv", exact=True).click()
    head, *rows = download.value.path().read_text().splitlines()
    assert head.startswith("species,")
    assert len(rows) == 344
    client.predictions.delete(made.get_attribute("id") or "")


def test_the_spec_is_copied(opened: Opened, penguins_job: Job):
    page = opened.page(f"/jobs/{penguins_job.id}", permissions=["clipboard-read", "clipboard-write"])
    for name in ("JSON", "curl", "Python"):
        fold = page.locator("details", has=page.get_by_text(name, exact=True).locator("xpath=self::summary"))
        if fold.get_attribute("open") is None:
            fold.locator("summary").press("Enter")
        page.get_by_role("button", name=f"Copy {name}").press("Enter")
        expect(page.locator("#notice")).to_have_text("Copied.")
        assert page.evaluate("navigator.clipboard.readText()") == fold.locator("pre").text_content()


def test_jobs_are_chosen_and_compared_by_keyboard(opened: Opened, client: Client, penguins_job: Job):
    other = client.jobs.create(dataset_id=penguins_job.dataset_id, target="species", epochs=30, seed=5)
    client.jobs.wait(other.id, timeout=PATIENCE)
    page = opened.page("/jobs")
    for job in (penguins_job, other):
        page.locator(f"#{job.id} input[type=checkbox]").press("Space")
    page.get_by_role("button", name="Compare the chosen").press("Enter")
    page.wait_for_url("**/compare?*")
    page.wait_for_selector("#curves[data-epochs='100']")
    page.wait_for_function("document.getElementById('curves').data.length === 6")
    drawn = plot(page, "data.map(({name, y}) => ({name, y: [...y]}))")
    for job in (penguins_job, other):
        of_job = {
            each["name"].split()[-1]: each["y"] for each in drawn if each["name"].startswith(f"job_…{job.id[-6:]}")
        }
        assert of_job["accuracy"] == client.jobs.metrics(job.id).columns["accuracy"]
    shown = {row.split("\t")[0] for row in page.locator("tr.differing").all_inner_texts()}
    # By default the weights decay the less, the more steps there are.
    assert shown == {"epochs", "seed", "optimizer.weight_decay"}
