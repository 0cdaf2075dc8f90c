"""ONNX picture classifiers as PyTorch modules, so that attacks can follow their gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from holdfast import limits
from holdfast.errors import DataError, UnsupportedError, WireError
from holdfast.models.onnx_graph import first_line
from holdfast.models.onnx_torch_operators import OPERATORS, unsupported

MAX_NODES: Final = 20_000
"""Nodes of a graph; the deepest of the field's networks have a few thousand."""
MAX_VALUES_PER_PICTURE: Final = 2**24
"""Numbers that one node may give for one picture; the widest layers of real networks have a fifth of it."""
FIRST_OPSET: Final = 13
"""From it on, axes and bounds are inputs, and Softmax is along one axis."""
_LINKS: Final = frozenset({"Softmax", "LogSoftmax"})
"""What the end of a network may do to its scores without changing their order; attacks need the scores themselves."""
_OF_SIZES: Final = frozenset({"ConstantOfShape", "Slice", "Concat", "Reshape", "Transpose", "Cast", "Gather", "Sub"})
"""Operators that exporters compute sizes with; computed at once where all their inputs are constants."""
_MAX_SIZES: Final = 1_000
"""Numbers in such a constant; sizes and paddings have fewer than 20."""
_DOMAINS: Final = ("", "ai.onnx")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Step:
    """One node: what it does, with what, and what its outcome is called."""

    operator: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any]


class OnnxNetwork(nn.Module):
    """The network of an ONNX file, differentiable in its input; a Softmax at its end is left out.

    Weights are buffers in single precision: they move with `to(device)` and are not trained. Every operator must be one
    of `holdfast.models.onnx_torch_operators.OPERATORS`. It runs nothing that the file contains but these.

    Args:
        onnx: the file's bytes; one input (n, channels, height, width) and one output (n, classes), opset 13 or later.

    Raises:
        WireError: not ONNX, larger than the bounds, or with weights in other files.
        UnsupportedError: an operator without a differentiable form here, or another number of inputs and outputs.
    """

    def __init__(self, onnx: bytes) -> None:
        super().__init__()
        graph = _read(onnx)
        self._names: dict[str, str] = {}
        for item in graph.initializer:
            self._keep(item.name, numpy_helper.to_array(item))
        inputs = [item.name for item in graph.input if item.name not in self._names]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise UnsupportedError(
                f"expected an ONNX network of one input and one output, got {len(inputs)} and {len(graph.output)}",
                hint="export the network alone",
            )
        self._input, self._output = inputs[0], graph.output[0].name
        self._steps: list[_Step] = []
        for node in graph.node:
            try:
                self._take(node)
            except (ValueError, TypeError, RuntimeError, IndexError, KeyError) as error:
                raise WireError(
                    f"the ONNX network has a {node.op_type} that cannot be read: {first_line(error)}"
                ) from None
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """(n, classes) scores of pictures as the file takes them, (n, channels, height, width).

        Raises:
            DataError: the network cannot be run on pictures of this shape.
        """
        values: dict[str, Tensor | None] = {name: self.get_buffer(held) for name, held in self._names.items()}
        values |= {"": None, self._input: x.to(torch.float32)}
        for step in self._steps:
            try:
                value = OPERATORS[step.operator]([values[name] for name in step.inputs], step.attributes)
            except (RuntimeError, ValueError, IndexError, KeyError) as error:
                raise DataError(
                    f"the ONNX network's {step.operator} cannot be run on pictures of shape {tuple(x.shape)}: "
                    f"{first_line(error)}"
                ) from None
            if value.numel() > MAX_VALUES_PER_PICTURE * max(len(x), 1):
                raise DataError(f"the ONNX network's {step.operator} gives {value.numel()} numbers, too many to hold")
            values[step.output] = value
        scores = values[self._output]
        if scores is None or scores.ndim != 2 or len(scores) != len(x):
            raise DataError(
                f"expected (n, classes) scores of {len(x)} pictures from the ONNX network, got another shape",
                hint="export it with an open number of rows (dynamic_axes)",
            )
        return scores

    def _keep(self, name: str, array: Any) -> None:
        """A constant as a buffer; its name in the file may have dots, which PyTorch does not allow."""
        kind = np.float32 if np.asarray(array).dtype.kind not in "iub" else None
        self._names[name] = f"constant_{len(self._names)}"
        self.register_buffer(self._names[name], torch.from_numpy(np.array(array, dtype=kind)))

    def _take(self, node: Any) -> None:
        """One node of the graph: a constant, one of sizes that are known already, or a step."""
        constants = {name: self.get_buffer(self._names[name]) for name in node.input if name in self._names}
        if node.op_type == "Constant":
            self._keep(node.output[0], _constant(node))
        elif node.op_type in _OF_SIZES and len(constants) == len(node.input) and _small(node, constants):
            self._keep(node.output[0], _folded(node, constants))
        else:
            self._steps.append(self._step(node))

    def _step(self, node: Any) -> _Step:
        last = node.output[0] == self._output
        operator = "Identity" if last and node.op_type in _LINKS else node.op_type
        if node.domain not in _DOMAINS or operator not in OPERATORS:
            raise unsupported(f"the operator {node.op_type}")
        attributes = {str(item.name): helper.get_attribute_value(item) for item in node.attribute}
        return _Step(operator=operator, inputs=tuple(node.input), output=node.output[0], attributes=attributes)


