"""Which front end reads which model: a table, looked through in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from holdfast.errors import UnsupportedError, WireError
from holdfast.files import read_bytes
from holdfast.limits import MAX_BUNDLE_BYTES
from holdfast.models import LinearModel, OnnxModel, load_model
from holdfast.private_inference import linear
from holdfast.private_inference.circuit import Reading

_Rows = NDArray[np.float64] | None
_Names = Sequence[str] | None


class Reader(NamedTuple):
    """A front end: whether it knows a model, and what it makes of it with rows and names of classes."""

    knows: Callable[[Any], bool]
    read: Callable[..., Reading]


def read_model(model: Any, *, X: _Rows, classes: _Names) -> Reading:
    """The model as an encoding and a program.

    Raises:
        UnsupportedError: no front end knows it, or one that does cannot compile it.
        InputError: there is no such file, or it is malformed.
        UsageError: rows or names are needed and not given, or do not fit.
    """
    for reader in _READERS:
        if reader.knows(model):
            return reader.read(model, X=X, classes=classes)
    found = f"the file {model}" if _is_path(model) else f"{type(model).__module__}.{type(model).__qualname__}"
    raise UnsupportedError(
        f"private inference does not know {found} as a model",
        hint="give a fitted model of scikit-learn, XGBoost, LightGBM, interpret or PyTorch, or the path of an .onnx"
        " file, of XGBoost's .json or .ubj, or of LightGBM's .txt",
    )


def _later(room: str, knows: str, read: str) -> Reader:
    """A front end that is imported when a model comes that the ones before it do not know."""

    def call(name: str, *args: Any, **given: Any) -> Any:
        return getattr(import_module(f"holdfast.private_inference.{room}"), name)(*args, **given)

    return Reader(partial(call, knows), partial(call, read))


def _is_path(model: Any) -> bool:
    return isinstance(model, str | Path)


def _is_onnx_path(model: Any) -> bool:
    return _is_path(model) and Path(model).suffix == ".onnx"


def _read_onnx_path(path: Any, *, X: _Rows, classes: _Names) -> Reading:
    """A model that Holdfast keeps, with its schema; or any other graph, by its operators."""
    data = read_bytes(Path(path), max_bytes=MAX_BUNDLE_BYTES, what="an ONNX model")
    try:
        graph = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise WireError(f"expected an ONNX model in {path}, got bytes that are none: {error!r:.100}") from None
    try:
        model: Any = load_model(data)
    except WireError:  # without a schema it is none of Holdfast's
        model = graph if _TREES.knows(graph) else data
    return read_model(model, X=X, classes=classes)


def _read_kept_network(model: Any, *, X: _Rows, classes: _Names) -> Reading:
    """A model that Holdfast keeps and that is no linear one and none of trees: what cannot be compiled is named."""
    return _NETWORKS.read(model.onnx, X=X, classes=classes)


_TREES: Final = _later("trees", "knows", "read")
_NETWORKS: Final = _later("networks", "is_network", "read_network")
_READERS: Final = (
    Reader(lambda model: isinstance(model, LinearModel), linear.read_linear_model),
    Reader(linear.is_linear_estimator, linear.read_linear_estimator),
    Reader(_is_onnx_path, _read_onnx_path),
    _TREES,
    _NETWORKS,
    Reader(lambda model: isinstance(model, OnnxModel), _read_kept_network),
)
