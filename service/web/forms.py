"""What the form of a job offers: the choices of core, the API's own defaults, the columns that can be predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.datasets.schemas import Column, Dataset
from service.jobs.choices import ACTIVATION, LOSS, OPTIMIZER, SCHEDULE
from service.jobs.request import JobRequest


def choices() -> dict[str, Sequence[str]]:
    """Return the names that there are of each choice."""
    return {
        "activation": [name for name in ACTIVATION.names if name != "softmax"],
        "loss": [*LOSS.words, *LOSS.models],
        "optimizer": list(OPTIMIZER.models),
        "schedule": list(SCHEDULE.models),
    }


def defaults() -> dict[str, Any]:
    """Return the fields of a job that says nothing but its data set and its target."""
    fields = JobRequest.model_fields
    return {name: field.get_default() for name, field in fields.items() if not field.is_required()}


@dataclass(frozen=True)
class Target:
    """A column that a job can predict, and in which way."""

    column: Column
    task: str


def targets(dataset: Dataset) -> dict[str, Target]:
    """Return the columns that can be predicted, by name."""
    found: dict[str, Target] = {}
    for column in dataset.columns:
        if column.kind in ("categorical", "boolean"):
            if column.classes and len(column.classes) > 1:
                found[column.name] = Target(column, f"{len(column.classes)} classes")
        elif column.kind == "numeric":
            found[column.name] = Target(column, "a number")
    return found
