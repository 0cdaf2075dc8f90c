"""The operators that ONNX and PyTorch share, on values: what each reader's table leads to."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from holdfast.errors import UnsupportedError
from holdfast.private_inference.networks.operators import Geometry, Linear, average_pool, image_shape
from holdfast.private_inference.networks.trace import Trace
from holdfast.private_inference.networks.values import Value, Vector

SWAP_HINT: Final = "replace the activations with holdfast.swap_activations(...), which fine-tunes the network"
KNOWN_HINT: Final = (
    "known are Gemm, MatMul, Conv, BatchNormalization, AveragePool, GlobalAveragePool, Flatten, Reshape, Add, Sub, "
    "Mul, Div, Pow and, at the end, Softmax or Sigmoid"
)
_SWAPPED: Final = frozenset(
    {
        *(
            "relu",
            "leakyrelu",
            "leaky_relu",
            "prelu",
            "thresholdedrelu",
            "relu6",
            "elu",
            "selu",
            "celu",
            "gelu",
            "silu",
        ),
        *("swish", "mish", "hardswish", "hardsigmoid", "hardtanh", "sigmoid", "tanh", "softplus", "softsign", "erf"),
        *("exp", "abs", "sign", "clip", "clamp", "clamp_min", "max", "min", "maximum", "minimum"),
        *("maxpool", "globalmaxpool", "max_pool2d", "max_pool2d_with_indices", "adaptive_max_pool2d"),
    }
)
"""Operators, in lower case, whose place a polynomial or an average can take."""

Operand = Value | NDArray[Any]


def unsupported(operator: str) -> UnsupportedError:
    """The refusal of an operator by its name, and what to do."""
    plain = operator.lower().rstrip("_")
    hint = SWAP_HINT if plain in _SWAPPED else KNOWN_HINT
    return UnsupportedError(f"private inference cannot compute the operator {operator}", hint=f"{operator}: {hint}")


def dense(trace: Trace, value: Value, weights: Vector, bias: Vector | None) -> Value:
    """`weights @ value + bias` with weights (out, in).

    Raises:
        UnsupportedError: the value has other than one axis, or another size.
    """
    if len(value.shape) != 1 or weights.ndim != 2 or weights.shape[1] != value.size:
        raise UnsupportedError(
            f"expected a matrix product of a flattened value, got {value.shape} and weights {weights.shape}",
            hint="flatten the tensor before the dense layer",
        )
    spread = None if bias is None else np.broadcast_to(np.asarray(bias, dtype=np.float64).ravel(), (len(weights),))
    matrix = sparse.csr_array(np.asarray(weights, dtype=np.float64))
    return trace.apply(value, Linear(matrix=matrix, shape=(len(weights),)), spread)


def batch_norm(value: Value, *, scale: Vector, shift: Vector, mean: Vector, variance: Vector, epsilon: float) -> Value:
    """Normalisation by fixed means and variances (channels,)."""
    factor = np.asarray(scale, dtype=np.float64) / np.sqrt(np.asarray(variance, dtype=np.float64) + epsilon)
    offset = shift - mean * factor
    if len(factor) != value.shape[0]:
        raise UnsupportedError(f"expected {value.shape[0]} channels in a batch normalisation, got {len(factor)}")
    places = value.size // value.shape[0]
    return value.scaled(np.repeat(factor, places)).shifted(np.repeat(offset, places))


def pool(trace: Trace, value: Value, *, geometry: Geometry, count_padding: bool) -> Value:
    """Means over windows."""
    return trace.apply(value, average_pool(value.shape, geometry=geometry, count_padding=count_padding))


def pool_all(trace: Trace, value: Value, *, keep_axes: bool = True) -> Value:
    """The mean of each channel."""
    channels, height, width = image_shape(value.shape)
    pooled = pool(trace, value, geometry=Geometry(kernel=(height, width)), count_padding=False)
    return pooled if keep_axes else reshape(pooled, (-1, channels))


def reshape(value: Value, target: tuple[int, ...]) -> Value:
    """The same elements in another shape; the first axis of the target is that of the rows.

    Raises:
        UnsupportedError: the rows would be mixed, or the sizes do not fit.
    """
    rest = list(target[1:])
    rows_kept = rest.count(-1) == 0 or target[0] >= 0  # above 0, the number of rows that it was exported with
    if rest.count(-1) == 1 and rows_kept:
        known = math.prod(size for size in rest if size != -1)
        rest[rest.index(-1)] = value.size // max(known, 1)
    shape = tuple(value.shape[i] if size == 0 and i < len(value.shape) else size for i, size in enumerate(rest))
    if not rows_kept or math.prod(shape) != value.size or min(shape, default=0) < 1:
        raise UnsupportedError(f"expected a reshape that keeps rows apart, got {value.shape} to {target}")
    return value.rearranged(np.arange(value.size), shape)


def flatten(value: Value) -> Value:
    """The value with one axis."""
    return reshape(value, (0, value.size))


def transpose(value: Value, axes: tuple[int, ...]) -> Value:
    """The axes in another order, that of the rows first.

    Raises:
        UnsupportedError: the axis of the rows moves.
    """
    if axes[:1] != (0,) or sorted(axes) != list(range(len(value.shape) + 1)):
        raise UnsupportedError(f"expected a transposition that keeps the rows first, got the axes {axes}")
    order = np.arange(value.size).reshape(value.shape).transpose([axis - 1 for axis in axes[1:]])
    return value.rearranged(order.ravel(), order.shape)


def same(trace: Trace, value: Value, *options: Any) -> Value:
    """The value itself: what a dropout is in evaluation."""
    del trace, options
    return value


def negate(trace: Trace, value: Value) -> Value:
    """The value with its sign turned."""
    return trace.multiply(value, np.array(-1.0))


def subtract(trace: Trace, left: Operand, right: Operand) -> Value:
    """The difference, where at least one is a value."""
    return add(trace, left, right, sign=-1.0)


def add(trace: Trace, left: Operand, right: Operand, *, sign: float = 1.0) -> Value:
    """`left + sign * right`, where at least one is a value."""
    if isinstance(right, Value):
        right = right if sign == 1.0 else trace.multiply(right, np.array(sign))
        return trace.add(left, right) if isinstance(left, Value) else trace.add(right, left)
    if not isinstance(left, Value):
        raise UnsupportedError("expected a sum with a value of the network in it")
    return trace.add(left, sign * np.asarray(right))


def multiply(trace: Trace, left: Operand, right: Operand) -> Value:
    """The product, where at least one is a value."""
    if isinstance(left, Value):
        return trace.multiply(left, right)
    if not isinstance(right, Value):
        raise UnsupportedError("expected a product with a value of the network in it")
    return trace.multiply(right, left)


def divide(trace: Trace, left: Operand, right: Operand) -> Value:
    """A value divided by a constant.

    Raises:
        UnsupportedError: the divisor is a value, or zero.
    """
    if not isinstance(left, Value) or isinstance(right, Value) or not np.all(right):
        raise UnsupportedError("private inference cannot compute the operator Div by what is no constant above zero")
    return trace.multiply(left, 1.0 / np.asarray(right, dtype=np.float64))


def power(trace: Trace, value: Operand, exponent: Operand) -> Value:
    """A value to a constant whole power.

    Raises:
        UnsupportedError: it is none from 1 to 4.
    """
    if not isinstance(value, Value) or isinstance(exponent, Value) or np.size(exponent) != 1:
        raise UnsupportedError("private inference cannot compute the operator Pow with another than one constant power")
    number = float(np.ravel(exponent)[0])
    if number != int(number):
        raise UnsupportedError(f"private inference cannot compute the operator Pow with the power {number:g}")
    return trace.power(value, int(number))
