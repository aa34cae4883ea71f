"""Clients that post jobs and do things with them, some of it over a line on which answers break off."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import httpx

from service.client import Client, DeltabarError
from tests.chaos.record import Record

AT_MOST_WAITING = 8
# Jobs of milliseconds, of a second, and of several; all that has a state of its own is in one of them.
SPECS: dict[str, dict[str, Any]] = {
    "tiny": {"epochs": 1},
    "short": {"epochs": 150, "batch_size": 8, "optimizer": {"name": "sgd", "learning_rate": 0.05}},
    "long": {
        "network": {"layers": [{"units": 128, "dropout": 0.1}, {"units": 64, "activation": "tanh"}]},
        "epochs": 200,
        "batch_size": 2,
        "schedule": {"name": "reduce_on_plateau", "patience": 2},
        "early_stopping": {"monitor": "validation_loss", "patience": 1000},
    },
}
OFTEN = (5, 3, 2)  # of each of them


class Visitor:
    """A client that posts jobs and does things with them, until `over`.

    Some answers come from `far`, the same service at the end of a line on which they break off.
    """

    def __init__(
        self, url: str, far: str, dataset_id: str, chance: random.Random, record: Record, over: threading.Event
    ) -> None:
        self._client, self._far, self._dataset_id = Client(url, timeout=10), Client(far, timeout=10), dataset_id
        self._posting = httpx.Client(base_url=far, timeout=10, headers={"Connection": "close"}, trust_env=False)
        self._chance, self._record, self._over = chance, record, over

    def run(self) -> None:
        with self._client, self._far, self._posting:
            while not self._over.wait(self._chance.uniform(0.0, 0.5)):
                try:
                    if self._client.jobs.list(limit=100, state=["queued", "running", "paused"]).data[AT_MOST_WAITING:]:
                        continue
                    if job_id := self._post():
                        self._do_something(job_id)
                except (ConnectionError, TimeoutError, DeltabarError) as error:
                    self._tolerate(error)

    def _post(self) -> str | None:
        """Post a job, again and again with the same key until there is an answer; return its id."""
        kind = self._chance.choices(list(SPECS), OFTEN)[0]
        key = f"{kind}-{self._chance.getrandbits(64):016x}"
        body = {"dataset_id": self._dataset_id, "target": "species", "device": "cpu", "metadata": {"key": key}}
        while not self._over.is_set():
            try:
                answer = self._posting.post("/v1/jobs", json=SPECS[kind] | body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                self._record.count("posts without an answer")
            else:
                if answer.status_code == 202:
                    return self._accepted(kind, answer)
                said = answer.json()
                if said["code"] != "idempotency_key_in_flight" and answer.status_code != 503:
                    self._record.faults.append(f"an answer to a post that nobody should get: {said}")
                self._record.count("posts refused")
            self._over.wait(0.2)
        return None

    def _accepted(self, kind: str, answer: httpx.Response) -> str:
        job_id = answer.json()["id"]
        self._record.count(f"jobs posted, {kind}")
        if "idempotent-replayed" in answer.headers:
            self._record.count("jobs there already when they were posted again")
        with self._record.lock:
            self._record.accepted.add(job_id)
        return job_id

    def _do_something(self, job_id: str) -> None:
        jobs, deed = self._client.jobs, self._chance.choice(["pause", "cancel", "retry", "follow", "follow", "", ""])
        self._over.wait(self._chance.uniform(0.0, 1.0))
        match deed:
            case "pause":
                jobs.pause(job_id)
                self._over.wait(self._chance.uniform(0.0, 1.0))
                jobs.resume(job_id)
            case "cancel":
                jobs.cancel(job_id)
            case "retry":
                jobs.cancel(job_id)
                if jobs.wait(job_id, timeout=20).state == "cancelled":
                    jobs.retry(job_id)
            case "follow":
                self._follow(job_id)
            case _:
                return
        self._record.count(f"jobs with {deed}")

    def _follow(self, job_id: str) -> None:
        """Read the events to the end or for some seconds; they come once each, in order, over all breaks."""
        until, last = time.monotonic() + 15, 0
        for event in self._far.jobs.events(job_id):
            if event.sequence != last + 1:
                self._record.faults.append(f"{job_id}: the stream goes from event {last} to {event.sequence}")
            last = event.sequence
            if time.monotonic() > until or self._over.is_set():
                break

    def _tolerate(self, error: Exception) -> None:
        """Go on where the service was away, or the job had got ahead of what was asked."""
        if isinstance(error, DeltabarError) and error.status not in (409, 503):
            self._record.faults.append(f"an answer that nobody should get: {error}")
        self._record.count("requests refused" if isinstance(error, DeltabarError) else "requests without an answer")
