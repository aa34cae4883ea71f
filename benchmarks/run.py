"""What a contestant gives back: the time and the loss of each epoch, and the weights at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from benchmarks.problem import Layers


@dataclass
class Run:
    """One training from the initial weights, and the clock that it was timed with.

    Attributes:
        seconds: of each epoch; the first has all the setting up in it.
        losses: of each epoch, the mean of its steps' losses, a number or `(N,)`; empty where the library tells none.
        layers: at the end; empty where there are none to tell.
    """

    seconds: list[float] = field(default_factory=list)
    losses: list[np.ndarray] = field(default_factory=list)
    layers: Layers = field(default_factory=list)
    _last: float = field(default_factory=time.perf_counter)

    def end_epoch(self, loss: object = None) -> None:
        """Take the time, after the epoch's loss has been read, which waits until it is computed."""
        now = time.perf_counter()
        self.seconds.append(now - self._last)
        self._last = now
        if loss is not None:
            self.losses.append(np.asarray(loss, dtype=np.float64))


Training: TypeAlias = Callable[[int], Run]
"""Trains from the initial weights for so many epochs. What was compiled for one call is there in the next."""
