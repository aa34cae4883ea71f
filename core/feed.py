"""How batches come from the samples into the memory of a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.arrays import Array

if TYPE_CHECKING:
    from core.backend import Backend


class Feed(ABC):
    """Samples, targets and weights, and the order in which an epoch takes them.

    Attributes:
        tables: arrays `(M, …)`, a row for each sample, as they lie.
        order: of the samples, `(…, n_samples)`, int64, where the tables lie.
    """

    tables: tuple[Array, ...]
    order: Array

    @abstractmethod
    def begin(self, order: np.ndarray) -> None:
        """Take over the order of an epoch, which is on the host."""

    @abstractmethod
    def take(self, start: int, stop: int, outs: Sequence[Array]) -> None:
        """Write the rows that stand from `start` to `stop` in the order, of each table to its array on the device."""


class Resident(Feed):
    """Tables where the steps are computed: batches are gathered from there."""

    def __init__(self, backend: Backend, tables: Sequence[Array]) -> None:
        self._backend, self.tables = backend, tuple(tables)

    def begin(self, order: np.ndarray) -> None:
        """Take over the order of an epoch."""
        self.order = self._backend.asarray(order, "int64")

    def take(self, start: int, stop: int, outs: Sequence[Array]) -> None:
        """Gather the rows."""
        index = self.order[..., start:stop]
        for table, out in zip(self.tables, outs, strict=True):
            self._backend.kernels.gather(table, index, out=out)
