"""Which model of trees, or additive one, is read by whom, and what the compiler gets of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast.data import Schema
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.models import Encoding, OnnxModel
from holdfast.models.trees import Ensemble, is_trees, tree_reader
from holdfast.models.trees.on_schema import cuts_on_schema, on_schema
from holdfast.private_inference.circuit import Reading
from holdfast.private_inference.program import LinearProgram
from holdfast.private_inference.trees.additive import Additive
from holdfast.private_inference.trees.bins import NumberBins
from holdfast.private_inference.trees.compile import compile_trees
from holdfast.private_inference.trees.decoys import decoy_candidates
from holdfast.private_inference.trees.encoding import BinEncoding
from holdfast.private_inference.trees.on_scalers import check_scalers, on_scalers, scaled_first
from holdfast.private_inference.trees.own_scores import own_scores
from holdfast.private_inference.trees.read_ebm import read_ebm

Model: TypeAlias = Ensemble | Additive


def knows(model: Any) -> bool:
    """Whether a model is one of trees or an additive one, or the path of a file that may hold one."""
    last = _apart(model)[1]
    return _is_ebm(last) or is_trees(last)


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
        found = _on_schema(found, model.schema, X)
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


def _on_schema(found: Ensemble, schema: Schema, X: NDArray[np.float64] | None) -> Ensemble:
    """The trees over the features of the schema, with the cuts among which decoys are drawn."""
    trees = on_schema(found, schema)
    rows = None if X is None else Encoding(schema).encode(X)[:, : found.n_features]
    return replace(trees, cut_points=cuts_on_schema(decoy_candidates(found, rows), schema))


def _reader(model: Any) -> Callable[[Any], Model] | None:
    return read_ebm if _is_ebm(model) else tree_reader(model)


def _is_ebm(model: Any) -> bool:
    """By the class, so that the library is not imported where the user has it not."""
    return any(
        (cls.__module__.partition(".")[0], cls.__name__) == ("interpret", "EBMModel") for cls in type(model).__mro__
    )


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
