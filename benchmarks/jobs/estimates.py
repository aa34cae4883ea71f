"""The seconds that jobs are told beforehand beside those that they take, on a machine that has measured itself."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.jobs.place import PATIENCE, service
from service.client import Client
from service.examples import PENGUINS
from service.jobs.schemas import Estimate, Took

TRIES = 3
WARM_SECONDS = 5.0
"""After the first job, with which the worker lets another child become warm."""


def _layers(*units: int, **choices: Any) -> dict[str, Any]:
    return {"network": {"layers": [{"units": each, **choices} for each in units]}}


# By name: rows and columns of the table, or none for the penguins; what is predicted; the rest of the job.
JOBS: dict[str, tuple[tuple[int, int] | None, str, dict[str, Any]]] = {
    "one epoch": (None, "species", {"epochs": 1}),
    "the default": (None, "species", {}),
    "regression": ((4000, 20), "number", {"epochs": 30}),
    "tanh, three layers": ((4000, 20), "number", {"epochs": 10, **_layers(128, 128, 64, activation="tanh")}),
    "float64": ((4000, 20), "label", {"epochs": 20, "dtype": "float64"}),
    "dropout": ((4000, 20), "label", {"epochs": 10, **_layers(64, 32, normalization="layer_norm", dropout=0.2)}),
    "big batches": ((60_000, 10), "label", {"epochs": 10, "batch_size": 4096}),
    "many rows": ((60_000, 10), "number", {"epochs": 3}),
    "medium": ((3000, 200), "label", {"epochs": 5, "batch_size": 128, **_layers(512, 256)}),
    "l-bfgs": ((4000, 20), "label", {"epochs": 30, "optimizer": "lbfgs"}),
}


def table(rows: int, columns: int) -> bytes:
    """Return CSV with so many columns of numbers, a `number` that depends on them, and a `label` of three."""
    x = np.random.default_rng(0).standard_normal((rows, columns)).round(4)
    lines = [",".join([*(f"x{k}" for k in range(columns)), "number", "label"])]
    for row in x:
        lines.append(",".join([*map(str, row.tolist()), f"{row[0] - 2 * row[1]:.4f}", "abc"[int(row[:2].sum() > 0)]]))
    return "\n".join(lines).encode()


def factors() -> dict[str, float]:
    """Return for each of `JOBS` the larger of told by taken and taken by told, of the fastest of three tries."""
    found = {}
    with service(1) as url, Client(url) as client, tempfile.TemporaryDirectory() as folder:
        datasets: dict[tuple[int, int] | None, str] = {None: client.datasets.upload(PENGUINS).id}
        while not _told(client.jobs.validate(dataset_id=datasets[None], target="species").estimate):
            time.sleep(0.5)
        client.jobs.wait(client.jobs.create(dataset_id=datasets[None], target="species").id, timeout=PATIENCE)
        time.sleep(WARM_SECONDS)
        for name, (size, target, choices) in JOBS.items():
            if size is not None and size not in datasets:
                path = Path(folder) / "table.csv"
                path.write_bytes(table(*size))
                datasets[size] = client.datasets.upload(path).id
            spec: dict[str, Any] = {"dataset_id": datasets[size], "target": target, **choices}
            _ratio(client, spec | {"epochs": 1})  # compiled now
            ratio = max(_ratio(client, spec) for _ in range(TRIES))
            found[name] = max(ratio, 1 / ratio)
    return found


def _ratio(client: Client, spec: dict[str, Any]) -> float:
    result = client.jobs.wait(client.jobs.create(**spec).id, timeout=PATIENCE).result
    assert result is not None
    return _told(result.estimated) / _told(result.actual)


def _told(what: Estimate | Took | None) -> float:
    return (what and what.seconds) or 0.0
