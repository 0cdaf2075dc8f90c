"""Networks as users have them to an encoding and a program: the table of front ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UnsupportedError, UsageError, WireError
from holdfast.files import read_bytes
from holdfast.limits import MAX_BUNDLE_BYTES
from holdfast.models.links import Link
from holdfast.private_inference.circuit import Encoding, Reading
from holdfast.private_inference.networks import onnx_graph, read_onnx, read_torch, torch_module
from holdfast.private_inference.networks.assemble import assemble
from holdfast.private_inference.networks.encoding import encoding_for, scales_of
from holdfast.private_inference.networks.layers import SWAP_HINT, dense
from holdfast.private_inference.networks.trace import Trace
from holdfast.private_inference.networks.values import Value, Vector
from holdfast.private_inference.program import LinearProgram, NetworkProgram

_REFERENCE_ROWS: Final = 2_000
"""Rows that set the scales of lanes; of more, every few. The bounds hold for all."""
MARGIN: Final = 1.5
"""Bounds are this many times the largest value on the rows given."""
_BATCH: Final = 500
_MIN_BOUND: Final = 2.0**-10
"""A bound above zero where a layer gives nothing but zeros."""
_MLPS: Final = ("MLPClassifier", "MLPRegressor")
_ONNX_SUFFIX: Final = ".onnx"

_Tracer = Callable[[Trace, Value], Value]


def is_network(model: Any) -> bool:
    """Whether a model is a PyTorch module, a multi-layer perceptron of scikit-learn, or an ONNX file of a network."""
    if torch_module.is_module(model) or _is_mlp(model):
        return True
    if isinstance(model, str | Path):
        if Path(model).suffix.lower() != _ONNX_SUFFIX:
            return False
        model = read_bytes(Path(model), max_bytes=MAX_BUNDLE_BYTES, what="an ONNX model")
    if not isinstance(model, bytes):
        return False
    try:
        graph = onnx_graph.load_graph(model).graph
    except WireError:
        return False
    return not any(node.op_type.startswith("TreeEnsemble") for node in graph.node)


def read_network(model: Any, *, X: NDArray[Any] | None, classes: Sequence[str] | None) -> Reading:
    """Read a network; one without activations becomes a linear program.

    Args:
        model: a PyTorch module, a fitted MLPClassifier or MLPRegressor of scikit-learn, or an ONNX file as its path or
            its bytes.
        X: (rows, …) rows or images like those to come; they set the ranges of the input and of every lane.
        classes: names of the classes; without them a network that ends in no softmax is a regression.

    Raises:
        UnsupportedError: an operator cannot be computed under encryption; it is named, with what to do.
        UsageError: there are no rows, or they do not fit the network.
    """
    if X is None or len(X) == 0:
        raise UsageError("expected rows X to set the ranges of a network's values, got none")
    X = np.asarray(X)
    if not np.isfinite(X).all():
        raise UsageError("expected finite rows X to set the ranges of a network's values, got some that are not")
    if torch_module.is_module(model):
        return _read_module(model, X, classes)
    if _is_mlp(model):
        return _read_mlp(model, X, classes)
    data = (
        model if isinstance(model, bytes) else read_bytes(Path(model), max_bytes=MAX_BUNDLE_BYTES, what="an ONNX model")
    )
    return _read_onnx(data, X, classes)


def _read_module(module: Any, X: NDArray[Any], classes: Sequence[str] | None) -> Reading:
    shape = torch_module.module_shape(module, X)
    tracer: _Tracer = lambda trace, source: read_torch.trace_module(module, trace, source)  # noqa: E731
    return _reading(tracer, X, shape, classes, link=None, clear=torch_module.module_scores(module, shape))


def _read_onnx(data: bytes, X: NDArray[Any], classes: Sequence[str] | None) -> Reading:
    graph, link = onnx_graph.without_link(onnx_graph.load_graph(data))
    shape = onnx_graph.input_shape(graph)
    tracer: _Tracer = lambda trace, source: read_onnx.trace_onnx(graph, trace, source)  # noqa: E731
    return _reading(tracer, X, shape, classes, link=link, clear=onnx_graph.graph_scores(graph, shape))


def _read_mlp(model: Any, X: NDArray[Any], classes: Sequence[str] | None) -> Reading:
    if model.activation != "identity":
        raise UnsupportedError(
            f"private inference cannot compute the activation {model.activation} of {type(model).__name__}",
            hint=f"rebuild it in PyTorch and {SWAP_HINT}, or fit it with activation='identity'",
        )
    if getattr(model, "out_activation_", "identity") not in ("identity", "softmax", "logistic"):
        raise UnsupportedError(f"private inference cannot compute the output activation {model.out_activation_}")

    def tracer(trace: Trace, value: Value) -> Value:
        for weights, bias in zip(model.coefs_, model.intercepts_, strict=True):
            value = dense(trace, value, weights.T, bias)
        return value

    def clear(X: NDArray[Any]) -> Vector:
        x = np.asarray(X, dtype=np.float64).reshape(len(X), -1)
        for weights, bias in zip(model.coefs_, model.intercepts_, strict=True):
            x = x @ weights + bias
        return np.asarray(x)

    link = {"identity": None, "softmax": "softmax", "logistic": "logistic"}[model.out_activation_]
    names = [str(name) for name in getattr(model, "classes_", ())] if classes is None else classes
    return _reading(tracer, X, (model.coefs_[0].shape[0],), names or None, link=link, clear=clear)


def _reading(
    tracer: _Tracer,
    X: NDArray[Any],
    shape: tuple[int, ...],
    classes: Sequence[str] | None,
    *,
    link: str | None,
    clear: Callable[[NDArray[Any]], Vector],
) -> Reading:
    if int(np.prod(shape)) != int(np.prod(X.shape[1:])):
        raise UsageError(f"expected rows X of shape {shape}, as the network takes them, got {X.shape[1:]}")
    encoding = encoding_for(X, shape)
    rows = X.reshape(len(X), -1)[:: -(-len(X) // _REFERENCE_ROWS)]
    trace = Trace(encoding.encode(rows))
    program = assemble(trace, tracer(trace, trace.source(shape, scale=scales_of(encoding))))
    program = replace(program, bounds=_bounds(program, encoding, X.reshape(len(X), -1)))
    names = _class_names(program, classes, link=link)
    first, *rest = program.layers
    return Reading(
        kind="network" if rest else "linear",
        encoding=encoding,
        program=program if rest else LinearProgram(weights=first.weights, intercept=first.bias),
        link=_link(program, names, link=link),
        classes=names,
        clear=clear,
        notes=_notes(program) if rest else (),
    )


def _bounds(program: NetworkProgram, encoding: Encoding, rows: NDArray[Any]) -> tuple[float, ...]:
    """What all rows reach, times the margin, and rounded up to four bits: bounds are public, and rows are not."""
    parts = [program.reach(encoding.encode(rows[i : i + _BATCH])) for i in range(0, len(rows), _BATCH)]
    return tuple(_rounded_up(max(MARGIN * max(column), _MIN_BOUND)) for column in zip(*parts, strict=True))


def _rounded_up(bound: float) -> float:
    mantissa, exponent = math.frexp(bound)
    return math.ldexp(math.ceil(16 * mantissa - 1e-6), exponent - 4)


def _class_names(program: NetworkProgram, classes: Sequence[str] | None, *, link: str | None) -> tuple[str, ...]:
    outputs = program.layers[-1].n_outputs
    expected = max(outputs, 2)
    if classes is None:
        return () if link is None else tuple(str(i) for i in range(expected))
    if len(classes) != expected:
        raise UsageError(f"expected names for {expected} classes, got {len(classes)}")
    return tuple(classes)


def _link(program: NetworkProgram, names: tuple[str, ...], *, link: str | None) -> Link:
    """Scores of classes are logits: what a loss such as cross-entropy took them for."""
    if not names:
        return "identity"
    if program.layers[-1].n_outputs == 1:
        return "logistic"
    return "normalised" if link == "logistic" else "softmax"


def _notes(program: NetworkProgram) -> tuple[str, ...]:
    ranges = ", ".join(f"{bound:.3g}" for bound in program.bounds)
    notes = [
        f"Ranges were set on the rows given, times {MARGIN:g}: {ranges} before each squaring and at the end. An answer "
        "is drowned in noise as stated for rows within them; one whose scores leave the last of them is refused by the "
        "client, or wrong if they leave it by far."
    ]
    if program.input_map is not None:
        notes.append(
            "The client gathers the windows of the first convolution: their size, stride and padding are public."
        )
    return tuple(notes)


def _is_mlp(model: Any) -> bool:
    return type(model).__module__.startswith("sklearn.neural_network") and type(model).__name__ in _MLPS
