"""A network of core as ONNX nodes, layer by layer, as it predicts: without dropout, with running means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from core import BatchNorm, Dense, Dropout, Layer, LayerNorm, Maxout, Network, PRelu, Residual
from service.models.onnx_export.activations import ACTIVATIONS
from service.models.onnx_export.graph import Graph

Tensors = Mapping[str, np.ndarray]
Make = Callable[[Graph, Any, Tensors, str], str]


def add_network(graph: Graph, network: Network, x: str) -> str:
    """Add the nodes that compute `network`, in float32, from `x` of shape (rows, n_inputs); return its output's name.

    Raises:
        ValueError: for a layer that is none of core's.
    """
    tensors = {name: np.asarray(array, np.float32) for name, array in network.state_dict().items()}
    return _sequence(graph, network.layers, tensors, x)


def _sequence(graph: Graph, layers: Sequence[Layer[Any]], tensors: Tensors, x: str) -> str:
    """Add one layer after the other; each takes the places in PyTorch's `nn.Sequential` that its names count."""
    place = 0
    for layer in layers:
        if type(layer) not in LAYERS:
            raise ValueError(f"{layer!r} can't be written as ONNX; only deltabar's own layers can")
        prefix = f"{place}."
        own = {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}
        x = LAYERS[type(layer)](graph, layer, own, x)
        place += layer.places
    return x


def _dense(graph: Graph, layer: Dense, tensors: Tensors, x: str) -> str:
    bias = [graph.constant(tensors["bias"])] if layer.bias else []
    z = graph.add("Gemm", x, graph.constant(tensors["weight"]), *bias, transB=1)
    return ACTIVATIONS[layer.activation](graph, z)


def _batch_norm(graph: Graph, layer: BatchNorm, tensors: Tensors, x: str) -> str:
    names = ("weight", "bias", "running_mean", "running_var")
    constants = [graph.constant(tensors[name]) for name in names]
    return graph.add("BatchNormalization", x, *constants, epsilon=layer.epsilon)


def _layer_norm(graph: Graph, layer: LayerNorm, tensors: Tensors, x: str) -> str:
    constants = [graph.constant(tensors[name]) for name in ("weight", "bias")]
    return graph.add("LayerNormalization", x, *constants, axis=-1, epsilon=layer.epsilon)


def _prelu(graph: Graph, _: PRelu, tensors: Tensors, x: str) -> str:
    return graph.add("PRelu", x, graph.constant(tensors["weight"]))


def _maxout(graph: Graph, layer: Maxout, _: Tensors, x: str) -> str:
    # 0 keeps the rows; −1 is what is left: the groups.
    grouped = graph.add("Reshape", x, graph.constant(np.array([0, -1, layer.pieces], np.int64)))
    return graph.add("ReduceMax", grouped, graph.constant(np.array([-1], np.int64)), keepdims=0)


def _residual(graph: Graph, layer: Residual, tensors: Tensors, x: str) -> str:
    return graph.add("Add", x, _sequence(graph, layer.layers, tensors, x))


LAYERS: Mapping[type[Layer[Any]], Make] = {
    Dense: _dense,
    Dropout: lambda _graph, _layer, _tensors, x: x,
    BatchNorm: _batch_norm,
    LayerNorm: _layer_norm,
    PRelu: _prelu,
    Maxout: _maxout,
    Residual: _residual,
}
"""By the layer's class; a test fails where one is missing."""
