"""Trees in ONNX: the operators TreeEnsembleClassifier and TreeEnsembleRegressor, as converters write them.

Operators: https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleClassifier.html. With float32 rows, a value is
rounded and compared in float32; how two classes share one score is as in ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from holdfast.errors import UnsupportedError, WireError
from holdfast.files import read_bytes
from holdfast.limits import MAX_BUNDLE_BYTES, MAX_CLASSES, MAX_COLUMNS
from holdfast.models.links import Link
from holdfast.models.onnx_model import OnnxModel
from holdfast.models.trees.cuts import below, below_float32, up_to, up_to_float32
from holdfast.models.trees.ensemble import Column, Ensemble, Fork, Rule, Tree, count, grow

_TREES: Final = ("TreeEnsembleClassifier", "TreeEnsembleRegressor")
_BEHIND: Final = ("Cast", "Identity", "ZipMap", "Reshape", "Flatten", "Squeeze")
"""Operators behind the trees that leave the scores as they are."""
_ENCODED: Final = "encoded"
"""In Holdfast's own graphs, the rows behind the encoding of their schema."""

Attributes = Mapping[str, Any]


def holds_trees(model: Any) -> bool:
    """Whether an ONNX graph has an ensemble of trees."""
    return any(node.op_type in (*_TREES, "TreeEnsemble") for node in model.graph.node)


def load_onnx(path: Path) -> Any:
    """An ONNX file.

    Raises:
        WireError: it is none.
    """
    try:
        return onnx.load_model_from_string(read_bytes(path, max_bytes=MAX_BUNDLE_BYTES, what="an ONNX model"))
    except (ValueError, TypeError) as error:
        raise WireError(f"expected an ONNX model in {path}, got none: {error!r:.200}") from None
    except Exception as error:
        if type(error).__name__ != "DecodeError":
            raise
        raise WireError(f"expected an ONNX model in {path}, got bytes that are none") from None


def read_onnx_model(model: OnnxModel) -> Ensemble:
    """A model that Holdfast keeps; a row is what the schema's encoding makes of it."""
    return read_onnx(onnx.load_model_from_string(model.onnx))


def read_onnx(model: Any) -> Ensemble:
    """A graph of one ensemble of trees.

    Raises:
        UnsupportedError: it has other operators.
        WireError: its trees are malformed.
    """
    trees = [node for node in model.graph.node if node.op_type in _TREES]
    if len(trees) != 1:
        raise UnsupportedError(f"expected a graph with one ensemble of trees, got {len(trees)}")
    single, n_features = _input(model.graph, trees[0])
    _check_behind(model.graph, trees[0])
    attributes = {item.name: _value(item) for item in trees[0].attribute}
    try:
        return _read(attributes, single=single, n_features=n_features, regressor=trees[0].op_type == _TREES[1])
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise WireError(f"expected an ensemble of trees, got one without what it has: {error!r:.200}") from None


def _value(attribute: Any) -> Any:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value).tolist()
    if isinstance(value, bytes):
        return value.decode()
    return [item.decode() if isinstance(item, bytes) else item for item in value] if isinstance(value, list) else value


def _input(graph: Any, node: Any) -> tuple[bool, int]:
    """Whether the trees see float32, and of how many features (0 where the graph does not say)."""
    made = {name: item for item in graph.node for name in item.output}
    given = {item.name: item.type.tensor_type for item in graph.input}
    name, kinds = node.input[0], []
    while name not in given and name != _ENCODED:
        if name not in made or made[name].op_type not in ("Cast", "Identity"):
            operator = made[name].op_type if name in made else "a constant"
            raise UnsupportedError(
                f"the ONNX operator {operator} in front of the trees is not read",
                hint="convert the trees by themselves, and prepare the rows before",
            )
        kinds += [item.i for item in made[name].attribute if item.name == "to"]
        name = made[name].input[0]
    shape = list(given[name].shape.dim) if name in given else []
    kinds += [given[name].elem_type] if name in given else [TensorProto.DOUBLE]
    if not set(kinds) <= {TensorProto.FLOAT, TensorProto.DOUBLE}:
        raise UnsupportedError("trees in ONNX over whole numbers are not read", hint="convert with float rows")
    return TensorProto.FLOAT in kinds, shape[1].dim_value if len(shape) == 2 else 0


def _check_behind(graph: Any, node: Any) -> None:
    names = set(node.output)
    for item in graph.node:
        if names & set(item.input):
            if item.op_type not in _BEHIND:
                raise UnsupportedError(
                    f"the ONNX operator {item.op_type} behind the trees is not read",
                    hint="convert the trees by themselves",
                )
            names |= set(item.output)


