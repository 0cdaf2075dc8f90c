"""Small ONNX graphs for the tests of the reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def graph_bytes(nodes: Sequence[Any], constants: Mapping[str, Any], shape: Sequence[int]) -> bytes:
    """An ONNX file from `x` (rows, *shape) to `y`; images are in single precision, as onnxruntime has no other."""
    dtype, kind = (np.float32, TensorProto.FLOAT) if len(shape) == 3 else (np.float64, TensorProto.DOUBLE)
    inputs = [helper.make_tensor_value_info("x", kind, ["rows", *shape])]
    outputs = [helper.make_tensor_value_info("y", kind, ["rows", "outputs"])]
    arrays = {name: np.asarray(value) for name, value in constants.items()}
    arrays = {name: a.astype(dtype) if a.dtype == np.float64 else a for name, a in arrays.items()}
    tensors = [numpy_helper.from_array(array, name=name) for name, array in arrays.items()]
    graph = helper.make_graph(list(nodes), "test", inputs, outputs, initializer=tensors)
    opsets = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(graph, ir_version=10, opset_imports=opsets).SerializeToString())


def node(operator: str, inputs: str, output: str, **attributes: Any) -> Any:
    """A node; its inputs are separated by spaces."""
    return helper.make_node(operator, inputs.split(), [output], **attributes)
