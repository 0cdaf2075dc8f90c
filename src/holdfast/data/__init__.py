"""Data: what a table means, a table that keeps to it, and what is wrong with it."""

from holdfast.data.dataset import (
    Dataset,
    Labels,
    Matrix,
    check_features,
    features_from_frame,
    features_to_frame,
    from_frame,
)
from holdfast.data.schema import Feature, Relation, Schema

__all__ = [
    "Dataset",
    "Feature",
    "Labels",
    "Matrix",
    "Relation",
    "Schema",
    "check_features",
    "features_from_frame",
    "features_to_frame",
    "from_frame",
]
