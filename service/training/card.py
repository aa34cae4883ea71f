"""What is told of a model: by its row, the API's model without its identity; and by the card beside its weights."""

from __future__ import annotations

import platform
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
from pydantic import BaseModel

import core
from service.datasets.encoding import Encoding
from service.datasets.targets import LabelTarget, NumberTarget
from service.jobs.schemas import Spec
from service.models.scores import scores_of
from service.training.certificate import certify
from service.training.notes import Notes
from service.training.samples import Part, Samples

MOST_ROWS = 10_000
"""Of the training rows, for their scores: a job of one epoch on many isn't to take much longer for them."""


def card_of(spec: Spec, encoding: Encoding, network: core.Network, result: dict[str, Any]) -> dict[str, Any]:
    """Return the card of a model that `spec` led to, as JSON has it."""
    target = encoding.target
    return {
        "task": spec.task,
        "target": spec.target,
        "classes": None if isinstance(target, NumberTarget) else target.classes,
        "features": [{"name": feature.name, "kind": feature.kind} for feature in encoding.features],
        "network": {
            "n_inputs": network.n_inputs,
            "layers": [layer.model_dump() for layer in [*spec.network.layers, spec.output]],
        },
        "metrics": result["metrics"],
        "test_metrics": result["test_metrics"],
        "n_parameters": network.n_parameters,
    }


def history_of(
    spec: Spec, samples: Samples, network: core.Network, result: dict[str, Any], notes: Notes
) -> dict[str, Any]:
    """Return what the file of the card has besides: how the model came to be. No times, so that it is reproducible."""
    target = samples.encoding.target
    losses = {"train": result["loss"], "validation": result["validation_loss"], "test": result["test_loss"]}
    parts = {"train": _some(samples.train), "validation": samples.validation, "test": samples.test}
    first, last = notes.first_certificate, certify(spec, network, samples.train, result["epoch"])
    if first and result["epoch"] == first["epoch"]:  # early stopping has gone back to it
        first = None
    return {
        "spec": spec.model_dump(mode="json"),
        "epoch": result["epoch"],
        "device": result["device"],
        "data": notes.data,
        "scores": {
            name: {"rows": len(part), "loss": losses[name], **_scores(target, network, part)}
            for name, part in parts.items()
            if part
        },
        "certificates": [each for each in (first, last) if each],
        "versions": _versions(result["device"]),
        "lineage": notes.lineage,
    }


def _some(part: Part) -> Part:
    if len(part) <= MOST_ROWS:
        return part
    rows = np.linspace(0, len(part) - 1, MOST_ROWS).astype(np.int64)
    return Part(part.x[rows], part.y[rows])


def _scores(target: LabelTarget | NumberTarget, network: core.Network, part: Part) -> dict[str, Any]:
    scores = scores_of(target)
    scores.add(part.y, network.predict(part.x))
    found = scores.result()
    return {name: value.model_dump() if isinstance(value, BaseModel) else value for name, value in found.items()}


@cache
def _versions(device: str) -> dict[str, str]:
    found = {"python": platform.python_version(), **{name: version(name) for name in ("deltabar", "numpy", "numba")}}
    if device != "cpu":
        found["cupy"] = import_module("cupy").__version__  # its distribution is named after the version of CUDA
    return found
