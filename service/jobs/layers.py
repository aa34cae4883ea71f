"""The layers of `core` that a resolved spec stands for."""

from __future__ import annotations

from typing import Any

import core
from service.jobs.choices import NORMALIZATION
from service.jobs.schemas import Spec


def layers_of(spec: Spec) -> list[core.Layer[Any]]:
    """Return the layers of the job's network, the output layer too."""
    layers: list[core.Layer[Any]] = []
    for layer in spec.network.layers:
        layers.append(core.Dense(layer.units, layer.activation))
        if layer.normalization:
            layers.append(NORMALIZATION.make(layer.normalization))
        if layer.dropout:
            layers.append(core.Dropout(layer.dropout))
    return [*layers, core.Dense(spec.output.units, spec.output.activation)]
