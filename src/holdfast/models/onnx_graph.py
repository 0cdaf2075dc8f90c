"""ONNX graphs, written out: the encoding of a schema, and a linear model behind it.

The file names its schema in a metadata property, so a model carries what its columns mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from holdfast import limits
from holdfast.data import Matrix, Schema
from holdfast.errors import ConfigError, WireError
from holdfast.evidence import canonical_json
from holdfast.models.encoding import Encoding

OPSET: Final = 18
IR_VERSION: Final = 10
INPUT: Final = "features"
ENCODED: Final = "encoded"
OUTPUT: Final = "probabilities"
SCHEMA_KEY: Final = "holdfast.schema"
KIND_KEY: Final = "holdfast.kind"

_DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml"})
_REFUSED_OPERATORS: Final = frozenset(
    {
        *("Loop", "Scan", "SequenceMap"),  # may run for ever
        *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"),
    }
)


def encoding_nodes(encoding: Encoding) -> tuple[list[Any], list[Any]]:
    """Nodes and constants that take `features` (rows, features) to `encoded` (rows, width), both double."""
    columns = encoding.columns
    constants = [
        _constant("sources", np.array([c.source for c in columns], dtype=np.int64)),
        _constant("centres", np.array([c.centre for c in columns])),
        _constant("half_widths", np.array([c.half_width for c in columns])),
        _constant("codes", np.array([float(c.code) if c.kind == "equals" else np.nan for c in columns])),
        _constant("is_scaled", np.array([c.kind == "scaled" for c in columns])),
        _constant("is_missing", np.array([c.kind == "missing" for c in columns])),
        _constant("low", np.array(-1.0)),
        _constant("high", np.array(1.0)),
    ]
    nodes = [
        helper.make_node("Gather", [INPUT, "sources"], ["values"], axis=1),
        helper.make_node("IsNaN", ["values"], ["absent"]),
        helper.make_node("Where", ["absent", "centres", "values"], ["present"]),
        helper.make_node("Sub", ["present", "centres"], ["moved"]),
        helper.make_node("Div", ["moved", "half_widths"], ["stretched"]),
        helper.make_node("Clip", ["stretched", "low", "high"], ["scaled"]),
        helper.make_node("Equal", ["values", "codes"], ["equal"]),
        helper.make_node("And", ["absent", "is_missing"], ["missing"]),
        helper.make_node("Or", ["missing", "equal"], ["flags"]),
        helper.make_node("Cast", ["flags"], ["indicators"], to=TensorProto.DOUBLE),
        helper.make_node("Where", ["is_scaled", "scaled", "indicators"], [ENCODED]),
    ]
    return nodes, constants


def linear_onnx(schema: Schema, coef: Matrix, intercept: Matrix) -> bytes:
    """A linear model as ONNX, in double precision. One row of `coef` means two classes, told apart by a sigmoid."""
    nodes, constants = encoding_nodes(Encoding(schema))
    constants += [_constant("coef", coef), _constant("intercept", intercept)]
    nodes.append(helper.make_node("Gemm", [ENCODED, "coef", "intercept"], ["scores"], transB=1))
    if len(coef) == 1:
        constants.append(_constant("one", np.array(1.0)))
        nodes += [
            helper.make_node("Neg", ["scores"], ["negated"]),
            helper.make_node("Concat", ["negated", "scores"], ["both"], axis=1),
            helper.make_node("Neg", ["both"], ["exponents"]),
            helper.make_node("Exp", ["exponents"], ["odds"]),
            helper.make_node("Add", ["odds", "one"], ["denominators"]),
            helper.make_node("Reciprocal", ["denominators"], [OUTPUT]),
        ]
    else:
        nodes.append(helper.make_node("Softmax", ["scores"], [OUTPUT], axis=1))
    return to_bytes(nodes, constants, schema, kind="linear")


def to_bytes(nodes: Sequence[Any], constants: Sequence[Any], schema: Schema, *, kind: str, opsets: Any = ()) -> bytes:
    """The ONNX file of a graph from `features` to `probabilities`; the same graph gives the same bytes."""
    graph = helper.make_graph(
        nodes,
        "holdfast",
        [helper.make_tensor_value_info(INPUT, TensorProto.DOUBLE, [None, len(schema.features)])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.DOUBLE, [None, len(schema.classes)])],
        initializer=constants,
    )
    model = helper.make_model(
        graph, producer_name="holdfast", ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET), *opsets]
    )
    properties = {KIND_KEY: kind, SCHEMA_KEY: canonical_json(schema.to_json()).decode()}
    helper.set_model_props(model, properties)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def parse(data: bytes) -> tuple[Any, dict[str, str], Schema]:
    """An ONNX file that Holdfast wrote: the model, its properties, and the schema among them.

    Raises:
        WireError: not ONNX, without a schema that this version understands, or with parts that could read files, loop
            for ever or answer at random.
    """
    try:
        model = onnx.load_model_from_string(data)
        _refuse_unsafe(model)
        onnx.checker.check_model(model)
    except WireError:
        raise
    except Exception as error:  # noqa: BLE001 - protobuf and the checker raise types of their own
        raise WireError(f"expected an ONNX model, got bytes that are none: {first_line(error)}") from None
    properties = {item.key: item.value for item in model.metadata_props}
    try:
        text = properties[SCHEMA_KEY]
        if len(text) > limits.MAX_JSON_BYTES:
            raise WireError(f"the schema inside the ONNX model has {len(text)} characters, too many to be one")
        schema = Schema.from_json(json.loads(text))
    except (KeyError, TypeError, ValueError, RecursionError, ConfigError) as error:
        raise WireError(f"expected an ONNX model that carries a Holdfast schema, got none: {error}") from None
    return model, properties, schema


def _refuse_unsafe(message: Any) -> None:
    """Refuse, at any depth, what a classifier does not need and a hostile file could use."""
    kind = message.DESCRIPTOR.name
    if kind == "TensorProto" and (message.data_location != TensorProto.DEFAULT or message.external_data):
        raise WireError(f"the ONNX model reads {message.name!r} from another file, expected all of it in one")
    if kind in ("FunctionProto", "TrainingInfoProto"):
        raise WireError(f"the ONNX model has a part of the kind {kind}, which Holdfast does not take")
    if kind == "NodeProto" and (message.domain not in _DOMAINS or message.op_type in _REFUSED_OPERATORS):
        raise WireError(
            f"the ONNX model uses {message.domain or 'ai.onnx'}.{message.op_type}, which Holdfast does not take"
        )
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in (value,) if hasattr(value, "ListFields") else value:
                _refuse_unsafe(part)


def initializers(model: Any) -> Mapping[str, Any]:
    """The constants of a graph as arrays, by name."""
    return {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}


def _constant(name: str, value: Any) -> Any:
    return numpy_helper.from_array(np.asarray(value), name=name)


def first_line(error: Exception) -> str:
    """The first line of a foreign error, at most 200 characters."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
