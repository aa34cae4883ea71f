"""The models of real jobs, in onnxruntime: raw rows give the service's own predictions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import pytest

from service.client import Client
from service.jobs.schemas import Job
from service.models.schemas import LabelPrediction, ValuePrediction
from tests.service.conftest import PENGUINS
from tests.service.processes import PATIENCE

ROWS = 120
INPUTS: dict[str, Callable[[Any], Any]] = {
    "numeric": lambda cell: np.nan if cell is None else float(cell),
    "categorical": lambda cell: "" if cell is None else cell,
    "boolean": lambda cell: "" if cell is None else str(cell).lower(),
    "date": lambda cell: np.nan if cell is None else datetime.fromisoformat(cell).replace(tzinfo=UTC).timestamp(),
}


def compare(client: Client, job: Job, rows: list[dict[str, Any]], folder: Path) -> None:
    assert job.model_id is not None
    features = client.models.get(job.model_id).features
    path = client.models.download_weights(job.model_id, folder / "model.onnx", format="onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs: dict[str, np.ndarray] = {}
    for feature in features:
        cells: list[Any] = [[INPUTS[feature.kind](row[feature.name])] for row in rows]
        inputs[feature.name] = np.array(cells, float if feature.kind in ("numeric", "date") else object)
    outputs = dict(
        zip([o.name for o in session.get_outputs()], map(np.asarray, session.run(None, inputs)), strict=True)
    )
    names = [feature.name for feature in features]
    data = client.models.predict(job.model_id, [{name: row[name] for name in names} for row in rows]).data
    for place, prediction in enumerate(data):
        if isinstance(prediction, LabelPrediction):
            assert outputs["label"][place] == prediction.label
            expected = np.array([*prediction.probabilities.values()], float)
            np.testing.assert_allclose(outputs["probabilities"][place], expected, atol=1e-5)
        else:
            assert isinstance(prediction, ValuePrediction)
            assert outputs["value"][place] == pytest.approx(prediction.value, rel=1e-5, abs=1e-5)


def test_penguins(client: Client, penguins_job: Job, tmp_path: Path):
    table = pl.read_csv(PENGUINS, null_values=["NA"])
    compare(client, penguins_job, table.to_dicts(), tmp_path)


@pytest.mark.parametrize("target", ["grade", "price"])
def test_dates_booleans_and_missing_values(client: Client, target: str, tmp_path: Path):
    random = np.random.default_rng(0)
    row = pl.int_range(ROWS)
    size = random.normal(50, 20, ROWS)
    table = pl.DataFrame(
        {
            "size": size,
            "garden": random.integers(0, 2, ROWS).astype(bool),
            "sold": [f"20{year:02}-0{1 + year % 9}-15" for year in random.integers(0, 10, ROWS)],
            "town": [f"t{town}" for town in random.integers(0, 5, ROWS)],
            "price": 3 * size + random.normal(0, 5, ROWS),
            "grade": ["high" if each > 50 else "low" for each in size],
        }
    )
    table = table.with_columns(
        pl.when(row % every > 0).then(pl.col(name)) for name, every in (("size", 7), ("sold", 11), ("town", 13))
    )
    path = tmp_path / "houses.csv"
    table.write_csv(path)
    dataset = client.datasets.upload(path)
    job = client.jobs.wait(client.jobs.create(dataset_id=dataset.id, target=target, epochs=5).id, timeout=PATIENCE)
    assert job.state == "succeeded", job.error
    assert job.model_id is not None
    kinds = {feature.name: feature.kind for feature in client.models.get(job.model_id).features}
    assert (kinds["sold"], kinds["garden"], kinds["town"]) == ("date", "boolean", "categorical")
    compare(client, job, table.to_dicts(), tmp_path)
