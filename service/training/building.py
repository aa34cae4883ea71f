"""From a resolved spec to the objects of `core`: what is measured, and what counts how much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

import core
from service.datasets.encoding import Encoding
from service.datasets.targets import LabelTarget, NumberTarget
from service.jobs.schemas import Spec
from service.training.samples import Part

Metric = Callable[[np.ndarray, np.ndarray], float]


def class_weight_of(spec: Spec, encoding: Encoding, y: np.ndarray) -> dict[int, float] | Literal["balanced"] | None:
    """Return what each class counts, by its index, of those that are among the training targets `y`."""
    if not isinstance(spec.class_weight, dict):
        return spec.class_weight
    assert isinstance(encoding.target, LabelTarget), "resolved for classes only"
    there = set(y.ravel().astype(np.int64).tolist())  # a rare class may be in none of the rows drawn for training
    weights = {index: spec.class_weight.get(label, 1.0) for index, label in enumerate(encoding.target.classes)}
    return {index: weight for index, weight in weights.items() if index in there}


def metrics_of(encoding: Encoding) -> dict[str, Metric]:
    """Return what is measured on the validation rows, by name, in the target's own unit."""
    target = encoding.target
    if not isinstance(target, NumberTarget):
        return {"accuracy": _accuracy_of_margins if target.margin else core.metrics.accuracy}

    def in_own_unit(metric: Metric) -> Metric:
        def measure(y: np.ndarray, prediction: np.ndarray) -> float:
            return metric(*(target.mean + target.standard_deviation * z.astype(np.float64) for z in (y, prediction)))

        return measure

    names = {"rmse": core.metrics.rmse, "mae": core.metrics.mae, "r2": core.metrics.r2}
    return {name: in_own_unit(metric) for name, metric in names.items()}


def measured(encoding: Encoding, network: core.Network, part: Part) -> dict[str, float]:
    """Return what `network` comes to on some rows, by the names of `metrics_of`."""
    outputs = network.predict(part.x)
    return {name: float(metric(part.y, outputs)) for name, metric in metrics_of(encoding).items()}


def _accuracy_of_margins(y: np.ndarray, outputs: np.ndarray) -> float:
    return core.metrics.accuracy(y, outputs > 0)
