"""The numbers that the inspector shows are those of `Network.trace`."""

from __future__ import annotations

import re
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from playwright.sync_api import Page, expect

import core
from core.trace import Trace
from service.client import Client
from service.jobs.schemas import Job
from service.models.predictor import load
from service.traces.example import example
from tests.service.conftest import PENGUINS
from tests.service.processes import PATIENCE, Serving
from tests.service.web.conftest import Opened

NUMBER = re.compile(r"= (not finite|[−\d.e+]+)(, |$)")


def results(page: Page) -> list[list[float]]:
    """Rows of numbers that the present step computes, as it tells them when it is pointed at."""
    told = page.locator(".result tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.children].map((td) => td.dataset.says))"
    )
    found = [[NUMBER.search(text) for text in row] for row in told]
    return [[float(match[1].replace("−", "-")) for match in row if match] for row in found]


def walk(page: Page) -> dict[str, list[list[float]]]:
    """Go through all steps with the keyboard; return what each computes, by its quantity and place."""
    found: dict[str, list[list[float]]] = {}
    page.wait_for_selector("#inspector[data-step]")
    while True:
        step = page.get_attribute("#inspector", "data-step") or ""
        found[step + (" backward" if step in found else "")] = results(page)
        if page.locator("#on").is_disabled():
            return found
        page.keyboard.press("ArrowRight")


def expected(trace: Trace) -> dict[str, np.ndarray]:
    told: dict[str, np.ndarray] = {"x x": trace.x, "J J": trace.values[:, None], "x̄ x": trace.x_bar}
    for place, layer in enumerate(trace.layers):
        told[f"a {place}"] = layer.a
        if not layer.from_z:
            told[f"ā {place}"] = layer.a_bar
        if layer.z is not None and layer.z_bar is not None:
            told[f"z {place}"], told[f"z̄ {place}"] = layer.z, layer.z_bar
        for name, letter in (("weight", "Θ̄"), ("bias", "b̄")):
            if name in layer.theta_bar:
                told[f"{letter} {place}"] = np.atleast_2d(layer.theta_bar[name])
    return told


def assert_shown(shown: dict[str, list[list[float]]], trace: Trace) -> None:
    wanted = expected(trace)
    assert set(wanted) == set(shown)
    for step, numbers in wanted.items():
        # Twelve digits are told, of the first 64 rows and columns.
        np.testing.assert_allclose(shown[step], numbers[:64, :64], rtol=1e-11, atol=0, err_msg=step)


def test_the_example_is_shown_as_it_is_computed(opened: Opened):
    network, x, y = example()
    assert_shown(walk(opened.page("/inspector")), network.trace(x, y, "squared_error"))


def test_a_jobs_network_is_shown_as_it_is_computed(opened: Opened, service: Serving, penguins_job: Job):
    network, x, y = network_of(service, penguins_job, [3, 200])
    page = opened.page(f"/jobs/{penguins_job.id}/inspector?row=4&row=200&row=")
    page.locator("input[name=row]").first.fill("3")
    page.get_by_role("button", name="Look").click()
    page.wait_for_url("**/inspector?row=3&row=200&row=")
    assert_shown(walk(page), network.trace(x, y, "softmax_cross_entropy"))


def network_of(service: Serving, job: Job, rows: list[int]) -> tuple[core.Network, np.ndarray, np.ndarray]:
    folder = next((service.data_dir / "files" / "models").glob(f"{job.id}-*"))
    encoding = load(folder).encoding
    network = core.load(folder / "weights.safetensors", core.get_backend("numpy", "float64"))
    table = pl.read_csv(PENGUINS, null_values="NA")[rows]
    return network, encoding.features_of(table), encoding.target_of(table)


def test_elementwise_and_diagonal_are_the_same_numbers(opened: Opened):
    page = opened.page("/inspector")
    page.locator("[data-question=slope]").click()
    elementwise = np.array(results(page))
    expect(page.locator("svg.slope .tangent")).to_have_attribute("d", re.compile("^M"))
    page.locator("[data-question=diagonal]").click()
    expect(page.locator(".same")).to_have_attribute("data-apart", "0")
    np.testing.assert_allclose(results(page), elementwise, rtol=1e-11)
    page.locator("[value=stacked]").check()
    expect(page.locator(".same")).to_have_attribute("data-apart", "0")
    expect(page.locator("figure", has_text="diag").locator(".shape")).to_have_text("6 × 6")


def test_the_samples_parts_stand_beside_their_sum(opened: Opened):
    page = opened.page("/inspector")
    page.locator("[data-question=sum]").click()
    expect(page.locator("figure", has_text="of sample")).to_have_count(3)
    page.locator("table[data-key=sum] td").first.hover()
    assert page.locator("td.mate").count() == 4
    expect(page.locator("#check")).to_contain_text("right")


def test_the_route_gives_what_the_network_traces(service: Serving, penguins_job: Job):
    network, x, y = network_of(service, penguins_job, [3, 200])
    with httpx.Client(base_url=service.url, trust_env=False, timeout=PATIENCE) as http:
        told = http.get(f"/v1/jobs/{penguins_job.id}/trace", params={"row": [3, 200]}).raise_for_status().json()
        assert http.get("/v1/example/trace").json()["check"]["passed"] is True
    trace = network.trace(x, y, "softmax_cross_entropy")
    assert told["rows"] == [3, 200]
    assert told["labels"] == ["Adelie", "Gentoo"]
    assert told["of"] == penguins_job.model_id
    assert told["text"] == str(trace)
    assert told["check"]["passed"]
    assert not told["check"]["kink"]
    assert_equal(told, trace, ["x", "x_bar", "values"])
    for layer, same in zip(told["layers"], trace.layers, strict=True):
        assert_equal(layer, same, ["a", "a_bar", "z", "slope", "z_bar"])
        for name in ("theta", "theta_bar", "theta_bar_of_samples"):
            assert set(layer[name]) == set(getattr(same, name))
            for parameter, array in getattr(same, name).items():
                np.testing.assert_array_equal(layer[name][parameter], array)


def assert_equal(told: dict[str, Any], of: object, names: list[str]) -> None:
    for name in names:
        # JSON has every digit of a float64, and null for what isn't finite.
        wanted = np.asarray(getattr(of, name))
        np.testing.assert_array_equal(np.array(told[name], float), np.where(np.isfinite(wanted), wanted, np.nan))


def test_a_network_that_is_too_large_to_look_at_is_refused(service: Serving, client: Client, penguins_job: Job):
    wide = {"layers": [{"units": 600}, {"units": 400}]}
    job = client.jobs.create(dataset_id=penguins_job.dataset_id, target="species", epochs=1, network=wide)
    client.jobs.wait(job.id, timeout=PATIENCE)
    answer = httpx.get(f"{service.url}/v1/jobs/{job.id}/trace", trust_env=False, timeout=PATIENCE)
    assert answer.status_code == 422
    assert "up to 200000 parameters" in answer.json()["errors"][0]["allowed"]


@pytest.mark.parametrize(
    ("rows", "field"), [([344], "query.row"), ([-1], "query.row.0"), ([0] * 9, "query.row"), (["x"], "query.row.0")]
)
def test_rows_that_are_not_there_are_refused(service: Serving, penguins_job: Job, rows: list[Any], field: str):
    path = f"{service.url}/v1/jobs/{penguins_job.id}/trace"
    answer = httpx.get(path, params={"row": rows}, trust_env=False, timeout=PATIENCE)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert answer.json()["errors"][0]["allowed"]
