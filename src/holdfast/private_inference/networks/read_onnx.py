"""ONNX graphs, node by node, to values of a trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from holdfast.errors import UsageError
from holdfast.private_inference.networks import layers
from holdfast.private_inference.networks.layers import Operand, unsupported
from holdfast.private_inference.networks.operators import Geometry
from holdfast.private_inference.networks.trace import Trace
from holdfast.private_inference.networks.values import Value

_Attributes = Mapping[str, Any]
_Plain = Callable[..., Value]
_WithAttributes = Callable[[Trace, Sequence[Any], _Attributes], Value]

_DOMAINS: Final = ("", "ai.onnx")
_FOLDED: Final = frozenset(
    {
        *("Add", "Sub", "Mul", "Div", "Neg", "Sqrt", "Reciprocal", "Pow", "Cast", "Concat", "Gather", "Slice"),
        *("Squeeze", "Unsqueeze", "Reshape", "Transpose"),
    }
)
"""Operators computed at once where all their inputs are constants."""


def trace_onnx(model: Any, trace: Trace, source: Value) -> Value:
    """Read a graph from its input to its output.

    Raises:
        UnsupportedError: an operator cannot be computed under encryption; it is named.
    """
    values: dict[str, Any] = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    (name,) = [item.name for item in model.graph.input if item.name not in values]
    values[name] = source
    for node in model.graph.node:
        attributes = {str(item.name): helper.get_attribute_value(item) for item in node.attribute}
        inputs = [values[key] if key else None for key in node.input]
        values[node.output[0]] = _computed(trace, node, inputs, attributes)
    output = values[model.graph.output[0].name]
    if not isinstance(output, Value):
        raise UsageError("expected an ONNX network whose output depends on its input")
    return output


def _computed(trace: Trace, node: Any, inputs: Sequence[Any], attributes: _Attributes) -> Operand:
    if node.op_type == "Constant" and "value" in attributes:
        return numpy_helper.to_array(attributes["value"])
    if node.op_type == "Constant" and len(attributes) == 1:
        return np.asarray(next(iter(attributes.values())))
    if node.op_type == "Shape" and isinstance(inputs[0], Value):
        return np.array([1, *inputs[0].shape], dtype=np.int64)
    if not any(isinstance(item, Value) for item in inputs):
        return _folded(node, inputs)
    if node.op_type in _PLAIN and node.domain in _DOMAINS:
        return _PLAIN[node.op_type](trace, *inputs)
    if node.op_type in _WITH_ATTRIBUTES and node.domain in _DOMAINS:
        return _WITH_ATTRIBUTES[node.op_type](trace, inputs, attributes)
    raise unsupported(node.op_type)


def _folded(node: Any, inputs: Sequence[Any]) -> NDArray[Any]:
    from onnx.reference import ReferenceEvaluator

    if node.op_type not in _FOLDED:
        raise unsupported(node.op_type)
    feeds = {name: value for name, value in zip(node.input, inputs, strict=True) if name}
    (result, *_) = ReferenceEvaluator(node).run(None, feeds)
    return np.asarray(result)


def _gemm(trace: Trace, inputs: Sequence[Any], attributes: _Attributes) -> Value:
    value, weights, *rest = inputs
    if not isinstance(value, Value) or isinstance(weights, Value) or attributes.get("transA"):
        raise unsupported("Gemm of two values")
    matrix = np.asarray(weights, dtype=np.float64) * attributes.get("alpha", 1.0)
    bias = np.asarray(rest[0], dtype=np.float64) * attributes.get("beta", 1.0) if rest and rest[0] is not None else None
    return layers.dense(trace, value, matrix if attributes.get("transB") else matrix.T, bias)


def _matmul(trace: Trace, value: Any, weights: Any) -> Value:
    if not isinstance(value, Value) or isinstance(weights, Value):
        raise unsupported("MatMul of a constant by a value" if isinstance(weights, Value) else "MatMul")
    return layers.dense(trace, value, np.asarray(weights, dtype=np.float64).T, None)


def _conv(trace: Trace, inputs: Sequence[Any], attributes: _Attributes) -> Value:
    value, kernel, *rest = inputs
    if not isinstance(value, Value) or kernel.ndim != 4:
        raise unsupported("Conv over other than two axes")
    bias = np.asarray(rest[0], dtype=np.float64) if rest else None
    geometry = _geometry(value, attributes, kernel=tuple(kernel.shape[2:]))
    groups = attributes.get("group", 1)
    return trace.convolve(value, np.asarray(kernel, dtype=np.float64), bias, geometry=geometry, groups=groups)


def _average_pool(trace: Trace, inputs: Sequence[Any], attributes: _Attributes) -> Value:
    geometry = _geometry(inputs[0], attributes, kernel=tuple(attributes["kernel_shape"]))
    counts = bool(attributes.get("count_include_pad", 0))
    return layers.pool(trace, inputs[0], geometry=geometry, count_padding=counts)


def _geometry(value: Value, attributes: _Attributes, *, kernel: tuple[int, ...]) -> Geometry:
    if len(kernel) != 2 or len(value.shape) != 3:
        raise unsupported("windows over other than two axes")
    strides = tuple(attributes.get("strides", (1, 1)))
    dilations = tuple(attributes.get("dilations", (1, 1)))
    pads = tuple(attributes.get("pads", (0, 0, 0, 0)))
    mode = attributes.get("auto_pad", b"NOTSET").decode()
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        spans = zip(value.shape[1:], kernel, strides, dilations, strict=True)
        total = [max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0) for size, k, s, d in spans]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = (*small, *large) if mode == "SAME_UPPER" else (*large, *small)
    ceil = bool(attributes.get("ceil_mode", 0))
    return Geometry(kernel=kernel, strides=strides, pads=pads, dilations=dilations, ceil=ceil)


def _batch_norm(trace: Trace, inputs: Sequence[Any], attributes: _Attributes) -> Value:
    del trace
    value, scale, shift, mean, variance = inputs
    epsilon = attributes.get("epsilon", 1e-5)
    return layers.batch_norm(value, scale=scale, shift=shift, mean=mean, variance=variance, epsilon=epsilon)


def _flatten(trace: Trace, inputs: Sequence[Any], attributes: _Attributes) -> Value:
    del trace
    if attributes.get("axis", 1) != 1:
        raise unsupported("Flatten with another axis than 1")
    return layers.flatten(inputs[0])


def _reshape(trace: Trace, value: Value, target: Any) -> Value:
    del trace
    if isinstance(target, Value):
        raise unsupported("Reshape to a computed shape")
    return layers.reshape(value, tuple(int(size) for size in target))


def _transpose(trace: Trace, inputs: Sequence[Any], attributes: _Attributes) -> Value:
    del trace
    return layers.transpose(inputs[0], tuple(attributes.get("perm", ())))


_PLAIN: Final[Mapping[str, _Plain]] = MappingProxyType(
    {
        "Add": layers.add,
        "Div": layers.divide,
        "Dropout": layers.same,
        "GlobalAveragePool": layers.pool_all,
        "Identity": layers.same,
        "MatMul": _matmul,
        "Mul": layers.multiply,
        "Neg": layers.negate,
        "Pow": layers.power,
        "Reshape": _reshape,
        "Sub": layers.subtract,
    }
)
_WITH_ATTRIBUTES: Final[Mapping[str, _WithAttributes]] = MappingProxyType(
    {
        "AveragePool": _average_pool,
        "BatchNormalization": _batch_norm,
        "Conv": _conv,
        "Flatten": _flatten,
        "Gemm": _gemm,
        "Transpose": _transpose,
    }
)
