"""The table of readers: which model is read by whom, and what the compiler gets of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray

from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.models import OnnxModel
from holdfast.private_inference.circuit import Reading
from holdfast.private_inference.program import LinearProgram
from holdfast.private_inference.trees.additive import Additive
from holdfast.private_inference.trees.bins import NumberBins
from holdfast.private_inference.trees.compile import compile_trees
from holdfast.private_inference.trees.encoding import BinEncoding
from holdfast.private_inference.trees.ensemble import Ensemble
from holdfast.private_inference.trees.on_scalers import check_scalers, on_scalers, scaled_first
from holdfast.private_inference.trees.on_schema import on_schema
from holdfast.private_inference.trees.own_scores import own_scores
from holdfast.private_inference.trees.read_ebm import read_ebm
from holdfast.private_inference.trees.read_hist import read_hist
from holdfast.private_inference.trees.read_lightgbm import read_lightgbm, read_lightgbm_file
from holdfast.private_inference.trees.read_onnx import holds_trees, load_onnx, read_onnx, read_onnx_model
from holdfast.private_inference.trees.read_sklearn import read_boosting, read_forest, read_tree
from holdfast.private_inference.trees.read_xgboost import read_xgboost, read_xgboost_file

Model: TypeAlias = Ensemble | Additive

_OBJECTS: Final[Mapping[str, Callable[[Any], Model]]] = MappingProxyType(
    {
        "xgboost.XGBModel": read_xgboost,
        "xgboost.Booster": read_xgboost,
        "lightgbm.LGBMModel": read_lightgbm,
        "lightgbm.Booster": read_lightgbm,
        "sklearn.BaseDecisionTree": read_tree,
        "sklearn.BaseForest": read_forest,
        "sklearn.BaseGradientBoosting": read_boosting,
        "sklearn.BaseHistGradientBoosting": read_hist,
        "interpret.EBMModel": read_ebm,
        "holdfast.OnnxModel": read_onnx_model,
        "onnx.ModelProto": read_onnx,
    }
)
"""By the library and the class, or one that it inherits from; so no library is imported that the user has not."""
_FILES: Final[Mapping[str, Callable[[Path], Model]]] = MappingProxyType(
    {
        ".json": read_xgboost_file,
        ".ubj": read_xgboost_file,
        ".txt": read_lightgbm_file,
        ".onnx": lambda path: read_onnx(load_onnx(path)),
    }
)


def knows(model: Any) -> bool:
    """Whether a model is one of trees or an additive one, or the path of a file that may hold one."""
    if isinstance(model, str | Path) and Path(model).suffix == ".onnx":
        return holds_trees(load_onnx(Path(model)))
    if isinstance(model, OnnxModel):
        return holds_trees(onnx.load_model_from_string(model.onnx))
    if isinstance(model, onnx.ModelProto):
        return holds_trees(model)
    return _reader(_apart(model)[1]) is not None


def read(model: Any, *, X: NDArray[np.float64] | None = None, classes: Sequence[str] | None = None) -> Reading:
    """A model of trees, or an additive one, as an encoding and a program.

    Args:
        model: a fitted model of XGBoost, LightGBM, scikit-learn or interpret, also behind scalers of scikit-learn in a
            pipeline, a graph in ONNX, or the path of a file: XGBoost's .json and .ubj, LightGBM's .txt, .onnx.
        X: rows (rows, n_features) like those that it learned from, for decoys that look like its thresholds.
        classes: names of the classes; without it, the model's own.

    Raises:
        UnsupportedError: nobody reads it, or it cannot be compiled.
        WireError: a file is malformed.
        UsageError: the names are not as many as the classes.
        DataError: X has not as many columns as the model has features.
    """
    scalers, last = _apart(model)
    reader = _reader(last)
    if reader is None:
        raise UnsupportedError(f"no reader of trees knows {type(model).__module__}.{type(model).__qualname__}")
    check_scalers(scalers)
    behind = found = reader(last)
    if X is not None and not isinstance(model, OnnxModel) and X.shape[1:] != (found.n_features,):
        raise DataError(
            f"expected rows of the model's {found.n_features} features, got an array of shape {X.shape}",
            hint="leave out the column that the model predicts, and others that it was not trained on",
        )
    if scalers:
        found = _before(scalers, found, X)
    if isinstance(model, OnnxModel) and isinstance(found, Ensemble):
        found = on_schema(found, model.schema, X)
    found = _named(found, classes)
    encoding, program = compile_trees(found, X=X)
    return Reading(
        kind="additive" if isinstance(program, LinearProgram) else "trees",
        encoding=encoding,
        program=program,
        link=found.link,
        classes=found.classes,
        clear=scaled_first(scalers, own_scores(last, behind)) if scalers else own_scores(model, found),
        notes=_notes(encoding, X),
    )


def _apart(model: Any) -> tuple[Sequence[Any], Any]:
    """The steps of a pipeline of scikit-learn before its last one, and that; any other model is a last step alone."""
    if not (type(model).__module__.startswith("sklearn.") and hasattr(model, "steps")):
        return (), model
    *steps, last = (step for _, step in model.steps)
    return [step for step in steps if step not in (None, "passthrough")], last


def _before(scalers: Sequence[Any], found: Model, X: NDArray[np.float64] | None) -> Ensemble:
    if isinstance(found, Additive):
        raise UnsupportedError("additive models behind a scaler are not compiled", hint="fit them on rows as they are")
    return on_scalers(found, scalers, X)


def _reader(model: Any) -> Callable[[Any], Model] | None:
    if isinstance(model, str | Path):
        return _from_file if Path(model).suffix in _FILES else None
    for cls in type(model).__mro__:
        if found := _OBJECTS.get(f"{cls.__module__.partition('.')[0]}.{cls.__name__}"):
            return found
    return None


def _from_file(path: str | Path) -> Model:
    return _FILES[Path(path).suffix](Path(path))


def _named(model: Model, classes: Sequence[str] | None) -> Model:
    if classes is None or not model.classes:
        return model
    if len(classes) != len(model.classes):
        raise UsageError(f"expected names for {len(model.classes)} classes, got {len(classes)}")
    return replace(model, classes=tuple(classes))


def _notes(encoding: BinEncoding, X: NDArray[np.float64] | None) -> tuple[str, ...]:
    """What the encoding gives away."""
    if any(block.coding == "one-hot" for block in encoding.blocks):
        return ("The cells of every feature are public; they tell where the training rows lie, and no score.",)
    sizes = [len(bins.grid) for block in encoding.blocks for bins in block.bins if isinstance(bins, NumberBins)]
    usual = Counter(sizes).most_common(1)[0][0] if sizes else 0
    above = sum(size > usual for size in sizes)
    notes = [
        f"The public grid has {sum(sizes)} cuts, thresholds and decoys together; {usual} for most features."
        + (f" {above} features have more, so they have more thresholds than that." if above else ""),
    ]
    if X is None:
        notes.append("The decoys were drawn without rows to go by, and may be told from thresholds.")
    return tuple(notes)
