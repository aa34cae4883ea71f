from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, expect, sync_playwright

from service.client import Client
from service.jobs.schemas import Job
from tests.service.processes import PATIENCE, Serving

MILLISECONDS = 1000 * PATIENCE
expect.set_options(timeout=MILLISECONDS)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TELL = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (broken) => violations.push(broken.violatedDirective));
"""


@pytest.fixture(scope="package")  # while it is there a loop runs in this thread, and `asyncio.run` fails
def browser() -> Iterator[Browser]:
    """The system's Chromium, one for all tests of this folder."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("there is no Chromium on this machine (Debian: apt-get install chromium)")
    # Its sandbox needs what containers, and root, don't have; it sees no pages but ours.
    options: dict[str, Any] = {"executable_path": path, "args": ["--no-sandbox"]}
    with sync_playwright() as playwright, playwright.chromium.launch(**options) as browser:
        yield browser


@dataclass
class Opened:
    """The pages of a test, and what went wrong in them."""

    browser: Browser
    url: str
    expected: tuple[str, ...] = ()
    faults: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def page(self, path: str = "/", *, url: str | None = None, width: int = 1200, **options: Any) -> Page:
        """Open a page of the service in a window of its own."""
        context = self.browser.new_context(
            base_url=url or self.url,
            viewport={"width": width, "height": 900},
            **options,
        )
        self.contexts.append(context)
        context.set_default_timeout(MILLISECONDS)
        context.set_default_navigation_timeout(MILLISECONDS)
        context.add_init_script(TELL)
        page = context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", self._dialog)
        page.on("request", lambda request: self._request(request.url, url or self.url))
        page.goto(path)
        return page

    def close(self) -> None:
        for context in self.contexts:
            for page in context.pages:
                self.faults += page.evaluate("window.violations ?? []")
            context.close()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(part in message.text for part in self.expected):
            self.faults.append(f"console {message.type}: {message.text}")

    def _dialog(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _request(self, asked: str, url: str) -> None:
        if not asked.startswith((url, "data:", "blob:")):
            self.faults.append(f"asks another host: {asked}")


@pytest.fixture
def opened(browser: Browser, service: Serving) -> Iterator[Opened]:
    """Opens pages; no page may have written an error to the console, broken the policy, or asked another host."""
    opened = Opened(browser, service.url)
    yield opened
    opened.close()
    assert not opened.faults


@pytest.fixture
def endless_job(client: Client, penguins_job: Job) -> Iterator[Callable[[], Job]]:
    """Posts jobs that don't end by themselves."""
    posted: list[Job] = []

    def post() -> Job:
        job = client.jobs.create(dataset_id=penguins_job.dataset_id, target="species", epochs=1_000_000)
        posted.append(job)
        return job

    yield post
    for job in posted:
        if client.jobs.get(job.id).state not in ("succeeded", "failed", "cancelled"):
            client.jobs.cancel(job.id)
