"""Layers: one a file. A new one is added to `LAYERS`, and the layers' tests then run on it."""

from __future__ import annotations

from typing import Any

from core.layers.batch_norm import BatchNorm
from core.layers.dense import Dense
from core.layers.dropout import Dropout
from core.layers.layer import Layer, Memory, Passing
from core.layers.layer_norm import LayerNorm
from core.layers.maxout import Maxout
from core.layers.prelu import PRelu
from core.layers.residual import Residual

LAYERS: dict[str, type[Layer[Any]]] = {
    layer.kind: layer for layer in (Dense, PRelu, Maxout, Dropout, LayerNorm, BatchNorm, Residual)
}
"""Every layer's class by its name."""


def from_data(data: dict[str, Any]) -> Layer[Any]:
    """Return the layer whose `as_data` gave `data`.

    >>> from_data(Dense(3, "tanh").as_data())
    Dense(units=3, activation='tanh', bias=True, initializer='glorot_uniform')
    """
    choices = dict(data)
    return LAYERS[choices.pop("kind")].of_data(choices)


__all__ = [
    "LAYERS",
    "BatchNorm",
    "Dense",
    "Dropout",
    "Layer",
    "LayerNorm",
    "Maxout",
    "Memory",
    "PRelu",
    "Passing",
    "Residual",
    "from_data",
]
