"""Signs of poison: triggers, flipped labels and foreign clusters, found before anything is learned from them."""

from holdfast.data.poison.clusters import Cluster, find_clusters
from holdfast.data.poison.flips import PairFlips, find_flips
from holdfast.data.poison.marks import Mark, Trigger, grouped_folds, judge_marks
from holdfast.data.poison.picture_marks import find_picture_marks
from holdfast.data.poison.table_marks import find_table_marks

__all__ = [
    "Cluster",
    "Mark",
    "PairFlips",
    "Trigger",
    "find_clusters",
    "find_flips",
    "find_picture_marks",
    "find_table_marks",
    "grouped_folds",
    "judge_marks",
]
