"""`make bench-pages`: how soon each page has content, on a service with 10,000 jobs; fails above 300 ms."""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import insert, select

from benchmarks import machine
from benchmarks.table import markdown, number
from service import tables
from service.client import Client
from service.db import Database
from service.examples import PENGUINS
from service.ids import new_id
from service.jobs.epochs import pack
from tests.service.processes import serving

JOBS, EPOCHS, ROUNDS = 10_000, 40, 5
MOST_MS = 300.0
AT_ONCE = 500
FIRST_CONTENT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
ARRIVED = "performance.getEntriesByType('navigation')[0].responseEnd"


def fill(database: Database, like: str) -> None:
    """Add jobs like the one with the id `like`, each with the events of its epochs; every tenth isn't over."""
    rng = np.random.default_rng(0)
    with database.read() as session:
        row = session.get_one(tables.Job, like)
        told = {column.key: getattr(row, column.key) for column in tables.Job.__table__.columns}
        last = session.scalars(
            select(tables.Event.data).where(tables.Event.job_id == like, tables.Event.kind == "metrics")
        ).all()[-1]
    for start in range(0, JOBS, AT_ONCE):
        jobs, events = [], []
        for i in range(start, start + AT_ONCE):
            state = "paused" if i % 10 == 0 else ("failed", "cancelled", "succeeded")[i % 3]
            job = told | {"id": new_id("job"), "state": state, "last_event": EPOCHS, "model_id": None}
            jobs.append(job)
            loss = np.exp(-np.linspace(0, 3, EPOCHS)) + 0.05 * rng.random(EPOCHS)
            for k, value in enumerate(loss.tolist()):
                data = last | {"epoch": k + 1, "loss": value, "validation_loss": 1.1 * value}
                event = {"job_id": job["id"], "sequence": k + 1, "kind": "metrics", "data": data}
                numbers = {name: each for name, each in data.items() if not isinstance(each, str)}
                events.append(event | {"epochs": pack([numbers]), "created_at": time.time()})
        with database.write() as session:
            session.execute(insert(tables.Training), jobs)
            session.execute(insert(tables.Event), events)


def measured(browser: Browser, url: str) -> tuple[list[float], list[float]]:
    """Return when the page's text had arrived and when something of it was to be seen, in ms, round by round."""
    arrived, seen = [], []
    for _ in range(ROUNDS):
        page = browser.new_page()  # each with an empty cache
        page.goto(url)
        page.wait_for_function(f"() => {FIRST_CONTENT} !== null")
        arrived.append(page.evaluate(ARRIVED))
        seen.append(page.evaluate(FIRST_CONTENT))
        page.close()
    return arrived, seen


def main() -> int:
    """Measure every page, and print the table; the exit code says whether all are within the limit."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("there is no Chromium on this machine (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as service, Client(service.url) as client:
        dataset = client.datasets.upload(PENGUINS)
        job = client.jobs.wait(client.jobs.create(dataset_id=dataset.id, target="species").id, timeout=120)
        database = Database(f"sqlite:///{service.data_dir / 'deltabar.db'}")
        fill(database, job.id)
        database.close()
        newest = [found.id for found in client.jobs.list(limit=3).data]
        pages = {
            "start": "/",
            "data set": f"/datasets/{dataset.id}",
            "jobs": "/jobs",
            "jobs, filtered": "/jobs?state=succeeded",
            "jobs, the oldest": f"/jobs?after={job.id}&state=succeeded",
            "job": f"/jobs/{job.id}",
            "inspector": f"/jobs/{job.id}/inspector",
            "inspector, example": "/inspector",
            "compare": "/compare?" + "&".join(f"job={each}" for each in newest),
            "system": "/system",
        }
        rows, worst = [], 0.0
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            measured(browser, service.url)  # the first page of a browser, and of the service
            for name, path in pages.items():
                arrived, seen = measured(browser, service.url + path)
                worst = max(worst, statistics.median(seen))
                spread = f"{number(min(seen))} to {number(max(seen))}"
                rows.append([name, number(statistics.median(arrived)), number(statistics.median(seen)), spread])
            browser.close()
    print(f"{machine.cpu()}, {JOBS:,} jobs")
    print(markdown(["page", "text has arrived, ms", "first content, ms", "least to most"], rows))
    return int(worst > MOST_MS)


if __name__ == "__main__":
    sys.exit(main())
