"""Metrics for Prometheus (https://prometheus.io/docs/practices/naming/).

What one process alone knows, its HTTP requests and its viewers, is counted in that process: with several web processes
each is scraped, and their sum is the whole. What is true of the service as a whole, the queue and what became of jobs,
is read from the tables at every scrape, so that every web process tells the same: of these take the maximum over
processes, never the sum. States and ages are counted from the rows of jobs; what only ever grows is kept in the table
`tallies` (see `service.tallies`, which says why). Steps a second are the rate of `deltabar_training_steps_total`.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service import roster, tallies
from service.db import Database, DatabaseTrouble
from service.jobs.states import STATES
from service.tables import Job

ANSWER_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
log = logging.getLogger(__name__)


class Telemetry:
    """The metrics of one web process; `watch` adds those of the tables."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        route = ["method", "route"]
        self.requests = Counter(
            "deltabar_http_requests", "Requests that were answered, by route.", [*route, "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "deltabar_http_request_duration_seconds",
            "From a request's arrival to the beginning of its answer; streams may then go on for hours.",
            route,
            buckets=ANSWER_SECONDS,
            registry=registry,
        )
        self.request_bytes = Counter(
            "deltabar_http_request_body_bytes",
            'Bytes of bodies received; uploads are those of POST, "/v1/datasets".',
            route,
            registry=registry,
        )
        self.viewers = Gauge("deltabar_event_stream_viewers", "Event streams that are open.", registry=registry)

    def watch(self, database: Database, lease_seconds: float) -> None:
        """Read the service's own metrics from `database` at every scrape."""
        self._registry.register(_Tables(database, lease_seconds))

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics, in the format that the header `accept` asks for, and its media type."""
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type


class _Tables(Collector):
    """What the tables say."""

    def __init__(self, database: Database, lease_seconds: float) -> None:
        self._database, self._lease_seconds = database, lease_seconds

    def collect(self) -> Iterable[Metric]:
        """Read everything in one transaction; tell of nothing but the failure when the tables can't be read."""
        metrics: list[Metric] = []
        try:
            with self._database.read() as session:
                metrics += [*_of_jobs(session), *_of_workers(session, self._lease_seconds)]
                metrics += _of_tallies(tallies.read(session))
        except (SQLAlchemyError, DatabaseTrouble) as error:
            log.error("the database can't be read for the metrics: %s", error)
            metrics = []
        up = "Whether the tables can be read."
        return [GaugeMetricFamily("deltabar_database_up", up, bool(metrics)), *metrics]


def _of_jobs(session: Session) -> Iterator[Metric]:
    counts = dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).all())
    jobs = GaugeMetricFamily("deltabar_jobs", "Jobs that there are, by state.", labels=["state"])
    for state in STATES:
        jobs.add_metric([state], counts.get(state, 0))
    yield jobs
    # By the id, which sorts by time and stands in the index of the queue; no other row is read.
    first = select(func.min(Job.id)).where(Job.state == "queued").scalar_subquery()
    created = session.scalar(select(Job.created_at).where(Job.id == first))
    age = 0.0 if created is None else max(0.0, time.time() - created)
    about = "Seconds since the oldest of the queued jobs was posted; 0 when none is queued."
    yield GaugeMetricFamily("deltabar_oldest_queued_job_age_seconds", about, age)


def _of_workers(session: Session, lease_seconds: float) -> Iterator[Metric]:
    alive = roster.alive(session, lease_seconds)
    yield GaugeMetricFamily("deltabar_workers", "Workers that have shown signs of life within a lease.", len(alive))
    lost = sum(len(worker.faults) for worker in alive)
    yield GaugeMetricFamily("deltabar_lost_devices", "Devices of these workers that don't compute any more.", lost)


def _of_tallies(values: dict[tallies.Key, float]) -> Iterator[Metric]:
    for tally, name, about, label in (
        (tallies.ATTEMPTS, "deltabar_job_attempts", "Attempts at jobs that workers have begun.", ""),
        (tallies.FAILURES, "deltabar_job_failures", "Jobs that failed, by the code of their error.", "code"),
        (tallies.EVENTS, "deltabar_job_events", "Events written, by kind.", "kind"),
        (tallies.STEPS, "deltabar_training_steps", "Optimizer steps taken, those that are taken again too.", ""),
    ):
        counter = CounterMetricFamily(name, about, labels=[label] if label else [])
        found = {key.label: value for key, value in values.items() if key.name == tally}
        for said, value in (found if label else {"": 0.0} | found).items():
            counter.add_metric([said] if label else [], value)
        yield counter
    wait = "From the posting of a job to its first attempt."
    run = "How long jobs were in training, all attempts together, by how they ended."
    yield _histogram(values, tallies.WAIT, "deltabar_job_wait_seconds", wait, "")
    yield _histogram(values, tallies.RUN, "deltabar_job_run_seconds", run, "state")


def _histogram(values: dict[tallies.Key, float], tally: str, name: str, about: str, label: str) -> Metric:
    histogram = HistogramMetricFamily(name, about, labels=[label] if label else [])
    parts: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for key, value in values.items():
        if key.name == tally:
            parts[key.label][key.part] = value
    for said, found in (parts if label else {"": parts[""]}).items():
        total = found.get(tallies.SUM, 0.0)
        histogram.add_metric([said] if label else [], tallies.cumulative(found), total)
    return histogram