def _read(a: Attributes, *, single: bool, n_features: int, regressor: bool) -> Ensemble:
    prefix = "target" if regressor else "class"
    names = [str(name) for name in a.get("classlabels_strings") or a.get("classlabels_int64s") or ()]
    outputs = a[f"{prefix}_ids"]
    n_outputs = count(a.get("n_targets", 1) if regressor else len(names), most=MAX_CLASSES, what="outputs")
    shared = not regressor and len(names) == 2 and len(set(outputs)) == 1
    if shared:
        n_outputs, outputs = 1, [0] * len(outputs)
    weights = a.get(f"{prefix}_weights_as_tensor") or a[f"{prefix}_weights"]
    leaves: dict[tuple[int, int], NDArray[np.float64]] = {}
    for tree, node, output, weight in zip(
        a[f"{prefix}_treeids"], a[f"{prefix}_nodeids"], outputs, weights, strict=True
    ):
        leaves.setdefault((tree, node), np.zeros(n_outputs))[output] += weight
    trees = _trees(a, leaves, n_outputs, single=single)
    missing = any(a.get("nodes_missing_value_tracks_true", ()))
    n_features = max([n_features, *(1 + feature for feature in a["nodes_featureids"])])
    n_features = count(n_features, most=MAX_COLUMNS, what="features")
    base = a.get("base_values_as_tensor") or a.get("base_values") or [0.0] * n_outputs
    return Ensemble(
        columns=(Column(missing=missing),) * n_features,
        trees=_averaged(trees) if a.get("aggregate_function") == "AVERAGE" else trees,
        base=np.array(base, dtype=np.float64)[-n_outputs:],
        link=_link(a, regressor=regressor, shared=shared, signed=min(weights, default=0) < 0),
        classes=tuple(names),
        kind=f"ONNX, {len(trees)} trees",
        cut=up_to_float32 if single else up_to,
    )


def _averaged(trees: Sequence[Tree]) -> tuple[Tree, ...]:
    return tuple(Tree(rules=t.rules, children=t.children, leaves=t.leaves / len(trees)) for t in trees)


def _link(a: Attributes, *, regressor: bool, shared: bool, signed: bool) -> Link:
    transform, aggregate = a.get("post_transform", "NONE"), a.get("aggregate_function", "SUM")
    if aggregate not in ("SUM", "AVERAGE"):
        raise UnsupportedError(f"trees in ONNX whose values are taken by {aggregate} are not read")
    if transform not in ("NONE", "LOGISTIC", "SOFTMAX") or (regressor and transform != "NONE"):
        raise UnsupportedError(f"trees in ONNX behind the transform {transform} are not read")
    if transform == "NONE":
        return "decision" if shared and signed else "identity"
    if transform == "SOFTMAX":
        return "logistic" if shared else "softmax"
    return "logistic" if shared else "normalised"


def _trees(
    a: Attributes, leaves: Mapping[tuple[int, int], NDArray[np.float64]], n_outputs: int, *, single: bool
) -> tuple[Tree, ...]:
    keys = list(zip(a["nodes_treeids"], a["nodes_nodeids"], strict=True))
    thresholds = np.array(a.get("nodes_values_as_tensor") or a["nodes_values"], dtype=np.float64)
    lower = (below_float32 if single else below)(thresholds)
    upper = (up_to_float32 if single else up_to)(thresholds)
    tracks = a.get("nodes_missing_value_tracks_true") or [0] * len(keys)
    position = {key: i for i, key in enumerate(keys)}
    if len(position) != len(keys):
        raise WireError("expected every node of a tree once, got one twice")

    def node(key: tuple[int, int]) -> Fork | list[float]:
        i = position[key]
        mode = a["nodes_modes"][i]
        if mode == "LEAF":
            return [float(value) for value in leaves.get(key, np.zeros(n_outputs))]
        yes, no = (key[0], a["nodes_truenodeids"][i]), (key[0], a["nodes_falsenodeids"][i])
        rule, swapped = _rule(mode, a["nodes_featureids"][i], float(lower[i]), float(upper[i]), bool(tracks[i]))
        return Fork(rule, no, yes) if swapped else Fork(rule, yes, no)

    roots: dict[int, tuple[int, int]] = {}
    children = {
        (tree, child)
        for (tree, _), mode, *pair in zip(
            keys, a["nodes_modes"], a["nodes_truenodeids"], a["nodes_falsenodeids"], strict=True
        )
        if mode != "LEAF"
        for child in pair
    }
    for key in keys:
        if key not in children:
            roots.setdefault(key[0], key)
    if set(roots) != set(a["nodes_treeids"]):
        raise WireError("expected a root for every tree, got one whose nodes are all below others")
    trees = tuple(grow(root, node) for root in roots.values())
    if sum(len(tree.rules) + len(tree.leaves) for tree in trees) != len(keys):
        raise WireError("expected every node of a tree below its root, got one that is not")
    return trees


def _rule(mode: str, feature: int, lower: float, upper: float, tracks: bool) -> tuple[Rule, bool]:  # noqa: FBT001
    """The rule for a mode, and whether its left is where the comparison fails.

    NaN compares false, but for "not equal".
    """
    equal = (-np.inf, lower, upper)
    edges, swapped = {
        "BRANCH_LEQ": ((upper,), False),
        "BRANCH_LT": ((lower,), False),
        "BRANCH_GT": ((upper,), True),
        "BRANCH_GTE": ((lower,), True),
        "BRANCH_EQ": (equal, False),
        "BRANCH_NEQ": (equal, True),
    }[mode]
    holds = tracks or mode == "BRANCH_NEQ"
    return Rule(feature=feature, edges=edges, missing_left=holds != swapped), swapped
