"""The best epoch of a job so far: what lists show of a job that is still running.

The worker that writes a job's epochs keeps it, and each event of metrics tells it. To look for it afterwards would take
all epochs of the curve, of which there may be a million.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import select

from service.db import Database
from service.tables import Event

BETTER = {"accuracy": 1, "rmse": -1, "loss": -1}
"""What a job is told by in a word, the first that its epochs have; 1 where more of it is better, -1 where less is."""


class Best:
    """The best of the epochs that it has seen, by the first quantity of `BETTER` that they have.

    Args:
        told: the best of the epochs before, as `told` was then; None where there are none.

    >>> best = Best()
    >>> best.see(("epoch", "loss", "accuracy"), np.array([[1, 0.5, 0.8], [2, 0.4, 0.7]]))
    >>> best.told
    {'name': 'accuracy', 'value': 0.8, 'epoch': 1}
    """

    def __init__(self, told: dict[str, Any] | None = None) -> None:
        self.told = told

    def see(self, names: Sequence[str], numbers: np.ndarray) -> None:
        """Take more epochs into account, as `epochs.unpack` gives them; NaN is never best."""
        name = next(name for name in BETTER if name in names)
        values = numbers[:, names.index(name)]
        if np.isnan(values).all():
            return
        row = int(np.nanargmax(BETTER[name] * values))  # the first of equals
        if self.told is None or BETTER[name] * values[row] > BETTER[name] * self.told["value"]:
            epoch = int(numbers[row, names.index("epoch")])
            self.told = {"name": name, "value": float(values[row]), "epoch": epoch}


def best_before(database: Database, job_id: str) -> Best:
    """Return the best epoch of the job's earlier attempts.

    An attempt that goes on from a checkpoint takes some epochs again, and they come out the same.
    """
    query = select(Event.data).where(Event.job_id == job_id, Event.kind == "metrics").order_by(Event.sequence.desc())
    with database.read() as session:
        last = session.scalars(query.limit(1)).first()
    return Best(last.get("best") if last else None)
