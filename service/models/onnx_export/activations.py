"""Each activation of core as ONNX nodes: the same formula, in float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from core.activations import gelu_tanh, leaky_relu, selu
from service.models.onnx_export.graph import Graph

Make = Callable[[Graph, str], str]


def _node(operation: str, **attributes: float) -> Make:
    return lambda graph, z: graph.add(operation, z, **attributes)


def _gelu(graph: Graph, z: str) -> str:
    """z Φ(z), with Φ(z) = (1 + erf(z/√2))/2."""
    erf = graph.add("Erf", graph.add("Mul", z, graph.number(1 / math.sqrt(2))))
    share = graph.add("Mul", graph.add("Add", erf, graph.number(1)), graph.number(0.5))
    return graph.add("Mul", z, share)


def _gelu_tanh(graph: Graph, z: str) -> str:
    """z σ(v), with v = 2√(2/π) (z + 0.044715 z³)."""
    cubic = graph.add("Mul", graph.add("Mul", z, z), graph.number(gelu_tanh.CUBIC))
    v = graph.add("Mul", graph.add("Mul", z, graph.add("Add", cubic, graph.number(1))), graph.number(gelu_tanh.TWICE))
    return graph.add("Mul", z, graph.add("Sigmoid", v))


def _silu(graph: Graph, z: str) -> str:
    """z σ(z)."""
    return graph.add("Mul", z, graph.add("Sigmoid", z))


def _mish(graph: Graph, z: str) -> str:
    """z tanh(softplus(z))."""
    return graph.add("Mul", z, graph.add("Tanh", graph.add("Softplus", z)))


def _hard_tanh(graph: Graph, z: str) -> str:
    return graph.add("Clip", z, graph.number(-1), graph.number(1))


ACTIVATIONS: Mapping[str, Make] = {
    "identity": lambda _, z: z,
    "sigmoid": _node("Sigmoid"),
    "tanh": _node("Tanh"),
    "hard_tanh": _hard_tanh,
    "softsign": _node("Softsign"),
    "relu": _node("Relu"),
    "leaky_relu": _node("LeakyRelu", alpha=leaky_relu.SLOPE),
    "elu": _node("Elu", alpha=1.0),
    "selu": _node("Selu", alpha=selu.ALPHA, gamma=selu.SCALE),
    "softplus": _node("Softplus"),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": _silu,
    "mish": _mish,
    "exp": _node("Exp"),
    "softmax": _node("Softmax", axis=-1),
}
"""By the activation's name in core; a test fails where one is missing."""
