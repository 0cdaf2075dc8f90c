"""Data: what a table means, a table that keeps to it, and what is wrong with it."""

from typing import TYPE_CHECKING

from holdfast.deferred import deferred

if TYPE_CHECKING:
    from holdfast.data.checks import DataChecks, run_checks
    from holdfast.data.columns import columns_of
    from holdfast.data.dataset import Dataset, Labels, from_frame
    from holdfast.data.findings import DataFinding
    from holdfast.data.frames import (
        Matrix,
        check_columns,
        check_features,
        columns_from_frame,
        features_from_frame,
        features_to_frame,
    )
    from holdfast.data.inspect import ExcludedColumn, FeatureGuess, TableGuess, inspect_table
    from holdfast.data.load import load, read_table
    from holdfast.data.manifest import Manifest, build_manifest
    from holdfast.data.manifest_diff import ManifestDiff, RowChange, compare
    from holdfast.data.personal import PersonalColumn, find_personal
    from holdfast.data.relation import Relation
    from holdfast.data.schema import Feature, Schema
    from holdfast.data.tumour import tumour_frame, tumour_schema
else:
    __getattr__ = deferred(
        __name__,
        {
            "checks": ("DataChecks", "run_checks"),
            "columns": ("columns_of",),
            "dataset": ("Dataset", "Labels", "from_frame"),
            "findings": ("DataFinding",),
            "frames": (
                "Matrix",
                "check_columns",
                "check_features",
                "columns_from_frame",
                "features_from_frame",
                "features_to_frame",
            ),
            "inspect": ("ExcludedColumn", "FeatureGuess", "TableGuess", "inspect_table"),
            "load": ("load", "read_table"),
            "manifest": ("Manifest", "build_manifest"),
            "manifest_diff": ("ManifestDiff", "RowChange", "compare"),
            "personal": ("PersonalColumn", "find_personal"),
            "relation": ("Relation",),
            "schema": ("Feature", "Schema"),
            "tumour": ("tumour_frame", "tumour_schema"),
        },
    )

__all__ = [
    "DataChecks",
    "DataFinding",
    "Dataset",
    "ExcludedColumn",
    "Feature",
    "FeatureGuess",
    "Labels",
    "Manifest",
    "ManifestDiff",
    "Matrix",
    "PersonalColumn",
    "Relation",
    "RowChange",
    "Schema",
    "TableGuess",
    "build_manifest",
    "check_columns",
    "check_features",
    "columns_from_frame",
    "columns_of",
    "compare",
    "features_from_frame",
    "features_to_frame",
    "find_personal",
    "from_frame",
    "inspect_table",
    "load",
    "read_table",
    "run_checks",
    "tumour_frame",
    "tumour_schema",
]
