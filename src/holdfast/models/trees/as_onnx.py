"""Trees written as ONNX behind the encoding of a schema, to be sealed, attacked and served like any model."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from onnx import TensorProto, helper

from holdfast.data import Schema
from holdfast.errors import UnsupportedError
from holdfast.models.encoding import Encoding
from holdfast.models.links import Link, fits
from holdfast.models.onnx_graph import ENCODED, OUTPUT, encoding_nodes, to_bytes
from holdfast.models.onnx_model import OnnxModel
from holdfast.models.trees.cuts import largest_float32_below
from holdfast.models.trees.ensemble import Ensemble, Rule, Tree

_ML_OPSET: Final = 3
_TRANSFORMS: Final[Mapping[Link, str]] = MappingProxyType(
    {"identity": "NONE", "logistic": "LOGISTIC", "softmax": "SOFTMAX"}
)
"""What the operator does for a link whose probabilities add up to one."""


def model_of_trees(schema: Schema, ensemble: Ensemble, *, kind: str) -> OnnxModel:
    """The classifier that an ensemble is on the encoded rows of a schema, rounded to float32.

    Each row reaches the leaves that it reaches in the ensemble; their values are rounded to float32 and summed in it.
    Encoded rows have no missing values, so where those go is not written.

    Args:
        schema: of the rows.
        ensemble: over the columns of the schema's encoding, each a number to it.
        kind: what the file calls the model.

    Raises:
        UnsupportedError: a split is not `x < cut`, or the scores are not made into one probability for each class.
    """
    link, outputs, classes = ensemble.link, ensemble.n_outputs, len(schema.classes)
    single_share = link == "identity" and outputs < classes
    if link not in _TRANSFORMS or single_share or not fits(link, outputs=outputs, classes=classes):
        raise UnsupportedError(
            f"{ensemble.kind}: {outputs} scores with the link {link!r} are no probabilities of {classes} classes",
            hint="train with the library's own objective for classification",
        )
    nodes, constants = encoding_nodes(Encoding(schema))
    nodes += [
        helper.make_node("Cast", [ENCODED], ["single"], to=TensorProto.FLOAT),
        helper.make_node(
            "TreeEnsembleClassifier",
            ["single"],
            ["label", "likely"],
            domain="ai.onnx.ml",
            classlabels_int64s=list(range(classes)),
            post_transform=_TRANSFORMS[link],
            **_attributes(ensemble),
        ),
        helper.make_node("Cast", ["likely"], [OUTPUT], to=TensorProto.DOUBLE),
    ]
    opsets = [helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
    return OnnxModel(to_bytes(nodes, constants, schema, kind=kind, opsets=opsets))


def _attributes(ensemble: Ensemble) -> dict[str, Any]:
    """The operator's attributes on the nodes of all trees.

    The base is a tree of one leaf: ONNX Runtime takes two base values for something else, and some tree is needed.
    """
    base = Tree(rules=(), children=np.empty((0, 2), dtype=np.int64), leaves=ensemble.base[None])
    trees = (base, *ensemble.trees)
    parts = [_splits(tree, number) | _leaves(tree, number) for number, tree in enumerate(trees)]
    return {name: [value for part in parts for value in part[name]] for name in parts[0]}


def _splits(tree: Tree, number: int) -> dict[str, list[Any]]:
    """All nodes of a tree: the splits, the root first, and then the leaves."""
    splits, leaves = len(tree.rules), len(tree.leaves)
    children = np.where(tree.children >= 0, tree.children, splits + ~tree.children)
    none = [0] * leaves
    return {
        "nodes_treeids": [number] * (splits + leaves),
        "nodes_nodeids": list(range(splits + leaves)),
        "nodes_featureids": [rule.feature for rule in tree.rules] + none,
        "nodes_modes": ["BRANCH_LEQ"] * splits + ["LEAF"] * leaves,
        "nodes_values": largest_float32_below([_cut(rule) for rule in tree.rules]).tolist() + [0.0] * leaves,
        "nodes_truenodeids": children[:, 0].tolist() + none,
        "nodes_falsenodeids": children[:, 1].tolist() + none,
    }


def _leaves(tree: Tree, number: int) -> dict[str, list[Any]]:
    """What each leaf adds to each output."""
    leaves, outputs = tree.leaves.shape
    return {
        "class_treeids": [number] * tree.leaves.size,
        "class_nodeids": np.repeat(len(tree.rules) + np.arange(leaves), outputs).tolist(),
        "class_ids": list(range(outputs)) * leaves,
        "class_weights": tree.leaves.ravel().tolist(),
    }


def _cut(rule: Rule) -> float:
    if rule.categories is not None or len(rule.edges) != 1:
        raise UnsupportedError(
            f"the split of encoded column {rule.feature} is not at one threshold, as those of ONNX are",
            hint="train without categorical_feature and zero_as_missing; the encoding has columns for both",
        )
    return rule.edges[0]