def _read(data: bytes) -> Any:
    if len(data) > limits.MAX_BUNDLE_BYTES:
        raise WireError(f"expected an ONNX model of at most {limits.MAX_BUNDLE_BYTES} bytes, got {len(data)}")
    try:
        model = onnx.load_model_from_string(data)
        onnx.checker.check_model(model)
    except Exception as error:  # noqa: BLE001 - protobuf and the checker raise types of their own
        raise WireError(f"expected an ONNX model, got bytes that are none: {first_line(error)}") from None
    tensors = [*model.graph.initializer, *(a.t for node in model.graph.node for a in node.attribute if a.HasField("t"))]
    if any(tensor.data_location != TensorProto.DEFAULT for tensor in tensors):
        raise WireError("the ONNX model reads weights from another file, expected all of it in one")
    opset = next((item.version for item in model.opset_import if item.domain in _DOMAINS), 0)
    if opset < FIRST_OPSET:
        raise UnsupportedError(
            f"expected an ONNX network of opset {FIRST_OPSET} or later, got {opset}",
            hint=f"onnx.version_converter.convert_version(model, {FIRST_OPSET}) makes it one",
        )
    if len(model.graph.node) > MAX_NODES:
        raise WireError(f"expected an ONNX network of at most {MAX_NODES} nodes, got {len(model.graph.node)}")
    return model.graph


def _constant(node: Any) -> Any:
    (attribute,) = node.attribute
    value = helper.get_attribute_value(attribute)
    if attribute.name == "value":
        return numpy_helper.to_array(value)
    if attribute.name not in ("value_float", "value_floats", "value_int", "value_ints"):
        raise unsupported(f"a Constant with the attribute {attribute.name}")
    return np.asarray(value)


def _small(node: Any, constants: Mapping[str, Tensor]) -> bool:
    """Whether what a node takes, and makes, is no larger than sizes are."""
    made = int(next(iter(constants.values())).prod()) if node.op_type == "ConstantOfShape" else 0
    return max(made, *(value.numel() for value in constants.values())) <= _MAX_SIZES


def _folded(node: Any, constants: Mapping[str, Tensor]) -> Any:
    """What a node on constants gives."""
    from onnx.reference import ReferenceEvaluator

    (result,) = ReferenceEvaluator(node).run(None, {name: value.numpy() for name, value in constants.items()})
    return result
