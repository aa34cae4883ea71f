"""What a model's row tells of it: the API's model, without its identity."""

from __future__ import annotations

from typing import Any

import core
from service.datasets.encoding import Encoding
from service.datasets.targets import NumberTarget
from service.jobs.schemas import Spec


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
