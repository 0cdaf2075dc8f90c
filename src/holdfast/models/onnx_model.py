"""Models kept as ONNX, run by onnxruntime; and the one way to load a kept model."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

import numpy as np

from holdfast.data import Matrix, Schema
from holdfast.errors import UsageError, WireError
from holdfast.evidence import digest_bytes
from holdfast.models.linear import LinearModel
from holdfast.models.onnx_graph import INPUT, KIND_KEY, OUTPUT, first_line, initializers, parse

_FLOAT32_ERROR: Final = 1e-5
"""How far below 0 a probability may lie: a forest's 1 - p, summed in float32, does."""


class OnnxModel:
    """A classifier in ONNX with the input `features` and the output `probabilities`.

    Args:
        onnx: the file's bytes.

    Raises:
        WireError: not ONNX, without a schema, or with other inputs and outputs.
    """

    def __init__(self, onnx: bytes) -> None:
        model, _, schema = parse(onnx)
        names = [item.name for item in (*model.graph.input, *model.graph.output)]
        if names != [INPUT, OUTPUT]:
            raise WireError(f"expected an ONNX model from {INPUT!r} to {OUTPUT!r}, got {', '.join(names[:10])}")
        self._onnx = onnx
        self._schema = schema

    @property
    def onnx(self) -> bytes:
        """The file's bytes."""
        return self._onnx

    @property
    def schema(self) -> Schema:
        """The schema that the file carries."""
        return self._schema

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `onnx`."""
        return digest_bytes(self._onnx)

    def predict_proba(self, X: Matrix) -> Matrix:
        """(rows, classes) probabilities, normalised in double precision.

        Raises:
            WireError: the file cannot be run, or what comes out are no probabilities.
        """
        expected = (len(X), len(self._schema.classes))
        if len(X) == 0:
            return np.empty(expected)  # some operators refuse to run on nothing
        try:
            (raw,) = self._session.run([OUTPUT], {INPUT: np.ascontiguousarray(X, dtype=np.float64)})
        except Exception as error:  # noqa: BLE001 - onnxruntime raises types of its own
            raise WireError(f"the ONNX model cannot be run on rows of shape {X.shape}: {first_line(error)}") from None
        if raw.shape != expected or not (np.isfinite(raw) & (raw >= -_FLOAT32_ERROR)).all():
            raise WireError(f"expected probabilities of shape {expected} from the ONNX model, got something else")
        P: Matrix = np.maximum(raw, 0.0)
        total = P.sum(axis=1, keepdims=True)
        if not (total > 0).all():
            raise WireError("the ONNX model gives no class of a row any probability")
        return np.asarray(P / total)

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(self._onnx, options, providers=["CPUExecutionProvider"])


def load_model(onnx: bytes) -> LinearModel | OnnxModel:
    """The model of an ONNX file that Holdfast wrote: a `LinearModel` where it is linear, else an `OnnxModel`.

    A linear model is rebuilt from its weights, and must give back the same graph.

    Raises:
        WireError: not such a file.
    """
    model, properties, schema = parse(onnx)
    if properties.get(KIND_KEY) != "linear":
        return OnnxModel(onnx)
    try:
        weights = initializers(model)
        linear = LinearModel(schema, weights["coef"], weights["intercept"])
    except (KeyError, ValueError, TypeError, AttributeError, UsageError) as error:
        raise WireError(f"the ONNX file says it is linear and has no such weights: {error}") from None
    if parse(linear.onnx)[0] != model:
        raise WireError("the ONNX file says it is linear, but its graph is another")
    linear.__dict__["onnx"] = onnx  # the identity is this file's bytes, whichever version wrote them
    return linear
