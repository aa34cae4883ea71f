"""From a resolved spec to the objects of `core`: the device, the layers, what is measured, what counts how much."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Literal

import numpy as np

import core
from service.datasets.encoding import Encoding
from service.datasets.targets import LabelTarget, NumberTarget
from service.jobs.schemas import Spec
from service.training.cannot_train import CannotTrain
from service.training.samples import Part

Metric = Callable[[np.ndarray, np.ndarray], float]


def backend_for(spec: Spec, device: str) -> core.Backend:
    """Return where to compute; `device` is the worker's for jobs that don't name one.

    Raises:
        CannotTrain: when the device that the job names can't be used.
    """
    given = spec.device == "auto" or (spec.device == "cuda" and device.startswith("cuda"))
    wanted = device if given else spec.device
    try:
        return core.get_backend(wanted.replace("cpu", "numpy").replace("cuda", "cupy"), dtype=spec.dtype)
    except core.BackendError as error:
        if spec.device == "auto":
            return core.get_backend("numpy", dtype=spec.dtype)
        raise CannotTrain("device_unavailable", f"device {spec.device!r} can't be used: {error}") from error


def warm_up(device: str) -> None:
    """Make ready for the first job on `device`: Numba takes longer to import than a small job to train."""
    backend = core.get_backend("numpy")
    if device.startswith("cuda"):
        with contextlib.suppress(core.BackendError):  # each job that needs it will say so
            backend = core.get_backend(device.replace("cuda", "cupy"))
    backend.for_training()


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
