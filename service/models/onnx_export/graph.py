"""An ONNX graph under construction: nodes and constants, with names that are made as needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET = 18
"""Old enough for most runtimes; new enough for LayerNormalization (17)."""
IR_VERSION = 8


class Graph:
    """Nodes in the order in which they are added, which is one in which they can be computed.

    Args:
        inputs: the names of the inputs to come, which no other value is given: users choose them, as names of columns.
    """

    def __init__(self, inputs: Iterable[str] = ()) -> None:
        self._taken = set(inputs)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, type: int, width: int) -> str:
        """Declare an input of shape (rows, width) and return its name."""
        self._inputs.append(helper.make_tensor_value_info(name, type, ["rows", width]))
        return name

    def output(self, value: str, name: str, type: int, width: int | None) -> None:
        """Give out `value` as the output `name`, of shape (rows, width), or (rows,) where `width` is None.

        Where an input has this name, the output's has an underscore behind it.
        """
        name = self._free(name)
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        shape = ["rows"] if width is None else ["rows", width]
        self._outputs.append(helper.make_tensor_value_info(name, type, shape))

    def constant(self, value: np.ndarray) -> str:
        """Return the name of a constant."""
        name = self._free(f"constant_{len(self._constants)}")
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def number(self, value: float) -> str:
        """Return the name of a float32 constant."""
        return self.constant(np.array(value, np.float32))

    def add(self, operation: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and return that output's name."""
        name = self._free(f"{operation.lower()}_{len(self._nodes)}")
        self._nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name

    def _free(self, name: str) -> str:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def model(self, description: str, metadata: dict[str, str]) -> onnx.ModelProto:
        """Return the whole, checked."""
        graph = helper.make_graph(self._nodes, "deltabar", self._inputs, self._outputs, self._constants)
        domains = {node.domain for node in self._nodes} - {""}
        opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(domain, 3) for domain in sorted(domains))]
        model = helper.make_model(graph, producer_name="deltabar", opset_imports=opsets, ir_version=IR_VERSION)
        model.doc_string = description
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        return model
