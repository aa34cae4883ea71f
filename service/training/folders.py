"""What lies in the folder of a model and in that of a checkpoint.

A model has its weights, the encoding of its table, and its card. A checkpoint has weights and encoding as well, so that
it can be predicted from and started from like a model, and the whole state of its training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import core
from service.datasets.encoding import Encoding
from service.models.card import CARD
from service.models.predictor import ENCODING, WEIGHTS
from service.problems import dump
from service.storage import sync
from service.training.notes import CHECKPOINT, Notes


def write_model(folder: Path, network: core.Network, encoding: Encoding, card: dict[str, Any]) -> None:
    """Write the model with its card to `folder`, which is made, and wait until the disk has it.

    Raises:
        OSError: when it can't be written.
    """
    _write(folder, network, encoding)
    (folder / CARD).write_text(dump(card), encoding="utf-8")
    sync(folder)


def write_checkpoint(folder: Path, training: core.Training, encoding: Encoding, notes: Notes) -> None:
    """Write the state of `training` to `folder`, as `write_model` does, with `notes`."""
    _write(folder, training.network, encoding)
    notes.added_to(training.checkpoint()).save(folder / CHECKPOINT)
    sync(folder)


def read_encoding(folder: Path) -> Encoding:
    """Return the encoding that a model or a checkpoint was written with."""
    return Encoding.model_validate_json((folder / ENCODING).read_bytes())


def _write(folder: Path, network: core.Network, encoding: Encoding) -> None:
    folder.mkdir(parents=True)
    core.save(network, folder / WEIGHTS)
    (folder / ENCODING).write_text(encoding.model_dump_json(), encoding="utf-8")
