"""How well predictions fit: collected batch by batch, so that the outputs of all rows are never there at once."""

from __future__ import annotations

from typing import Any

import numpy as np

import core
from service.datasets.targets import LabelTarget, NumberTarget
from service.models.schemas import Confusion, Residuals

MOST_CLASSES = 100
"""Up to here there is a confusion matrix: it has the square of them."""
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
MOST_POINTS = 500


class LabelScores:
    """Scores of labels: accuracy and confusion matrix. A row whose outputs aren't finite has no label: it is wrong."""

    def __init__(self, target: LabelTarget) -> None:
        self._target = target
        n = len(target.classes)
        # One more column, for rows without a label.
        self._counts = np.zeros((n, n + 1), np.int64) if n <= MOST_CLASSES else None
        self._right = self._rows = 0

    def add(self, y: np.ndarray, outputs: np.ndarray) -> None:
        """Count some rows: what `LabelTarget.outputs_of` gives for them, and the network's outputs."""
        labels = y.reshape(-1).astype(np.int64)
        if outputs.shape[1] == 1:
            predicted = (outputs[:, 0] > (0.0 if self._target.margin else 0.5)).astype(np.int64)
        else:
            predicted = outputs.argmax(axis=1)
        predicted = np.where(np.isfinite(outputs).all(axis=1), predicted, len(self._target.classes))
        self._rows += len(labels)
        self._right += int(np.sum(labels == predicted))
        if self._counts is not None:
            np.add.at(self._counts, (labels, predicted), 1)

    def result(self) -> dict[str, Any]:
        """Return the fields of an `Evaluation`."""
        confusion = None
        if self._counts is not None:
            confusion = Confusion(classes=self._target.classes, counts=self._counts[:, :-1].tolist())
        return {"metrics": {"accuracy": self._right / self._rows}, "confusion": confusion}


class NumberScores:
    """Scores of numbers, in the target's own unit: rmse, mae, r2 and the residuals; null where one isn't finite."""

    def __init__(self, target: NumberTarget) -> None:
        self._target = target
        self._y: list[np.ndarray] = []
        self._predicted: list[np.ndarray] = []

    def add(self, y: np.ndarray, outputs: np.ndarray) -> None:
        """Keep some rows: what `NumberTarget.outputs_of` gives for them, and the network's outputs."""
        for kept, values in ((self._y, y), (self._predicted, outputs)):
            kept.append(values[:, :1].astype(np.float64) * self._target.standard_deviation + self._target.mean)

    def result(self) -> dict[str, Any]:
        """Return the fields of an `Evaluation`."""
        y, predicted = np.concatenate(self._y), np.concatenate(self._predicted)
        with np.errstate(over="ignore", invalid="ignore"):
            values = {metric: core.metrics.METRICS[metric](y, predicted) for metric in ("rmse", "mae", "r2")}
            residuals = (predicted - y)[:, 0]
        metrics = {name: value if np.isfinite(value) else None for name, value in values.items()}
        if not np.isfinite(residuals).all():
            return {"metrics": metrics, "residuals": None}
        quantiles = {
            f"{q:g}": float(value) for q, value in zip(QUANTILES, np.quantile(residuals, QUANTILES), strict=True)
        }
        points = _points(predicted[:, 0], residuals)
        found = Residuals(mean=float(residuals.mean()), quantiles=quantiles, points=points)
        return {"metrics": metrics, "residuals": found}


def _points(predicted: np.ndarray, residuals: np.ndarray) -> list[tuple[float, float]]:
    """Return what a plot of the residuals needs: the same for the same rows, and with the worst of them in it."""
    order = np.argsort(residuals, kind="stable")
    some = order[np.linspace(0, len(order) - 1, min(len(order), MOST_POINTS)).astype(np.int64)]
    return [
        (float(f"{x:.6g}"), float(f"{y:.6g}"))
        for x, y in zip(predicted[some].tolist(), residuals[some].tolist(), strict=True)
    ]


def scores_of(target: LabelTarget | NumberTarget) -> LabelScores | NumberScores:
    """Return the scores that go with a target, of no rows yet."""
    return LabelScores(target) if isinstance(target, LabelTarget) else NumberScores(target)
