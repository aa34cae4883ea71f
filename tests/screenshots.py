"""`make screenshots`: a picture of each page, light and dark, in docs/pages, of a service with something to show."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from service.client import Client
from tests.service.conftest import PENGUINS
from tests.service.processes import serving

PICTURES = Path(__file__).parents[1] / "docs" / "pages"
WIDTH, HEIGHT = 1180, 760
COLOURS = 96


def posted(client: Client) -> dict[str, str]:
    """Train a few networks, leave one in training, and return the paths of the pages."""
    dataset = client.datasets.upload(PENGUINS, name="penguins").id
    wanted: list[dict[str, Any]] = [
        {
            "target": "species",
            "network": {"layers": [{"units": 6, "activation": "tanh"}]},
            "epochs": 60,
            "split": {"by": "fraction", "test": 0.1},
        },
        {"target": "species", "network": {"layers": [{"units": 16, "activation": "gelu"}]}, "epochs": 60},
        {"target": "body_mass_g", "epochs": 80, "optimizer": {"name": "adamw", "learning_rate": 0.003}},
        {"target": "sex", "epochs": 150},
    ]
    posted = [client.jobs.create(dataset_id=dataset, **each).id for each in wanted]
    small, other, *_ = posted
    for job in posted:
        client.jobs.wait(job, timeout=120)
    client.jobs.cancel(client.jobs.create(dataset_id=dataset, target="island", epochs=200_000).id)
    client.jobs.create(dataset_id=dataset, target="island", epochs=1_000_000)
    return {
        "start": "/",
        "dataset": f"/datasets/{dataset}",
        "jobs": "/jobs",
        "job": f"/jobs/{posted[-1]}",
        "card": f"/jobs/{small}",
        "inspector": "/inspector",
        "inspector-of-a-job": f"/jobs/{small}/inspector?row=0&row=160&row=300",
        "compare": f"/compare?job={small}&job={other}",
        "system": "/system",
    }


def prepare(page: Page, name: str) -> None:
    """Bring a page to where there is most to see."""
    if name == "dataset":
        page.locator("input[value=species]").check()
        page.locator("#report .chain").wait_for()
        page.evaluate("scrollTo(0, 0)")
    elif name == "job":
        page.wait_for_selector("#curves[data-epochs]")
        page.locator("#log").check()
    elif name == "compare":
        page.wait_for_selector("#curves[data-epochs]")
    elif name == "inspector":
        page.locator("[data-question=slope]").click()
        page.locator("table[data-key='z̄'] td").nth(2).hover()
    elif name == "inspector-of-a-job":
        page.locator("[data-question=sum]").click()
    page.evaluate("scrollTo(0, 0)")
    if name == "card":
        page.evaluate("document.getElementById('card').scrollIntoView()")
    page.wait_for_timeout(1500)  # lists and curves that move have moved


def take(browser: Browser, url: str, paths: dict[str, str], scheme: str) -> None:
    """Take the picture of each page in one colour scheme."""
    context = browser.new_context(
        base_url=url,
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": WIDTH, "height": HEIGHT},
        reduced_motion="reduce",
    )
    for name, path in paths.items():
        page = context.new_page()
        page.goto(path)
        prepare(page, name)
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(PICTURES / f"{name}-{scheme}.png", optimize=True)
        page.close()
    context.close()


def main() -> None:
    """Take all pictures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("there is no Chromium on this machine (Debian: apt-get install chromium)")
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as service, Client(service.url) as client:
        paths = posted(client)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for scheme in ("light", "dark"):
                take(browser, service.url, paths, scheme)
            browser.close()
        service.stop()  # in order, so that nothing is written while its folder goes


if __name__ == "__main__":
    main()
