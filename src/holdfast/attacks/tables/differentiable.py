"""Models whose gradients can be had: a protocol, networks read out of ONNX, and PyTorch modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import onnx

from holdfast.data import Matrix, Schema
from holdfast.models import Encoding, LinearModel, Model, OnnxModel
from holdfast.models.onnx_graph import ENCODED, OUTPUT, initializers

Pullback = Callable[[Matrix], Matrix]
"""From a weight for each score, (rows, classes), to the gradient of the weighted scores, (rows, width)."""

_AGREEMENT: Final = 1e-3
"""By how much probabilities of the layers may miss the model's own; ONNX files compute in single precision."""
_SKIPPED: Final = frozenset({"Cast", "Identity"})
_LAYER_OPERATORS: Final = frozenset({"Gemm", "MatMul", "Add", "Relu", "Tanh", "Sigmoid"})


@runtime_checkable
class Differentiable(Model, Protocol):
    """A model that also gives scores of encoded rows and how they change."""

    def scores_and_pullback(self, E: Matrix) -> tuple[Matrix, Pullback]:
        """(rows, width) encoded rows to (rows, classes) scores, highest for the class said, and their gradients."""
        ...


@dataclass(frozen=True, eq=False)
class Layers:
    """A network as its layers, read out of an ONNX file or linear: matrices, additions and functions in turn.

    Args:
        model: the model itself.
        steps: of the computation behind the encoding.
    """

    model: Model
    steps: tuple[tuple[str, Matrix | None], ...]

    @property
    def schema(self) -> Schema:
        """The schema of the rows that the model takes."""
        return self.model.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        """(rows, classes) probabilities, from the model itself."""
        return self.model.predict_proba(X)

    def scores_and_pullback(self, E: Matrix) -> tuple[Matrix, Pullback]:
        """Scores before the last sigmoid or softmax, and their gradients; with two classes and one score z, ∓z / 2."""
        values, slopes = E, []
        for kind, constant in self.steps:
            values, slope = _forward(kind, constant, values)
            slopes.append(slope)
        paired = values.shape[1] == 1
        scores = np.hstack([-values, values]) / 2 if paired else values

        def pullback(weights: Matrix) -> Matrix:
            flow = (weights[:, 1:] - weights[:, :1]) / 2 if paired else weights
            for slope in reversed(slopes):
                flow = slope(flow)
            return flow

        return scores, pullback


def differentiable(model: Model, X: Matrix) -> Differentiable | None:
    """The model with its gradients, or None where they are not to be had.

    Args:
        model: gives gradients itself, is linear, or is an ONNX model of plain layers.
        X: (rows, features) on which layers read out of a file have to agree with it.
    """
    if isinstance(model, Differentiable):
        return model
    if isinstance(model, LinearModel):
        return Layers(model, (("MatMul", model.coef.T), ("Add", model.intercept)))
    if not isinstance(model, OnnxModel) or (steps := _steps(model)) is None:
        return None
    layers = Layers(model, steps)
    scores, _ = layers.scores_and_pullback(Encoding(model.schema).encode(X))
    if scores.shape[1] != len(model.schema.classes):
        return None
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    gap = np.abs(odds / odds.sum(axis=1, keepdims=True) - model.predict_proba(X)).max(initial=0.0)
    return layers if gap <= _AGREEMENT else None


def _steps(model: OnnxModel) -> tuple[tuple[str, Matrix | None], ...] | None:
    """The steps from the encoded rows to the scores; None where there is anything but plain layers."""
    graph = onnx.load_model_from_string(model.onnx)
    constants, at = initializers(graph), ENCODED
    steps: list[tuple[str, Matrix | None]] = []
    while at != OUTPUT:
        users = [node for node in graph.graph.node if at in node.input]
        if not users or (len(users) > 1 and not (steps and steps[-1][0] == "Sigmoid")):
            return None
        node = users[0]
        if node.op_type == "Softmax" or (len(users) > 1 and steps[-1][0] == "Sigmoid"):
            break  # what follows turns scores into probabilities; whether it does so is checked by asking
        if node.op_type in _LAYER_OPERATORS:
            read = _read_step(node, constants)
            if read is None:
                return None
            steps += read
        elif node.op_type not in _SKIPPED:
            return None
        at = node.output[0]
    if steps and steps[-1][0] == "Sigmoid":
        steps.pop()
    return tuple(steps) or None


def _read_step(node: Any, constants: Any) -> list[tuple[str, Matrix | None]] | None:
    """One node as steps; None where its operands are not constants."""
    if node.op_type in ("Relu", "Tanh", "Sigmoid"):
        return [(node.op_type, None)]
    if any(name not in constants for name in node.input[1:]):
        return None
    operands = [np.asarray(constants[name], dtype=np.float64) for name in node.input[1:]]
    if node.op_type == "Gemm":
        options = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        if options.get("transA", 0) or options.get("alpha", 1.0) != 1.0 or options.get("beta", 1.0) != 1.0:
            return None
        matrix = operands[0].T if options.get("transB", 0) else operands[0]
        return [("MatMul", matrix), *(("Add", bias) for bias in operands[1:])]
    return [(node.op_type, operands[0])]


def _forward(kind: str, constant: Matrix | None, values: Matrix) -> tuple[Matrix, Pullback]:
    """One step, and the gradient through it."""
    if kind == "Relu":
        return np.maximum(values, 0.0), lambda flow: flow * (values > 0)
    if kind == "Tanh":
        out = np.tanh(values)
        return out, lambda flow: flow * (1 - out**2)
    if kind == "Sigmoid":
        out = 1 / (1 + np.exp(-np.clip(values, -500, 500)))
        return out, lambda flow: flow * out * (1 - out)
    if constant is None:
        raise TypeError(f"the step {kind} needs a constant")
    if kind == "Add":
        return values + constant, lambda flow: flow
    return values @ constant, lambda flow: flow @ constant.T
