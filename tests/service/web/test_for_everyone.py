"""Every page, for everyone: by keyboard, with a screen reader, in the dark, on a narrow screen, without JavaScript."""

from __future__ import annotations

import re

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from service.client import Client
from service.jobs.schemas import Job
from tests.service.conftest import PENGUINS
from tests.service.processes import PATIENCE
from tests.service.web.conftest import Opened

PAGES = ("start", "dataset", "jobs", "job", "job's inspector", "example", "compare", "system")


@pytest.fixture(scope="module")
def paths(penguins_job: Job, client: Client) -> dict[str, str]:
    other = client.jobs.create(dataset_id=penguins_job.dataset_id, target="species", epochs=5)
    client.jobs.wait(other.id, timeout=PATIENCE)
    job = f"/jobs/{penguins_job.id}"
    return {
        "start": "/",
        "dataset": f"/datasets/{penguins_job.dataset_id}",
        "jobs": "/jobs",
        "job": job,
        "job's inspector": f"{job}/inspector",
        "example": "/inspector",
        "compare": f"/compare?job={penguins_job.id}&job={other.id}",
        "system": "/system",
    }


READY = {"job": "#curves[data-epochs]", "compare": "#curves[data-epochs]", "example": "td", "job's inspector": "td"}


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(opened: Opened, paths: dict[str, str], name: str):
    page = opened.page(paths[name], reduced_motion="reduce")
    if name in READY:
        page.wait_for_selector(READY[name])
    for scheme, width in (("light", 1200), ("dark", 1200), ("dark", 380), ("light", 380)):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        found = Axe().run(page).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert not serious, [(each["id"], each["help"], [node["html"] for node in each["nodes"]]) for each in serious]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"


@pytest.mark.parametrize("name", PAGES)
def test_pages_can_be_read_without_javascript(opened: Opened, paths: dict[str, str], name: str):
    page = opened.page(paths[name], java_script_enabled=False)
    expected = {
        "start": "penguins",
        "dataset": "bill_length_mm",
        "jobs": "succeeded",
        "job": "accuracy",
        "job's inspector": "z̄ᵀ a_prev",
        "example": "J̄ = 1/m = 1/3",
        "compare": "epochs",
        "system": "cpu",
    }
    assert expected[name] in (page.text_content("main") or "")
    opened.contexts.remove(page.context)  # it can't be asked for violations
    page.context.close()


def test_a_job_is_started_by_keyboard_alone(opened: Opened, client: Client):
    dataset = client.datasets.upload(PENGUINS)
    page = opened.page(f"/datasets/{dataset.id}")

    def tab_to(selector: str) -> None:
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"{selector} can't be reached")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    tab_to("input[name=target]")
    page.keyboard.press("Space")
    expect(page.locator("#report")).to_contain_text("parameters")
    tab_to("[name=epochs]")
    page.keyboard.type("2")
    tab_to("#start")
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/*")
    page.wait_for_selector("#summary[data-state=succeeded]")


def test_the_inspector_is_read_by_keyboard(opened: Opened):
    page = opened.page("/inspector")
    page.wait_for_selector("td")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#step-title")).to_have_text("z = x Θᵀ")
    page.locator(".result td").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#readout")).to_have_text(re.compile(r"z\[2, 1\] = −1\.098612"))
    expect(page.locator("#step-title")).to_have_text("z = x Θᵀ")  # the arrows were the matrix's


HOSTILE = '<img src=x onerror="alert(1)">'


def test_names_from_users_stay_text(opened: Opened, client: Client):
    column, label = '"><script>alert(2)</script>', "</td><b onclick=alert(3)>{{ 7 * 7 }}"
    quoted = f'"{column.replace(chr(34), chr(34) * 2)}"'
    lines = [f"{quoted},kind", *(f'{i % 7 + 0.5},"{label if i % 2 else "plain"}"' for i in range(60))]
    table = "\n".join(lines).encode()
    answer = httpx.post(
        f"{opened.url}/v1/datasets", params={"name": HOSTILE}, content=table, trust_env=False, timeout=PATIENCE
    )
    dataset = answer.raise_for_status().json()
    job = client.jobs.create(
        dataset_id=dataset["id"], target="kind", epochs=2, metadata={HOSTILE: HOSTILE}, network={"layers": []}
    )
    assert client.jobs.wait(job.id, timeout=PATIENCE).state == "succeeded"
    page = opened.page("/")
    for path in (
        "/",
        f"/datasets/{dataset['id']}",
        "/jobs",
        f"/jobs/{job.id}",
        f"/jobs/{job.id}/inspector",
        f"/compare?job={job.id}",
    ):
        page.goto(path)
        page.wait_for_load_state()
        if path.endswith(job.id) and path.startswith("/jobs"):
            page.wait_for_selector("#curves[data-epochs]")
            page.get_by_role("button", name="Predict", exact=True).click()
            expect(page.locator("#prediction .probability .name").first).to_be_visible()
        text = page.text_content("main") or ""
        assert HOSTILE in text or "inspector" in path or "compare" in path
        assert page.locator("main img[src=x], main script, main b[onclick]").count() == 0
    page.goto(f"/datasets/{dataset['id']}")
    page.locator("input[name=target]").first.check()
    expect(page.locator("#report")).to_contain_text("parameters")
