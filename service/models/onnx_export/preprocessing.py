"""The encoding of a table as ONNX nodes, so that a runtime takes the raw columns.

Each column is an input of shape (rows, 1) under its own name: a number as float64, NaN where it is missing; a date as
float64 too, in seconds since 1970; a text, a label or a boolean ("true", "false") as a string, "" where it is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx

from service.datasets.encoding import Encoding
from service.datasets.features import CYCLES, CategoricalFeature, DateFeature, NumericFeature
from service.datasets.scaling import FARTHEST
from service.models.onnx_export.graph import Graph

DOUBLE, FLOAT, STRING = onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT, onnx.TensorProto.STRING
ML = "ai.onnx.ml"
MISSING = ""
"""How a missing text comes; no category is empty."""


def add_preprocessing(graph: Graph, encoding: Encoding) -> str:
    """Add an input for each column and the nodes that encode it; return the name of the network's inputs, float32."""
    blocks = [FEATURES[type(feature)](graph, feature) for feature in encoding.features]
    return graph.add("Cast", graph.add("Concat", *blocks, axis=1), to=FLOAT)


def _number(graph: Graph, value: float) -> str:
    return graph.constant(np.array(value, np.float64))


def _scaled(graph: Graph, x: str, missing: str, feature: NumericFeature | DateFeature) -> str:
    apart = graph.add("Sub", x, _number(graph, feature.center))
    inside = graph.add("Div", apart, _number(graph, feature.scale))
    clipped = graph.add("Clip", inside, _number(graph, -FARTHEST), _number(graph, FARTHEST))
    return graph.add("Where", missing, _number(graph, 0.0), clipped)


def _numeric(graph: Graph, feature: NumericFeature) -> str:
    x = graph.input(feature.name, DOUBLE, 1)
    missing = graph.add("IsNaN", x)
    blocks = [_scaled(graph, x, missing, feature)]
    return _joined(graph, blocks, missing, feature)


def _date(graph: Graph, feature: DateFeature) -> str:
    x = graph.input(feature.name, DOUBLE, 1)
    missing = graph.add("IsNaN", x)
    known = graph.add("Where", missing, _number(graph, 0.0), x)
    blocks = [_scaled(graph, x, missing, feature)]
    for cycle in feature.cycles:
        turns = graph.add("Div", known, _number(graph, CYCLES[cycle]))
        part = graph.add("Sub", turns, graph.add("Floor", turns))
        # Only sine and cosine of float32 are sure to be there; by now the number is from 0 to 1.
        angle = graph.add("Cast", graph.add("Mul", part, _number(graph, 2 * math.pi)), to=FLOAT)
        for function in ("Sin", "Cos"):
            value = graph.add("Cast", graph.add(function, angle), to=DOUBLE)
            blocks.append(graph.add("Where", missing, _number(graph, 0.0), value))
    return _joined(graph, blocks, missing, feature)


def _joined(graph: Graph, blocks: list[str], missing: str, feature: NumericFeature | DateFeature) -> str:
    if feature.missing_indicator:
        blocks = [*blocks, graph.add("Cast", missing, to=DOUBLE)]
    return graph.add("Concat", *blocks, axis=1) if len(blocks) > 1 else blocks[0]


def _categorical(graph: Graph, feature: CategoricalFeature) -> str:
    x = graph.input(feature.name, STRING, 1)
    keys = [MISSING if category is None else category for category in feature.categories]
    indices = list(range(len(keys)))
    default = len(keys) if feature.other else -1
    if feature.other and None not in feature.categories:  # a missing value is not another category
        keys, indices = [*keys, MISSING], [*indices, -1]
    index = graph.add(*("LabelEncoder", x), domain=ML, keys_strings=keys, values_int64s=indices, default_int64=default)
    places = graph.constant(np.arange(feature.n_inputs))
    return graph.add("Cast", graph.add("Equal", index, places), to=DOUBLE)


FEATURES: Mapping[type, Callable[[Graph, Any], str]] = {
    NumericFeature: _numeric,
    CategoricalFeature: _categorical,
    DateFeature: _date,
}
