"""ONNX graphs as files have them: read with care, cut to their scores, and run by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, shape_inference

from holdfast.errors import UnsupportedError, WireError
from holdfast.private_inference.networks.values import Vector

FINAL_LINKS: Final = MappingProxyType({"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "logistic"})
"""Operators that may end a network; the client computes them in the clear."""


def load_graph(data: bytes) -> Any:
    """The model of an ONNX file.

    Raises:
        WireError: it is none, or reads other files.
    """
    try:
        model = onnx.load_model_from_string(data)
        onnx.checker.check_model(model)
    except Exception as error:  # noqa: BLE001 - protobuf and the checker raise types of their own
        first = (str(error).splitlines() or [""])[0][:200]
        raise WireError(f"expected an ONNX model, got bytes that are none: {first}") from None
    tensors = [*model.graph.initializer, *(a.t for node in model.graph.node for a in node.attribute if a.HasField("t"))]
    if any(tensor.data_location != TensorProto.DEFAULT for tensor in tensors):
        raise WireError("the ONNX model reads weights from another file, expected all of it in one")
    return shape_inference.infer_shapes(model)


def input_shape(model: Any) -> tuple[int, ...]:
    """The shape of the graph's one input without its rows' axis.

    Raises:
        UnsupportedError: there is not one input, or its shape is open.
    """
    constants = {item.name for item in model.graph.initializer}
    inputs = [item for item in model.graph.input if item.name not in constants]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise UnsupportedError(
            f"expected an ONNX network of one input and one output, got {len(inputs)} and {len(model.graph.output)}",
            hint="export the network alone",
        )
    sizes = tuple(axis.dim_value for axis in inputs[0].type.tensor_type.shape.dim)[1:]
    if not sizes or min(sizes) < 1:
        raise UnsupportedError("expected an ONNX input with a fixed shape behind the rows, got an open one")
    return sizes


def without_link(model: Any) -> tuple[Any, str | None]:
    """The model up to its scores, and the link that a final Softmax or Sigmoid was."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    makers = {name: node for node in result.graph.node for name in node.output}
    last = makers.get(result.graph.output[0].name)
    if last is None or last.op_type not in FINAL_LINKS:
        return result, None
    kept = [node for node in result.graph.node if node is not last]
    del result.graph.node[:], result.graph.output[:]
    result.graph.node.extend(kept)
    result.graph.output.append(onnx.ValueInfoProto(name=last.input[0]))
    return result, FINAL_LINKS[last.op_type]


def graph_scores(model: Any, shape: tuple[int, ...]) -> Callable[[NDArray[Any]], Vector]:
    """The graph itself, run by onnxruntime, as a function of rows (rows, …).

    Raises:
        UnsupportedError: onnxruntime cannot run it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - onnxruntime raises types of its own
        first = (str(error).splitlines() or [""])[0][:200]
        raise UnsupportedError(
            f"expected an ONNX network that onnxruntime runs, got one that it refuses: {first}"
        ) from None
    (source,) = session.get_inputs()
    dtype = np.float64 if source.type == "tensor(double)" else np.float32
    at_once = source.shape[0] if isinstance(source.shape[0], int) else None

    def scores(X: NDArray[Any]) -> Vector:
        rows = np.ascontiguousarray(np.asarray(X).reshape(len(X), *shape), dtype=dtype)
        step = at_once or max(len(rows), 1)
        filled = np.concatenate([rows, np.repeat(rows[-1:], -len(rows) % step, axis=0)])
        parts = [session.run(None, {source.name: filled[i : i + step]})[0] for i in range(0, len(filled), step)]
        return np.concatenate(parts).reshape(len(filled), -1)[: len(rows)].astype(np.float64)

    return scores
