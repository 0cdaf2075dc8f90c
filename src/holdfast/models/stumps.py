"""Sums of stumps, that is additive models, as ONNX: what private boosting makes, quick in private inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from onnx import TensorProto, helper

from holdfast.data import Matrix, Schema
from holdfast.models.encoding import Encoding
from holdfast.models.onnx_graph import ENCODED, OUTPUT, encoding_nodes, to_bytes
from holdfast.models.onnx_model import OnnxModel

_ML_OPSET: Final = 3


@dataclass(frozen=True, eq=False)
class Stump:
    """A tree of one split: adds something to the scores of rows whose encoded value lies above a threshold.

    Args:
        column: the encoded column.
        above: the threshold, a float32; the value is compared in that precision.
        adds: (scores,) what is added.
    """

    column: int
    above: float
    adds: Matrix


def model_of_stumps(schema: Schema, base: Matrix, stumps: Sequence[Stump]) -> OnnxModel:
    """A classifier whose scores are `base` and what its stumps add.

    Args:
        schema: of the rows.
        base: (1,) for two classes, where the score is that of the second, else (classes,).
        stumps: over the columns of the schema's encoding.
    """
    nodes, constants = encoding_nodes(Encoding(schema))
    nodes += [
        helper.make_node("Cast", [ENCODED], ["single"], to=TensorProto.FLOAT),
        helper.make_node(
            "TreeEnsembleClassifier",
            ["single"],
            ["label", "likely"],
            domain="ai.onnx.ml",
            **_trees(base, stumps, schema),
        ),
        helper.make_node("Cast", ["likely"], [OUTPUT], to=TensorProto.DOUBLE),
    ]
    opsets = [helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
    return OnnxModel(to_bytes(nodes, constants, schema, kind="stumps", opsets=opsets))


def _trees(base: Matrix, stumps: Sequence[Stump], schema: Schema) -> dict[str, Any]:
    """The attributes of the operator: for each stump a root, a left leaf that adds nothing, and a right one."""
    stumps = stumps or [Stump(0, 0.0, np.zeros(len(base)))]  # a tree is needed, even to say nothing
    scores, trees, n = len(base), np.arange(len(stumps)), len(stumps)
    return {
        "nodes_treeids": np.repeat(trees, 3).tolist(),
        "nodes_nodeids": [0, 1, 2] * n,
        "nodes_featureids": [number for stump in stumps for number in (stump.column, 0, 0)],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"] * n,
        "nodes_values": [number for stump in stumps for number in (stump.above, 0.0, 0.0)],
        "nodes_truenodeids": [1, 0, 0] * n,
        "nodes_falsenodeids": [2, 0, 0] * n,
        "class_treeids": np.repeat(trees, 2 * scores).tolist(),
        "class_nodeids": ([1] * scores + [2] * scores) * n,
        "class_ids": list(range(scores)) * (2 * n),
        "class_weights": np.concatenate([[0.0 * stump.adds, stump.adds] for stump in stumps]).ravel().tolist(),
        "base_values": base.tolist(),
        "classlabels_int64s": list(range(len(schema.classes))),
        "post_transform": "SOFTMAX" if scores > 1 else "LOGISTIC",
    }
