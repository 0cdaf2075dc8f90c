"""ONNX operators in PyTorch, as the specification has them from opset 13 on (https://onnx.ai/onnx/operators).

Each takes its inputs in order, None where one is left out, and the attributes of its node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import torch
from onnx import TensorProto
from torch import Tensor
from torch.nn import functional

from holdfast.errors import UnsupportedError

MAX_PAD: Final = 1_024
"""Rows or columns that one node may add at an edge; real networks stay below 100."""
ROUND: Final = "attack it through its answers alone with Square, or load the network as a torch.nn.Module"

_Inputs = Sequence[Tensor | None]
_Attributes = Mapping[str, Any]
Operator = Callable[[_Inputs, _Attributes], Tensor]


def unsupported(what: str) -> UnsupportedError:
    """What is raised for a node that has no place in the table below."""
    return UnsupportedError(f"the ONNX network uses {what}, which has no differentiable form here", hint=ROUND)


@dataclass(frozen=True, kw_only=True)
class _Window:
    """What a convolution or a pooling sees: the part of the padding that is even, and what is left of it."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    padding: tuple[int, int]
    uneven: tuple[int, int, int, int]
    ceil: bool

    @classmethod
    def of(cls, x: Tensor, attributes: _Attributes, kernel: Sequence[int]) -> _Window:
        """Of a node over pictures (n, C, H, W)."""
        if x.ndim != 4 or len(kernel) != 2:
            raise unsupported("windows over other than two axes")
        strides = tuple(attributes.get("strides", (1, 1)))
        dilations = tuple(attributes.get("dilations", (1, 1)))
        top, left, bottom, right = _pads(x, attributes, kernel, strides, dilations)
        even = (min(top, bottom), min(left, right))
        uneven = (left - even[1], right - even[1], top - even[0], bottom - even[0])
        ceil = bool(attributes.get("ceil_mode", 0))
        if max(top, left, bottom, right) > MAX_PAD or (ceil and any(uneven)):
            raise unsupported("padding of a kind that real networks do without")
        return cls(
            kernel=(kernel[0], kernel[1]),
            strides=(strides[0], strides[1]),
            dilations=(dilations[0], dilations[1]),
            padding=even,
            uneven=uneven,
            ceil=ceil,
        )


