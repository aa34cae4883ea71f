"""What a worker and its children say to each other: lists of messages, as JSON over a pipe.

The worker says `["begin", assignment]`, and `["stop", {"keep"}]` to end it: with `keep`, the state of the training is
written first; a prediction has none to keep. The child says any number of

- `["log", {"message"}]`,
- `["metrics", {"last", "packed"}]` of the epochs that have ended meanwhile: what the last one reported, and what all
  have, as `service.jobs.epochs` packs it, in base64,
- `["rows", {"rows_done", "rows", "seconds"}]` of a prediction, after each batch,
- `["progress", {"epoch", "step", "steps", "seconds"}]`, at least every half a second between steps: it lives,
- `["checkpoint", {"epoch", "step", …}]`: its files lie in `assignment.checkpoint_draft(step)`,
- `["saving", {}]`: it has heard that it is to stop, and writes a checkpoint,

- `["device", {"fault"}]`: it has tried its own device, which doesn't compute, or does where `fault` is null. It says so
  when it is warm, of a GPU with the doctor's `"finding"`, and in a job or between two when that changes,

and at last one of `["done", {"result"}]`, of a training with its `"card"`, `["failed", {"code", "message"}]` and
`["stopped", {}]`, after which it waits for the next assignment.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

from service.datasets.schemas import Column, Format
from service.jobs.schemas import Spec
from service.jobs.split import Part
from service.predictions.schemas import PredictionSpec
from service.problems import dump

Message = tuple[str, dict[str, Any]]
FINAL = ("done", "failed", "stopped")


class HeldOut(BaseModel):
    """Another data set, to measure on."""

    table: Path
    format: Format


class Work(BaseModel):
    """What every assignment has.

    Attributes:
        table: the folder with the rows of the data set.
        draft: the folder for what is published at the end, which doesn't exist yet.
        memory_bytes: how much memory the job may have; 0 for all there is.
        device_memory_bytes: how much of a GPU's memory its arrays may have; 0 for all there is.
        about: what the child's log lines are about.
    """

    table: Path
    draft: Path
    memory_bytes: int = 0
    device_memory_bytes: int = 0
    about: dict[str, str | int] = {}


class Assignment(Work):
    """What to train, on which table, and where to write the model.

    Attributes:
        format, columns: of the data set.
        data: the ids and hashes of all data sets, by what they are for.
        held_out: the data sets to validate and to test on, where the spec names some.
        spec: what is trained.
        checkpoints: the folder for drafts of checkpoints.
        checkpoint_seconds: how often to write one.
        resume: the folder of the checkpoint to go on from.
        init_from: the folder of the model or checkpoint whose weights to start with.
        start: the id of that model or checkpoint.
        device: where jobs are trained that don't name a device.
    """

    kind: Literal["training"] = "training"
    format: Format
    columns: list[Column]
    spec: Spec
    data: dict[str, dict[str, str]] = {}
    held_out: dict[Part, HeldOut] = {}
    checkpoints: Path
    checkpoint_seconds: float = 30.0
    resume: Path | None = None
    init_from: Path | None = None
    start: str | None = None
    device: str = "cpu"

    def checkpoint_draft(self, step: int) -> Path:
        """Return the folder to write the checkpoint after `step` steps to."""
        return self.checkpoints / str(step)


class PredictionAssignment(Work):
    """Which model predicts which table, and what kind of file is wanted of it.

    Attributes:
        model: the folder of the model.
        spec: the choices of the job.
    """

    kind: Literal["prediction"] = "prediction"
    model: Path
    spec: PredictionSpec


ASSIGNMENT: TypeAdapter[Assignment | PredictionAssignment] = TypeAdapter(
    Annotated[Assignment | PredictionAssignment, Field(discriminator="kind")]
)


def send(pipe: Connection, messages: Sequence[Message]) -> None:
    """Send `messages`, with null for what is not a number; raises OSError when the other side is gone."""
    pipe.send_bytes(dump(messages).encode())


def receive(pipe: Connection) -> list[Message]:
    """Wait for the next messages and return them; raises EOFError or OSError when the other side is gone."""
    return [(kind, data) for kind, data in json.loads(pipe.recv_bytes())]
