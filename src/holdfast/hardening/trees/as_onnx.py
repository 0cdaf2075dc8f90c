"""Robust trees as ONNX behind the encoding of a schema, so that they are sealed, attacked and served like any model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from onnx import TensorProto, helper

from holdfast.data import Matrix, Schema
from holdfast.hardening.trees.tree import RobustTree
from holdfast.models import Encoding, OnnxModel
from holdfast.models.onnx_graph import ENCODED, OUTPUT, encoding_nodes, to_bytes

_ML_OPSET: Final = 3


def model_of_scores(schema: Schema, trees: Sequence[RobustTree], *, base: float) -> OnnxModel:
    """A classifier whose second class has the probability sigmoid(base + what the trees reach)."""
    leaves = [tree.value[tree.is_leaf][:, None] for tree in trees]
    return _model(schema, trees, leaves, post_transform="LOGISTIC", base_values=[base])


def model_of_shares(schema: Schema, trees: Sequence[RobustTree]) -> OnnxModel:
    """A classifier whose second class has the probability (1 + what the trees reach) / 2."""
    even = 1 / len(trees)
    leaves = [tree.value[tree.is_leaf][:, None] * [-0.5, 0.5] + even / 2 for tree in trees]
    return _model(schema, trees, leaves, post_transform="NONE")


def _model(schema: Schema, trees: Sequence[RobustTree], leaves: Sequence[Matrix], **outputs: Any) -> OnnxModel:
    nodes, constants = encoding_nodes(Encoding(schema))
    nodes += [
        helper.make_node("Cast", [ENCODED], ["single"], to=TensorProto.FLOAT),
        helper.make_node(
            "TreeEnsembleClassifier",
            ["single"],
            ["label", "likely"],
            domain="ai.onnx.ml",
            classlabels_int64s=[0, 1],
            **_splits(trees),
            **_leaves(trees, leaves),
            **outputs,
        ),
        helper.make_node("Cast", ["likely"], [OUTPUT], to=TensorProto.DOUBLE),
    ]
    opsets = [helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
    return OnnxModel(to_bytes(nodes, constants, schema, kind="trees", opsets=opsets))


def _splits(trees: Sequence[RobustTree]) -> dict[str, Any]:
    """The operator's attributes on all nodes."""
    modes = np.concatenate([tree.is_leaf for tree in trees])
    return {
        "nodes_treeids": _numbers(trees, [len(tree.column) for tree in trees]),
        "nodes_nodeids": np.concatenate([np.arange(len(tree.column)) for tree in trees]).tolist(),
        "nodes_featureids": np.concatenate([np.maximum(tree.column, 0) for tree in trees]).tolist(),
        "nodes_modes": np.where(modes, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_values": np.concatenate([tree.cut for tree in trees]).tolist(),
        "nodes_truenodeids": np.concatenate([tree.left for tree in trees]).tolist(),
        "nodes_falsenodeids": np.concatenate([tree.right for tree in trees]).tolist(),
    }


def _leaves(trees: Sequence[RobustTree], leaves: Sequence[Matrix]) -> dict[str, Any]:
    """The operator's attributes on leaves, whose values are (leaves, outputs) for each tree."""
    outputs = leaves[0].shape[1]
    return {
        "class_treeids": _numbers(trees, [values.size for values in leaves]),
        "class_nodeids": np.concatenate([np.repeat(np.flatnonzero(tree.is_leaf), outputs) for tree in trees]).tolist(),
        "class_ids": np.concatenate([np.tile(np.arange(outputs), len(values)) for values in leaves]).tolist(),
        "class_weights": np.concatenate([values.ravel() for values in leaves]).tolist(),
    }


def _numbers(trees: Sequence[RobustTree], times: Sequence[int]) -> list[int]:
    return [int(number) for number in np.repeat(np.arange(len(trees)), times)]
