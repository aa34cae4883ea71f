"""onnxruntime computes what we do, for every activation and layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import core
from core.activations import ACTIVATIONS
from core.layers import LAYERS
from service.models.onnx_export import activations, network
from service.models.onnx_export.graph import Graph

FLOAT = onnx.TensorProto.FLOAT
TOLERANCE = 1e-5
INSTANCES: dict[str, list[core.Layer[Any]]] = {
    "dense": [core.Dense(6, "tanh"), core.Dense(3, bias=False)],
    "dropout": [core.Dense(6, "relu"), core.Dropout(0.5), core.Dense(3)],
    "batch_norm": [core.Dense(6), core.BatchNorm(), core.Dense(3)],
    "layer_norm": [core.Dense(6), core.LayerNorm(), core.Dense(3)],
    "prelu": [core.Dense(6), core.PRelu(), core.Dense(3)],
    "maxout": [core.Dense(6), core.Maxout(2), core.Dense(3)],
    "residual": [core.Dense(6), core.Residual([core.Dense(4, "silu"), core.BatchNorm(), core.Dense(6)]), core.Dense(3)],
}


def agree(trained: core.Network, x: np.ndarray) -> None:
    graph = Graph()
    entry = graph.input("x", FLOAT, trained.n_inputs)
    graph.output(network.add_network(graph, trained, entry), "y", FLOAT, trained.n_outputs)
    model = graph.model("", {})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": x.astype(np.float32)})
    expected = trained.predict(x)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=TOLERANCE, atol=TOLERANCE)


def trained(layers: list[core.Layer[Any]]) -> core.Network:
    """Some steps move what starts at 0 or 1: biases, running means, slopes."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(64, 5)), random.normal(size=(64, 3))
    found = core.Network(5, layers, backend=core.get_backend("numpy", compiled=False), seed=1)
    core.fit(found, x, y, loss="squared_error", epochs=5, batch_size=16, optimizer="sgd")
    return found


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation(name: str):
    x = np.concatenate([np.random.default_rng(2).normal(size=(50, 5)), np.full((1, 5), 4.0), np.full((1, 5), -9.0)])
    agree(core.Network(5, [core.Dense(7, name), core.Dense(3)], seed=3), x)
    agree(core.Network(5, [core.Dense(7, "tanh"), core.Dense(3, name)], seed=3), x)


@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer(kind: str):
    agree(trained(INSTANCES[kind]), np.random.default_rng(4).normal(size=(20, 5)))


def test_nothing_is_missing():
    assert set(activations.ACTIVATIONS) == set(ACTIVATIONS)
    assert set(network.LAYERS) == set(LAYERS.values())


def test_a_double_precision_network_is_rounded():
    double = core.Network(5, [core.Dense(7, "gelu"), core.Dense(3)], backend=core.get_backend("numpy", "float64"))
    agree(double, np.random.default_rng(5).normal(size=(20, 5)))


def test_a_layer_of_the_user_s_own_is_refused():
    class Own(core.Dense):
        pass

    graph = Graph()
    with pytest.raises(ValueError, match="can't be written as ONNX"):
        network.add_network(graph, core.Network(5, [Own(3)]), graph.input("x", FLOAT, 5))
