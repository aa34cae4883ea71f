"""Early stopping: training ends when a number no longer gets better, and the best weights come back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core import arguments
from core.metrics import METRICS
from core.record import Record

LOSSES = ("loss", "validation_loss")


@dataclass(frozen=True)
class EarlyStopping:
    """Ends training after `patience` epochs in a row without a better value of `monitor`.

    Only a number counts as better, never NaN. (Prechelt, "Early stopping — but when?", 1998, its criterion UP in the
    form that is usual today)

    Args:
        monitor: "validation_loss", "loss", or the name of one of the metrics of training.
        patience: epochs without a better value, at least 1.
        minimum_change: by how much a value must be better to count, at least 0.
        restore_best: whether the network ends with the weights of its best epoch, rather than of its last; also where
            training ends for another reason.
        higher_is_better: whether larger values are better; known for the losses and for the metrics of `core.metrics`.

    Raises:
        ValueError: for a value that isn't allowed; the message names it.

    >>> from core import Dense, Network, fit
    >>> x = np.linspace(-1, 1, 40)[:, None]
    >>> stopping = EarlyStopping(patience=3, minimum_change=1e-6)
    >>> options = {"epochs": 10_000, "validation": (x, x), "early_stopping": stopping}
    >>> curve = fit(Network(1, [Dense(1)]), x, x, loss="squared_error", **options)
    >>> len(curve) < 1000, stopping.best(curve).epoch == len(curve) - 3
    (True, True)
    """

    monitor: str = "validation_loss"
    patience: int = 10
    minimum_change: float = 0.0
    restore_best: bool = True
    higher_is_better: bool | None = None

    def __post_init__(self) -> None:
        arguments.integer("patience", self.patience, 1)
        if not 0 <= self.minimum_change < float("inf"):
            raise ValueError(f"minimum_change: {self.minimum_change!r} is not allowed; it must be ≥ 0 and finite")
        if self.higher_is_better is None:
            known = dict.fromkeys(LOSSES, False) | {name: each.higher_is_better for name, each in METRICS.items()}
            if self.monitor not in known:
                raise ValueError(
                    f"monitor: whether higher is better is known for {', '.join(known)} only; for {self.monitor!r} say "
                    "it with higher_is_better"
                )
            object.__setattr__(self, "higher_is_better", known[self.monitor])

    def value(self, record: Record) -> float:
        """Return what is monitored.

        Raises:
            ValueError: where the record has no such value.
        """
        found = {"loss": record.loss, "validation_loss": record.validation_loss, **record.metrics}
        if found.get(self.monitor) is None:
            there = ", ".join(name for name, value in found.items() if value is not None)
            raise ValueError(f"monitor: the training has no {self.monitor!r}; it has {there}")
        return float(found[self.monitor])

    def is_better(self, record: Record, best: Record | None) -> bool:
        """Return whether `record` counts as better than the best so far."""
        if best is None:
            return np.isfinite(self.value(record)).item()
        gain = self.value(record) - self.value(best)
        return (gain if self.higher_is_better else -gain) > self.minimum_change

    def best(self, curve: list[Record]) -> Record | None:
        """Return the record of a curve's best epoch; None where no value is a number."""
        best = None
        for record in curve:
            best = record if self.is_better(record, best) else best
        return best
