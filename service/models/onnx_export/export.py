"""A model as one ONNX file, from raw columns to labels and probabilities, or to numbers in the target's own unit."""

from __future__ import annotations

import numpy as np
import onnx

from service.datasets.targets import LabelTarget, NumberTarget
from service.models.onnx_export.graph import Graph
from service.models.onnx_export.network import add_network
from service.models.onnx_export.preprocessing import DOUBLE, FLOAT, ML, STRING, add_preprocessing
from service.models.predictor import Predictor

MOST_PARAMETERS = 2**29 - 2**20
"""An ONNX file is one message of Protocol Buffers, which ends before 2 GiB; a parameter takes four bytes of it."""


def to_onnx(predictor: Predictor, metadata: dict[str, str]) -> bytes:
    """Return the ONNX file of a model; for its inputs see `preprocessing`.

    Outputs, for each row: `label`, a string, and `probabilities`, float32 in the order of the metadata's `classes`; or
    `value`, float64. A model trained with the hinge loss gives `margin` in place of probabilities. Where a column has
    the name of an output, the output's has an underscore behind it: `label_`.

    Raises:
        ValueError: the model can't be written as ONNX, such as one of 2 GiB and more.
    """
    encoding = predictor.encoding
    if (parameters := predictor.network.n_parameters) > MOST_PARAMETERS:
        raise ValueError(
            f"an ONNX file holds up to {MOST_PARAMETERS} weights and biases, and the model has {parameters}"
        )
    graph, target = Graph(feature.name for feature in encoding.features), encoding.target
    outputs = add_network(graph, predictor.network, add_preprocessing(graph, encoding))
    if isinstance(target, NumberTarget):
        _number(graph, target, outputs)
    elif target.margin:
        _margin(graph, target, outputs)
    else:
        _labels(graph, target, outputs, predictor.network.n_outputs)
    about = {"target": target.name, **metadata}
    try:
        return graph.model(f"Predicts {target.name}. Made by deltabar.", about).SerializeToString()
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ValueError(f"the model can't be written as ONNX: {error}") from error


def _number(graph: Graph, target: NumberTarget, outputs: str) -> None:
    z = graph.add("Cast", outputs, to=DOUBLE)
    in_units = graph.add("Mul", z, graph.constant(np.array(target.standard_deviation)))
    value = graph.add("Add", in_units, graph.constant(np.array(target.mean)))
    graph.output(graph.add("Squeeze", value, graph.constant(np.array([1]))), "value", DOUBLE, None)


def _labels(graph: Graph, target: LabelTarget, outputs: str, n_outputs: int) -> None:
    if n_outputs == 1:  # the probability of the second class
        outputs = graph.add("Concat", graph.add("Sub", graph.number(1.0), outputs), outputs, axis=1)
    index = graph.add("ArgMax", outputs, axis=1, keepdims=0)
    graph.output(_label_of(graph, target, index), "label", STRING, None)
    graph.output(outputs, "probabilities", FLOAT, len(target.classes))


def _margin(graph: Graph, target: LabelTarget, outputs: str) -> None:
    margin = graph.add("Squeeze", outputs, graph.constant(np.array([1])))
    index = graph.add("Cast", graph.add("Greater", margin, graph.number(0.0)), to=onnx.TensorProto.INT64)
    graph.output(_label_of(graph, target, index), "label", STRING, None)
    graph.output(margin, "margin", FLOAT, None)


def _label_of(graph: Graph, target: LabelTarget, index: str) -> str:
    keys = list(range(len(target.classes)))
    return graph.add("LabelEncoder", index, domain=ML, keys_int64s=keys, values_strings=target.classes)
