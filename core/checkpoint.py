"""The whole state of a training between two steps, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.tensor_file import read, write

KIND = "checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """What `train(…, resume=checkpoint)` goes on from, to the same bits as if training had never stopped.

    Attributes:
        data: numbers and names, as JSON has them: how far training was, and the hyperparameters that it had.
        arrays: parameters, optimizer state and the rest, on the host, by name.

    >>> import tempfile
    >>> from core import Dense, Network, train
    >>> x, y, path = np.ones((6, 1)), np.zeros(6), Path(tempfile.mkdtemp()) / "training.safetensors"
    >>> training = train(Network(1, [Dense(1)]), x, y, loss="squared_error", epochs=2, batch_size=2)
    >>> training.advance(steps=4)  # an epoch has three steps; the record is that of the first epoch
    Record(epoch=1, epochs=2, step=3, ...)
    >>> training.checkpoint().save(path)
    >>> resumed = train(
    ...     Network(1, [Dense(1)]), x, y, loss="squared_error", epochs=2, batch_size=2, resume=Checkpoint.load(path)
    ... )
    >>> next(resumed).loss == next(training).loss
    True
    """

    data: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def save(self, path: str | Path) -> None:
        """Write the checkpoint to `path`, a safetensors file, whole or not at all.

        Raises:
            OSError: where the file can't be written.
        """
        write(path, KIND, self.data, self.arrays)

    @classmethod
    def load(cls, path: str | Path) -> Checkpoint:
        """Return the checkpoint that `save` wrote to `path`.

        Raises:
            ValueError: where the file isn't a checkpoint of ours.
            OSError: where it can't be read.
        """
        return cls(*read(path, KIND))
