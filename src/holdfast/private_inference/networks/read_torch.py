"""PyTorch modules, through the graph that `torch.export` makes of them. PyTorch is imported when a module is read."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from holdfast.errors import UnsupportedError, UsageError
from holdfast.private_inference.networks import layers
from holdfast.private_inference.networks.layers import unsupported
from holdfast.private_inference.networks.operators import Geometry
from holdfast.private_inference.networks.trace import Trace
from holdfast.private_inference.networks.values import Value, Vector

if TYPE_CHECKING:
    from torch import nn

_Handler = Callable[..., Value]
_LINKS: Final = frozenset({"softmax", "log_softmax", "sigmoid"})
_EXPORTED_ROWS: Final = 2
"""Rows of the example that a module is exported with; with 1, an axis of rows could be taken for another."""


def trace_module(module: nn.Module, trace: Trace, source: Value) -> Value:
    """Read a module from its input to its output.

    Raises:
        UnsupportedError: an operator cannot be computed under encryption; it is named.
    """
    import torch

    frozen = copy.deepcopy(module).eval().double()
    example = torch.zeros((_EXPORTED_ROWS, *source.shape), dtype=torch.float64)
    try:
        exported = torch.export.export(frozen, (example,))
    except Exception as error:  # noqa: BLE001 - the exporter raises types of its own
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UnsupportedError(
            f"the module {type(module).__name__} cannot be exported by torch.export: {first}",
            hint="write forward() without control flow that depends on values, or export the module to ONNX",
        ) from None
    signature = exported.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    kept = {**exported.state_dict, **exported.constants}
    values: dict[str, Any] = {name: kept[target] for name, target in names.items()}
    values |= {name: kept[target] for name, target in signature.inputs_to_lifted_tensor_constants.items()}
    values |= dict.fromkeys(signature.user_inputs, source)
    return _walk(exported.graph, trace, values)


def _walk(graph: Any, trace: Trace, values: dict[str, Any]) -> Value:
    """Compute node after node: values by their operator, constants by PyTorch."""

    def filled(argument: Any) -> Any:
        if isinstance(argument, list | tuple):
            return [filled(item) for item in argument]
        return values[argument.name] if hasattr(argument, "users") else argument

    for node in graph.nodes:
        if node.op == "output":
            return _output(filled(node.args[0]))
        if node.op != "call_function":
            continue
        arguments = [filled(item) for item in node.args]
        options = {name: filled(item) for name, item in node.kwargs.items()}
        if not any(isinstance(item, Value) for item in [*arguments, *options.values()]):
            values[node.name] = node.target(*arguments, **options)
            continue
        values[node.name] = _computed(node.target, trace, arguments, options)
    raise UsageError("expected a module with an output")


def _computed(target: Any, trace: Trace, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
    if target is operator.getitem:
        raise unsupported("indexing")
    name = str(target).split(".")[1] if str(target).startswith("aten.") else str(target)
    if name in _LINKS:
        raise UnsupportedError(
            f"private inference cannot compute the operator {name}",
            hint=f"{name}: let the module return its scores; the client makes probabilities of them"
            if name != "sigmoid"
            else f"{name}: {layers.SWAP_HINT}; at the end, let the module return its scores",
        )
    if name not in _HANDLERS:
        raise unsupported(name)
    return _HANDLERS[name](trace, *(_plain(item) for item in arguments), **options)


def _plain(item: Any) -> Any:
    """A tensor as an array; everything else as it is."""
    return item.detach().cpu().numpy() if hasattr(item, "detach") else item


def _output(outputs: Sequence[Any]) -> Value:
    if len(outputs) != 1 or not isinstance(outputs[0], Value):
        raise UnsupportedError(f"expected a module with one output that depends on its input, got {len(outputs)}")
    return outputs[0]


def _linear(trace: Trace, value: Value, weights: Vector, bias: Vector | None = None) -> Value:
    return layers.dense(trace, value, weights, bias)


def _conv2d(
    trace: Trace,
    value: Value,
    kernel: Vector,
    bias: Vector | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] | str = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Value:
    dilations = _pair(dilation)
    if isinstance(padding, str):
        spans = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilations, kernel.shape[2:], strict=True)]
        pads = (spans[0] // 2, spans[1] // 2, spans[0] - spans[0] // 2, spans[1] - spans[1] // 2)
    else:
        pads = (*_pair(padding), *_pair(padding))
    size = (kernel.shape[2], kernel.shape[3])
    geometry = Geometry(kernel=size, strides=_pair(stride), pads=pads, dilations=dilations)
    return trace.convolve(value, kernel, bias, geometry=geometry, groups=groups)


def _avg_pool2d(
    trace: Trace,
    value: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,  # noqa: FBT001, FBT002
    count_include_pad: bool = True,  # noqa: FBT001, FBT002
    divisor_override: int | None = None,
) -> Value:
    if divisor_override is not None:
        raise unsupported("avg_pool2d with divisor_override")
    size, pads = _pair(kernel), _pair(padding)
    geometry = Geometry(kernel=size, strides=_pair(stride) if stride else size, pads=(*pads, *pads), ceil=ceil_mode)
    return layers.pool(trace, value, geometry=geometry, count_padding=count_include_pad)


def _adaptive_pool(trace: Trace, value: Value, size: Sequence[int]) -> Value:
    if any(have % want for have, want in zip(value.shape[1:], _pair(size), strict=True)):
        raise unsupported("adaptive_avg_pool2d with windows of different sizes")
    kernel = (value.shape[1] // _pair(size)[0], value.shape[2] // _pair(size)[1])
    return layers.pool(trace, value, geometry=Geometry(kernel=kernel, strides=kernel), count_padding=False)


def _mean(trace: Trace, value: Value, axes: Sequence[int], keepdim: bool = False) -> Value:  # noqa: FBT001, FBT002
    if len(value.shape) != 3 or {axis % 4 for axis in axes} != {2, 3}:
        raise unsupported("mean over other axes than height and width")
    return layers.pool_all(trace, value, keep_axes=keepdim)


def _batch_norm(trace: Trace, value: Value, weight: Any, bias: Any, mean: Any, variance: Any, *options: Any) -> Value:
    del trace
    if mean is None:
        raise unsupported("batch_norm without running statistics")
    scale, shift = np.ones(len(mean)) if weight is None else weight, np.zeros(len(mean)) if bias is None else bias
    return layers.batch_norm(value, scale=scale, shift=shift, mean=mean, variance=variance, epsilon=options[2])


def _add(trace: Trace, left: Any, right: Any, *, alpha: float = 1.0) -> Value:
    return layers.add(trace, left, np.asarray(right) if not isinstance(right, Value) else right, sign=alpha)


def _subtract(trace: Trace, left: Any, right: Any, *, alpha: float = 1.0) -> Value:
    return _add(trace, left, right, alpha=-alpha)


def _permute(trace: Trace, value: Value, axes: Sequence[int]) -> Value:
    del trace
    return layers.transpose(value, tuple(axes))


def _reshape(trace: Trace, value: Value, shape: Sequence[int]) -> Value:
    del trace
    return layers.reshape(value, tuple(shape))


def _flatten(trace: Trace, value: Value, start: int = 0, end: int = -1) -> Value:
    del trace
    if start != 1 or end not in (-1, len(value.shape)):
        raise unsupported("flatten from another axis than 1")
    return layers.flatten(value)


def _pair(numbers: Sequence[int] | int) -> tuple[int, int]:
    if isinstance(numbers, int):
        return numbers, numbers
    return (numbers[0], numbers[-1])


_HANDLERS: Final[Mapping[str, _Handler]] = MappingProxyType(
    {
        "adaptive_avg_pool2d": _adaptive_pool,
        "add": _add,
        "add_": _add,
        "avg_pool2d": _avg_pool2d,
        "batch_norm": _batch_norm,
        "clone": layers.same,
        "contiguous": layers.same,
        "conv2d": _conv2d,
        "div": layers.divide,
        "dropout": layers.same,
        "dropout_": layers.same,
        "feature_dropout": layers.same,
        "flatten": _flatten,
        "linear": _linear,
        "mean": _mean,
        "mul": layers.multiply,
        "mul_": layers.multiply,
        "neg": layers.negate,
        "permute": _permute,
        "pow": layers.power,
        "reshape": _reshape,
        "square": lambda trace, value: trace.power(value, 2),
        "sub": _subtract,
        "sub_": _subtract,
        "view": _reshape,
    }
)