def _pads(
    x: Tensor, attributes: _Attributes, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, ...]:
    """Rows above, columns to the left, rows below, columns to the right."""
    mode = attributes.get("auto_pad", b"NOTSET")
    if mode in (b"NOTSET", b"VALID"):
        return tuple(attributes.get("pads", (0, 0, 0, 0))) if mode == b"NOTSET" else (0, 0, 0, 0)
    spans = zip(x.shape[2:], kernel, strides, dilations, strict=True)
    total = [max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0) for size, k, s, d in spans]
    small, large = [t // 2 for t in total], [t - t // 2 for t in total]
    return (*small, *large) if mode == b"SAME_UPPER" else (*large, *small)


def _given(value: Tensor | None) -> Tensor:
    if value is None:
        raise unsupported("a node without an input that it needs")
    return value


def _whole(value: Tensor | None) -> list[int]:
    return [int(number) for number in _given(value).reshape(-1).tolist()]


def _conv(inputs: _Inputs, attributes: _Attributes) -> Tensor:
    x, weight, *bias = inputs
    x, weight = _given(x), _given(weight)
    window = _Window.of(x, attributes, weight.shape[2:])
    return functional.conv2d(
        functional.pad(x, window.uneven),
        weight,
        bias[0] if bias else None,
        stride=window.strides,
        padding=window.padding,
        dilation=window.dilations,
        groups=attributes.get("group", 1),
    )


def _max_pool(inputs: _Inputs, attributes: _Attributes) -> Tensor:
    x = _given(inputs[0])
    window = _Window.of(x, attributes, attributes["kernel_shape"])
    return functional.max_pool2d(
        functional.pad(x, window.uneven, value=float("-inf")),
        window.kernel,
        stride=window.strides,
        padding=window.padding,
        dilation=window.dilations,
        ceil_mode=window.ceil,
    )


def _average_pool(inputs: _Inputs, attributes: _Attributes) -> Tensor:
    x = _given(inputs[0])
    window = _Window.of(x, attributes, attributes["kernel_shape"])
    if window.ceil or window.dilations != (1, 1):
        raise unsupported("AveragePool with ceil_mode or dilations")

    def averages(values: Tensor) -> Tensor:
        values = functional.pad(values, window.uneven)
        return functional.avg_pool2d(values, window.kernel, stride=window.strides, padding=window.padding)

    # An average over what is no padding is that over all, by the share of the window that is none.
    return averages(x) if attributes.get("count_include_pad", 0) else averages(x) / averages(torch.ones_like(x[:1]))


def _gemm(inputs: _Inputs, attributes: _Attributes) -> Tensor:
    a, b, *rest = inputs
    a, b = _given(a), _given(b)
    product = (a.T if attributes.get("transA") else a) @ (b.T if attributes.get("transB") else b)
    product = product * float(attributes.get("alpha", 1.0))
    return product if not rest or rest[0] is None else product + rest[0] * float(attributes.get("beta", 1.0))


def _batch_norm(inputs: _Inputs, attributes: _Attributes) -> Tensor:
    x, scale, shift, mean, variance = (_given(value) for value in inputs)
    if attributes.get("training_mode", 0):
        raise unsupported("BatchNormalization in training mode")
    return functional.batch_norm(x, mean, variance, scale, shift, eps=attributes.get("epsilon", 1e-5))


def _clip(inputs: _Inputs, _: _Attributes) -> Tensor:
    x, *ends = inputs
    low, high = (*ends, None, None)[:2]
    x = _given(x) if low is None else torch.maximum(_given(x), low)
    return x if high is None else torch.minimum(x, high)


def _pad(inputs: _Inputs, attributes: _Attributes) -> Tensor:
    x, amounts, *rest = inputs
    x, pads = _given(x), _whole(amounts)
    value, axes = (*rest, None, None)[:2]
    named = range(x.ndim) if axes is None else [axis % x.ndim for axis in _whole(axes)]
    ends = dict(zip(named, zip(pads[: len(pads) // 2], pads[len(pads) // 2 :], strict=True), strict=True))
    if any(not 0 <= pad <= MAX_PAD for pad in pads):
        raise unsupported("padding of a kind that real networks do without")
    mode = attributes.get("mode", b"constant")
    if mode == b"constant":
        flat = [pad for axis in reversed(range(x.ndim)) for pad in ends.get(axis, (0, 0))]
        return functional.pad(x, flat, value=0.0 if value is None else float(value))
    if mode not in (b"reflect", b"edge") or x.ndim != 4 or any(ends.get(0, ()) + ends.get(1, ())):
        raise unsupported(f"Pad with the mode {mode.decode()}")
    flat = [*ends.get(3, (0, 0)), *ends.get(2, (0, 0))]
    return functional.pad(x, flat, mode="reflect" if mode == b"reflect" else "replicate")


def _reshape(inputs: _Inputs, attributes: _Attributes) -> Tensor:
    x, sizes = _given(inputs[0]), _whole(inputs[1])
    if not attributes.get("allowzero", 0):
        sizes = [size or x.shape[axis] for axis, size in enumerate(sizes)]
    return x.reshape(sizes)


def _squeeze(inputs: _Inputs, _: _Attributes) -> Tensor:
    x = _given(inputs[0])
    axes = _whole(inputs[1]) if len(inputs) > 1 else [axis for axis, size in enumerate(x.shape) if size == 1]
    return x.squeeze(tuple(axes))


def _unsqueeze(inputs: _Inputs, _: _Attributes) -> Tensor:
    x, axes = _given(inputs[0]), _whole(inputs[1])
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _reduce_mean(inputs: _Inputs, attributes: _Attributes) -> Tensor:
    x = _given(inputs[0])
    axes = _whole(inputs[1]) if len(inputs) > 1 and inputs[1] is not None else list(attributes.get("axes", ()))
    if not axes and attributes.get("noop_with_empty_axes", 0):
        return x
    return x.mean(dim=axes or list(range(x.ndim)), keepdim=bool(attributes.get("keepdims", 1)))


def _cast(inputs: _Inputs, attributes: _Attributes) -> Tensor:
    kinds = {TensorProto.FLOAT: torch.float32, TensorProto.DOUBLE: torch.float32, TensorProto.INT64: torch.int64}
    if attributes["to"] not in kinds:
        raise unsupported("Cast to other than floats and int64")
    return _given(inputs[0]).to(kinds[attributes["to"]])


def _flatten(inputs: _Inputs, attributes: _Attributes) -> Tensor:
    x, axis = _given(inputs[0]), attributes.get("axis", 1)
    axis = axis % x.ndim if axis < 0 else axis
    return x.reshape(int(torch.Size(x.shape[:axis]).numel()), -1)


def _transpose(inputs: _Inputs, attributes: _Attributes) -> Tensor:
    x = _given(inputs[0])
    return x.permute(*attributes.get("perm", reversed(range(x.ndim))))


def _gather(inputs: _Inputs, attributes: _Attributes) -> Tensor:
    x, index, axis = _given(inputs[0]), _given(inputs[1]), attributes.get("axis", 0)
    index = torch.where(index < 0, index + x.shape[axis], index)
    taken = x.index_select(axis, index.reshape(-1))
    return taken.reshape(x.shape[:axis] + index.shape + x.shape[axis:][1:])


def _concat(inputs: _Inputs, attributes: _Attributes) -> Tensor:
    return torch.cat([_given(value) for value in inputs], dim=attributes["axis"])


def _of_one(function: Callable[[Tensor], Tensor]) -> Operator:
    return lambda inputs, _: function(_given(inputs[0]))


def _of_two(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    return lambda inputs, _: function(_given(inputs[0]), _given(inputs[1]))


def _same(inputs: _Inputs, _: _Attributes) -> Tensor:
    return _given(inputs[0])


OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(
    {
        "Add": _of_two(torch.add),
        "AveragePool": _average_pool,
        "BatchNormalization": _batch_norm,
        "Cast": _cast,
        "Clip": _clip,
        "Concat": _concat,
        "Conv": _conv,
        "Div": _of_two(torch.div),
        "Dropout": _same,
        "Flatten": _flatten,
        "Gather": _gather,
        "Gemm": _gemm,
        "GlobalAveragePool": _of_one(lambda x: x.mean(dim=list(range(2, x.ndim)), keepdim=True)),
        "Identity": _same,
        "LeakyRelu": lambda inputs, given: functional.leaky_relu(_given(inputs[0]), given.get("alpha", 0.01)),
        "MatMul": _of_two(torch.matmul),
        "MaxPool": _max_pool,
        "Mul": _of_two(torch.mul),
        "Pad": _pad,
        "ReduceMean": _reduce_mean,
        "Relu": _of_one(torch.relu),
        "Reshape": _reshape,
        "Shape": _of_one(lambda x: torch.tensor(x.shape, device=x.device)),
        "Sigmoid": _of_one(torch.sigmoid),
        "Softmax": lambda inputs, given: torch.softmax(_given(inputs[0]), dim=given.get("axis", -1)),
        "Squeeze": _squeeze,
        "Sub": _of_two(torch.sub),
        "Tanh": _of_one(torch.tanh),
        "Transpose": _transpose,
        "Unsqueeze": _unsqueeze,
    }
)
