"""What a training keeps besides the state that core has of it: in its checkpoints, and for the model's card."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import core
from service.models.card import read_card
from service.protocol import Assignment
from service.training.cannot_train import CannotTrain

CHECKPOINT = "checkpoint.safetensors"


@dataclass
class Notes:
    """Plain data, so that it goes on with a checkpoint.

    Attributes:
        last_epoch: what was told of the epoch that ended last.
        first_certificate: that of the first epoch, once there is one.
        data: the data sets, by what they are for.
        lineage: from what the weights come, the oldest first.
    """

    last_epoch: dict[str, Any] = field(default_factory=dict)
    first_certificate: dict[str, Any] | None = None
    data: dict[str, Any] = field(default_factory=dict)
    lineage: list[dict[str, Any]] = field(default_factory=list)

    def added_to(self, checkpoint: core.Checkpoint) -> core.Checkpoint:
        """Return the checkpoint with these notes."""
        return core.Checkpoint(checkpoint.data | asdict(self), checkpoint.arrays)


def notes_in(checkpoint: core.Checkpoint) -> Notes:
    """Return the notes that the checkpoint was written with; those that its version didn't have are empty."""
    return Notes(**{each.name: checkpoint.data[each.name] for each in fields(Notes) if each.name in checkpoint.data})


def checkpoint_in(folder: Path) -> core.Checkpoint:
    """Return the checkpoint that lies in `folder`; raises `CannotTrain` where it can't be read."""
    try:
        return core.Checkpoint.load(folder / CHECKPOINT)
    except (ValueError, OSError) as error:
        raise CannotTrain("cannot_resume", f"the job's last checkpoint can't be read: {error}") from error


def first_notes(assignment: Assignment) -> Notes:
    """Return the notes of a training that begins: where its rows, and its weights if it starts with some, come from."""
    if assignment.init_from is None:
        return Notes(data=assignment.data)
    folder = assignment.init_from
    if (folder / CHECKPOINT).is_file():
        start = notes_in(checkpoint_in(folder))
        data, lineage = start.data, start.lineage
    else:  # a model; of one that an older version has trained nothing but its id is known
        card = read_card(folder) or {}
        data, lineage = card.get("data", {}), card.get("lineage", [])
    return Notes(data=assignment.data, lineage=[*lineage, {"id": assignment.start, "data": data}])
