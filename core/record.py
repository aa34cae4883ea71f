"""What is known at the end of an epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

Metric: TypeAlias = Callable[[np.ndarray, np.ndarray], float]
"""From targets y and outputs a, both on the host, to a number."""


@dataclass(frozen=True)
class Record:
    """What is known at the end of an epoch. For a fleet, each loss is an array `(N,)`.

    Attributes:
        epoch: which epoch has ended, from 1 on.
        epochs: how many there will be.
        step: optimizer steps taken so far.
        loss: mean of the samples' losses in this epoch, each taken just before the step that it led to.
        validation_loss: J on the validation samples with the weights at the epoch's end; None without such samples.
        metrics: what was asked for, on the validation samples.
        seconds: wall time since training began, without the time between a checkpoint and going on from it.
        learning_rate: that of the epoch's last step; for a fleet whose networks have their own, an array `(N,)`.
    """

    epoch: int
    epochs: int
    step: int
    loss: float | np.ndarray
    validation_loss: float | np.ndarray | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    learning_rate: float | np.ndarray = 0.0
