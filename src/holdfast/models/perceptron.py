"""Multilayer perceptrons as ONNX, in double precision."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import helper, numpy_helper

from holdfast.data import Matrix, Schema
from holdfast.models.encoding import Encoding
from holdfast.models.onnx_graph import ENCODED, OUTPUT, encoding_nodes, to_bytes
from holdfast.models.onnx_model import OnnxModel


def perceptron(schema: Schema, layers: Sequence[tuple[Matrix, Matrix]]) -> OnnxModel:
    """A classifier of linear layers with ReLU between them and a softmax behind.

    Args:
        schema: of the rows.
        layers: (outputs, inputs) weights and (outputs,) biases of each layer; the first takes the encoded columns, the
            last has an output for each class.
    """
    nodes, constants = encoding_nodes(Encoding(schema))
    values = ENCODED
    for number, (weight, bias) in enumerate(layers):
        names = [f"weight {number}", f"bias {number}"]
        constants += [numpy_helper.from_array(a, name=name) for a, name in zip((weight, bias), names, strict=True)]
        nodes.append(helper.make_node("Gemm", [values, *names], [f"layer {number}"], transB=1))
        values = f"layer {number}"
        if number < len(layers) - 1:
            nodes.append(helper.make_node("Relu", [values], [f"active {number}"]))
            values = f"active {number}"
    nodes.append(helper.make_node("Softmax", [values], [OUTPUT], axis=1))
    return OnnxModel(to_bytes(nodes, constants, schema, kind="perceptron"))
