"""Tensors of the Open Inference Protocol v2, in JSON, to rows of a schema; and predictions to tensors.

Rows come as one tensor per feature, named after it, or as one FP64 tensor `features` of shape [rows, features] with
categories as their positions in the schema. `null` stands for a missing value. A number of type FP32 or FP16 is taken
as it is written in JSON. Protocol: https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from holdfast.data import Feature, Matrix, Schema
from holdfast.errors import DataError, InputError
from holdfast.http.json_body import parse_object, shown
from holdfast.limits import MAX_NAME_CHARS, MAX_REQUEST_ROWS
from holdfast.serving import Prediction

MATRIX: Final = "features"
OUTPUTS: Final = ("probabilities", "label")

_INTEGER_RANGES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {f"INT{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)}
    | {f"UINT{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)}
)
_JSON_TYPES: Final[Mapping[str, tuple[type, ...]]] = MappingProxyType(
    {"BOOL": (bool,), "BYTES": (str,), "FP16": (int, float), "FP32": (int, float), "FP64": (int, float)}
    | dict.fromkeys(_INTEGER_RANGES, (int,))
)


class InferRequest:
    """One inference request as it came; read when it is first asked for anything.

    Args:
        body: the JSON.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._parsed: Mapping[str, Any] | None = None

    def rows(self, schema: Schema) -> Matrix:
        """(rows, features) in the schema's units; ranges and relations are not checked yet.

        Raises:
            InputError: the request is not what the protocol or the schema says.
        """
        _ = self.id, self.outputs
        tensors = _by_name(self._document.get("inputs"))
        if MATRIX in tensors and MATRIX not in schema.names:
            return _matrix(tensors, schema)
        names = schema.names
        if unknown := [name for name in tensors if name not in names]:
            raise DataError(f"expected the model's features as inputs, got {shown(unknown[0])} too")
        if absent := [name for name in names if name not in tensors]:
            raise DataError(f"expected an input for every feature, {shown(absent[0])} is not there")
        columns = [_column(tensors[feature.name], feature) for feature in schema.features]
        if len({len(column) for column in columns}) != 1:
            raise DataError("expected inputs of one length, got several")
        return np.column_stack(columns)

    @property
    def id(self) -> str | None:
        """What the answer is to carry, to be told from others.

        Raises:
            InputError: it is not a short text.
        """
        value = self._document.get("id")
        if value is not None and not (isinstance(value, str) and len(value) <= MAX_NAME_CHARS):
            raise InputError(f"expected an id of at most {MAX_NAME_CHARS} characters, got {shown(value)}")
        if value is not None and not _is_unicode(value):
            raise InputError(f"expected an id in Unicode, got half of a character in {shown(value)}")
        return value

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that were asked for: all of them, unless the request names some.

        Raises:
            InputError: one that the model does not have.
        """
        names = tuple(_by_name(self._document.get("outputs", [])))
        if unknown := [name for name in names if name not in OUTPUTS]:
            raise InputError(f"expected outputs among {', '.join(OUTPUTS)}, got {shown(unknown[0])}")
        return names or OUTPUTS

    @property
    def _document(self) -> Mapping[str, Any]:
        if self._parsed is None:
            self._parsed = parse_object(self._body)
        return self._parsed


def input_tensors(schema: Schema) -> list[dict[str, Any]]:
    """The inputs of the model as its metadata names them."""
    kinds = {"real": "FP64", "integer": "INT64", "category": "BYTES"}
    return [{"name": f.name, "datatype": kinds[f.kind], "shape": [-1]} for f in schema.features]


def output_tensors(schema: Schema) -> list[dict[str, Any]]:
    """The outputs of the model as its metadata names them."""
    probabilities, label = OUTPUTS
    return [
        {"name": probabilities, "datatype": "FP64", "shape": [-1, len(schema.classes)]},
        {"name": label, "datatype": "BYTES", "shape": [-1]},
    ]


def prediction_tensors(prediction: Prediction, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """The outputs asked for."""
    P = prediction.probabilities
    data = {
        "probabilities": {"datatype": "FP64", "shape": list(P.shape), "data": P.ravel().tolist()},
        "label": {"datatype": "BYTES", "shape": [len(P)], "data": list(prediction.labels)},
    }
    return [{"name": name, **data[name]} for name in names]


def _by_name(tensors: object) -> dict[str, dict[str, Any]]:
    """Tensors by name; of their other fields nothing is known yet."""
    if not isinstance(tensors, list):
        raise InputError(f"expected a list of tensors, got {shown(tensors)}")
    found: dict[str, dict[str, Any]] = {}
    for tensor in tensors:
        name = tensor.get("name") if isinstance(tensor, dict) else None
        if not isinstance(name, str):
            raise InputError(f"expected a tensor with a name, got {shown(tensor)}")
        if name in found:
            raise InputError(f"expected each tensor once, got {shown(name)} twice")
        found[name] = tensor
    return found


def _matrix(tensors: dict[str, dict[str, Any]], schema: Schema) -> Matrix:
    if len(tensors) != 1:
        raise DataError(f"expected the one tensor {MATRIX!r} or one for each feature, got both")
    tensor, width = tensors[MATRIX], len(schema.features)
    datatype, shape, values = _checked(tensor)
    if datatype != "FP64" or len(shape) != 2 or shape[1] != width:
        raise DataError(f"expected {MATRIX!r} as FP64 of shape [rows, {width}], got {datatype} of {shown(shape)}")
    return _numbers(MATRIX, values).reshape(-1, width)


def _column(tensor: dict[str, Any], feature: Feature) -> Matrix:
    datatype, shape, values = _checked(tensor)
    if len(shape) == 2 and shape[1] != 1:
        raise DataError(f"expected {shown(feature.name)} of shape [rows], got {shown(shape)}")
    if feature.kind == "category":
        return _codes(feature, values)
    if datatype == "BYTES":
        raise DataError(f"expected numbers for {shown(feature.name)}, got BYTES")
    return _numbers(feature.name, values)


def _checked(tensor: dict[str, Any]) -> tuple[str, list[int], list[Any]]:
    """Datatype, shape and flat data of a tensor, of which each value is of the datatype or null."""
    name, datatype, shape, data = (tensor.get(field) for field in ("name", "datatype", "shape", "data"))
    if not isinstance(datatype, str) or datatype not in _JSON_TYPES:
        raise DataError(f"expected {shown(name)} of a type among {', '.join(_JSON_TYPES)}, got {shown(datatype)}")
    if not isinstance(shape, list) or len(shape) not in (1, 2) or not all(type(n) is int and n >= 0 for n in shape):
        raise DataError(f"expected {shown(name)} with a shape of one or two numbers, got {shown(shape)}")
    if shape[0] > MAX_REQUEST_ROWS:
        raise DataError(f"expected at most {MAX_REQUEST_ROWS} rows in one request, got {shown(shape[0])}")
    if not isinstance(data, list):
        raise DataError(f"expected {shown(name)} with its data as a list, got {shown(data)}")
    values = _flat(data, shape)
    if len(values) != np.prod(shape, dtype=object):
        raise DataError(f"expected as many values in {shown(name)} as its shape {shown(shape)} has, got {len(values)}")
    types = _JSON_TYPES[datatype]
    wrong = next((value for value in values if value is not None and type(value) not in types), None)
    if wrong is not None:
        raise DataError(f"expected values of type {datatype} in {shown(name)}, got {shown(wrong)}")
    if datatype in _INTEGER_RANGES:
        _check_integers(name, datatype, values)
    return datatype, shape, values


def _flat(data: list[Any], shape: list[int]) -> list[Any]:
    """The data without the nesting that the protocol allows."""
    if len(shape) == 2 and data and all(isinstance(row, list) and len(row) == shape[1] for row in data):
        return list(chain.from_iterable(data))
    return data


def _check_integers(name: object, datatype: str, values: list[Any]) -> None:
    low, high = _INTEGER_RANGES[datatype]
    wrong = next((value for value in values if value is not None and not low <= value <= high), None)
    if wrong is not None:
        raise DataError(f"expected {datatype} in {shown(name)}, got a number outside its range")


def _numbers(name: str, values: list[Any]) -> Matrix:
    try:
        return np.array(values, dtype=np.float64)  # None becomes NaN, which is what a missing value is
    except OverflowError:
        raise DataError(f"expected numbers in {shown(name)}, got one too large to be one") from None


def _codes(feature: Feature, values: list[Any]) -> Matrix:
    positions: dict[str | None, float] = {text: float(code) for code, text in enumerate(feature.categories)}
    positions[None] = np.nan
    texts = [None if value is None else str(value) for value in values]
    unknown = next((text for text in texts if text not in positions), None)
    if unknown is not None:
        raise DataError(f"expected a category of {shown(feature.name)}, got {shown(unknown)}")
    return np.array([positions[text] for text in texts], dtype=np.float64)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
