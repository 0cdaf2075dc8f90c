"""Robust trees of GROOT 0.0.17, and of the provably robust boosting that it carries, as lists of nodes.

A node is [feature, threshold, left, right, value] with the feature -1 for a leaf; values up to the threshold go left.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from groot.model import GrootRandomForestClassifier
from groot.provably_robust_boosting.wrapper import fit_provably_robust_boosting

Node = list[float]


def nodes_of(tree: dict[str, Any]) -> list[Node]:
    """A tree that was dumped as XGBoost dumps its own."""
    nodes: list[Node] = []

    def add(node: dict[str, Any]) -> int:
        place = len(nodes)
        nodes.append([-1, 0.0, 0, 0, float(node.get("leaf", 0.0))])
        if "leaf" not in node:
            by_id = {child["nodeid"]: child for child in node["children"]}
            left, right = (add(by_id[node[side]]) for side in ("yes", "no"))
            nodes[place] = [int(str(node["split"]).lstrip("f")), float(node["split_condition"]), left, right, 0.0]
        return place

    add(tree)
    return nodes


def main(case: str, arrays: Path) -> None:
    """Fit, and print the trees and the seconds of CPU time."""
    with np.load(arrays) as file:
        X, y, radius = file["X"], file["y"], float(file["radius"])
    start = time.process_time()
    if case == "forest":
        forest = GrootRandomForestClassifier(
            n_estimators=100,
            max_depth=8,
            min_samples_split=10,
            min_samples_leaf=5,
            attack_model=[radius] * X.shape[1],
            random_state=0,
        )
        trees = forest.fit(X, y).to_xgboost_json(output_file=None)
    else:
        boosted = fit_provably_robust_boosting(X, y, n_trees=100, epsilon=radius, max_depth=8)
        trees = [tree.get_json_dict(counter_terminal_nodes=-10)[0] for tree in boosted.trees]
    seconds = time.process_time() - start
    print(json.dumps({"trees": [nodes_of(tree) for tree in trees], "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
