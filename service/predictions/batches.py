"""The work of a prediction, in a worker's child: rows in, in batches, and a file out. Memory is that of one batch."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from service import memory
from service.datasets.parts import read_batches
from service.models.predictor import load
from service.protocol import Message, PredictionAssignment
from service.storage import sync
from service.training.cannot_train import CannotTrain
from service.training.course import Wish

BATCH = 4096


def predict(assignment: PredictionAssignment, wish: Wish) -> Iterator[Message]:
    """Predict, yield what happens, and end with "done", when the file lies in `assignment.draft`, or with "stopped".

    The file has a row for each of the data set's, in their order: as `POST /v1/models/{id}/predict` answers, with the
    columns of `LabelTarget` or `NumberTarget`.

    Raises:
        CannotTrain: when the model isn't there.
    """
    began = time.monotonic()
    memory.forget_peak()
    try:
        predictor = load(assignment.model)
    except FileNotFoundError as error:
        raise CannotTrain("model_gone", "the model isn't there any more") from error
    parts = assignment.draft / "parts"
    parts.mkdir(parents=True)
    columns = [feature.name for feature in predictor.encoding.features]
    done = 0
    for number, batch in enumerate(read_batches(assignment.table, columns, BATCH)):
        predictor.predict_table(batch).write_ipc(parts / f"{number:09d}.arrow")
        done += batch.height
        yield "rows", {"rows_done": done, "rows": assignment.spec.rows, "seconds": time.monotonic() - began}
        if wish.stop:
            yield "stopped", {}
            return
    path = assignment.draft / assignment.spec.file_name
    _joined(parts, path)
    shutil.rmtree(parts)
    sync(assignment.draft)
    seconds = time.monotonic() - began
    yield "done", {"result": {"bytes": path.stat().st_size, "seconds": seconds, "peak_bytes": memory.peak_bytes()}}


def _joined(parts: Path, path: Path) -> None:
    rows = pl.scan_ipc(sorted(parts.iterdir()), glob=False)
    if path.suffix == ".csv":
        rows.sink_csv(path)
    else:
        rows.sink_parquet(path)
