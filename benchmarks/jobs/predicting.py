"""Predicting: one row over HTTP, and a data set that doesn't fit into the memory that a job may have."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from benchmarks.jobs.place import numbers, service
from service.client import Client
from service.examples import PENGUINS

COLUMNS, ROWS = 32, 2_000_000
MEMORY_MB = 400
"""What the job may have, its interpreter and libraries included; the rows alone are 512 MB."""
PATIENCE = 600.0
ROW = {"island": "Biscoe", "bill_length_mm": 46.1, "flipper_length_mm": 217, "sex": None}


def one_row(calls: int = 500, warm_up: int = 20) -> list[float]:
    """Return the seconds of each call for one row, with the default model of the penguins, as its client measures."""
    found = []
    with service(1) as url, Client(url) as client:
        job = client.jobs.create(dataset_id=client.datasets.upload(PENGUINS).id, target="species").wait(PATIENCE)
        assert job.model_id is not None, job.error
        for k in range(warm_up + calls):
            began = time.perf_counter()
            client.models.predict(job.model_id, [ROW])
            if k >= warm_up:
                found.append(time.perf_counter() - began)
    return found


@dataclass(frozen=True)
class Batch:
    """What the prediction of a data set took."""

    rows: int
    seconds: float
    peak_bytes: int

    @property
    def rate(self) -> float:
        """Rows a second, from the start of its process's work until the file is there."""
        return self.rows / self.seconds


def batch(rows: int = ROWS) -> Batch:
    """Predict a data set of so many rows, as CSV, with the default network."""
    random = np.random.default_rng(0)
    with service(1, DELTABAR_JOB_MEMORY_BYTES=str(MEMORY_MB * 10**6)) as url, Client(url) as client:
        few = random.normal(size=(1000, COLUMNS))
        job = client.jobs.create(dataset_id=numbers(client, few, few.sum(axis=1)), target="y", epochs=2).wait(PATIENCE)
        assert job.model_id is not None, job.error
        dataset = numbers(client, random.normal(size=(rows, COLUMNS)), np.zeros(rows))
        made = client.predictions.create(model_id=job.model_id, dataset_id=dataset).wait(PATIENCE)
        assert made.result is not None, made.error
        assert made.rows_done == rows
        return Batch(rows, made.result.seconds, made.result.peak_bytes or 0)
