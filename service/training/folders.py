"""What lies in the folder of a model and in that of a checkpoint.

A model has its weights and the encoding of its table. A checkpoint has the same, so that it can be predicted from and
started from like a model, and the whole state of its training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import core
from service.datasets.encoding import Encoding
from service.models.predictor import ENCODING, WEIGHTS
from service.storage import sync

CHECKPOINT = "checkpoint.safetensors"
LAST = "last_epoch"


def write_model(folder: Path, network: core.Network, encoding: Encoding) -> None:
    """Write the model to `folder`, which is made, and wait until the disk has it.

    Raises:
        OSError: when it can't be written.
    """
    _write(folder, network, encoding)
    sync(folder)


def write_checkpoint(folder: Path, training: core.Training, encoding: Encoding, last: dict[str, Any]) -> None:
    """Write the state of `training` to `folder`, as `write_model` does; `last` tells of the epoch that ended last."""
    _write(folder, training.network, encoding)
    taken = training.checkpoint()
    core.Checkpoint(taken.data | {LAST: last}, taken.arrays).save(folder / CHECKPOINT)
    sync(folder)


def read_encoding(folder: Path) -> Encoding:
    """Return the encoding that a model or a checkpoint was written with."""
    return Encoding.model_validate_json((folder / ENCODING).read_bytes())


def _write(folder: Path, network: core.Network, encoding: Encoding) -> None:
    folder.mkdir(parents=True)
    core.save(network, folder / WEIGHTS)
    (folder / ENCODING).write_text(encoding.model_dump_json(), encoding="utf-8")
