"""What moves by itself: the list, a job's curve, and both when the connection breaks."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from service.client import Client
from service.jobs.schemas import Job
from tests.service.processes import Serving
from tests.service.web.conftest import Opened
from tests.service.web.proxy import proxy

DRAWN = "(least) => Number(document.getElementById('curves').dataset.epochs) > least"


def drawn(page: Page) -> list[int]:
    """The epochs that are in the plot."""
    return page.evaluate("document.getElementById('curves').data[0].x")


def test_a_curve_grows_without_a_reload_and_the_job_can_be_cancelled(opened: Opened, endless_job: Callable[[], Job]):
    job = endless_job()
    page = opened.page(f"/jobs/{job.id}")
    page.evaluate("window.mark = 'not loaded again'")
    page.wait_for_function(DRAWN, arg=0)
    before = len(drawn(page))
    page.wait_for_function(DRAWN, arg=before + 2)
    expect(page.locator("#connection")).to_have_text("live")
    page.get_by_role("button", name="cancel").click()
    expect(page.locator("#summary .state")).to_have_text("cancelled")
    expect(page.locator("#story")).to_contain_text("cancelled")
    expect(page.get_by_role("button", name="retry")).to_be_visible()
    assert page.evaluate("window.mark") == "not loaded again"


def test_a_running_job_shows_its_best_epoch_so_far(opened: Opened, client: Client, endless_job: Callable[[], Job]):
    job = endless_job()
    page = opened.page("/jobs")
    row = page.locator(f"#{job.id}")
    expect(row).to_contain_text("best accuracy")
    page.goto(f"/jobs/{job.id}")
    page.wait_for_function(DRAWN, arg=200)  # it overfits: later epochs are worse
    page.get_by_role("button", name="cancel").click()
    expect(page.locator("#summary .state")).to_have_text("cancelled")
    accuracy = client.jobs.metrics(job.id).columns["accuracy"]
    best = max(accuracy)  # type: ignore[type-var]
    expect(page.locator("#metric")).to_have_text(f"{best:.4g}")
    expect(page.locator("#summary div", has_text="Best accuracy")).to_contain_text(f"epoch {accuracy.index(best) + 1}")


def test_pause_and_resume(opened: Opened, endless_job: Callable[[], Job]):
    job = endless_job()
    page = opened.page(f"/jobs/{job.id}")
    page.wait_for_function(DRAWN, arg=0)
    page.get_by_role("button", name="pause").click()
    expect(page.locator("#summary .state")).to_have_text("paused")
    page.get_by_role("button", name="resume").click()
    expect(page.locator("#summary .state")).to_have_text("running")
    expect(page.locator("#results")).to_contain_text("ckpt_")
    page.get_by_role("link", name="Look inside its backpropagation").click()
    expect(page.locator("#inspector")).to_contain_text("as its last checkpoint has it, after epoch")
    expect(page.locator("#check")).to_contain_text("right")


def test_a_broken_stream_goes_on_where_it_was(opened: Opened, service: Serving, endless_job: Callable[[], Job]):
    opened.expected = ("ERR_",)  # that the connection broke is what the browser then says
    job = endless_job()
    with proxy(service.port) as between:
        page = opened.page(f"/jobs/{job.id}", url=between.url)
        page.evaluate("window.mark = 'not loaded again'")
        page.wait_for_function(DRAWN, arg=0)
        between.cut()
        expect(page.locator("#connection")).to_contain_text("lost")
        seen = drawn(page)
        between.mend()
        expect(page.locator("#connection")).to_have_text("live")
        page.wait_for_function(DRAWN, arg=len(seen) + 2)
        epochs = drawn(page)
        assert epochs == sorted(set(epochs))
        assert page.evaluate("window.mark") == "not loaded again"
        page.close()


def test_the_list_updates_itself(opened: Opened, client: Client, endless_job: Callable[[], Job]):
    page = opened.page("/jobs")
    page.evaluate("window.mark = 'not loaded again'")
    job = endless_job()
    row = page.locator(f"#{job.id}")
    expect(row.locator(".state")).to_have_text("running")
    page.locator(f"#{job.id} input[type=checkbox]").check()
    row.get_by_role("button", name="cancel").click()
    expect(row.locator(".state")).to_have_text("cancelled")
    expect(row.locator("input[type=checkbox]")).to_be_checked()
    row.get_by_role("button", name="retry").click()
    expect(row.get_by_role("button", name="cancel")).to_be_visible()
    client.jobs.cancel(job.id)
    expect(row.locator(".state")).to_have_text("cancelled")
    assert page.evaluate("window.mark") == "not loaded again"


def test_only_the_states_that_are_asked_for(opened: Opened, penguins_job: Job):
    page = opened.page("/jobs?state=succeeded")
    expect(page.locator(f"#{penguins_job.id}")).to_be_visible()
    page.get_by_role("checkbox", name="succeeded").uncheck()
    page.wait_for_url("**/jobs?")
    page.get_by_role("checkbox", name="failed").check()
    page.wait_for_url("**/jobs?state=failed")
    expect(page.locator(f"#{penguins_job.id}")).to_have_count(0)
