"""The tumour data as it ships: complete, inside its public ranges, and keeping its relations."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from holdfast import data
from holdfast.data import Dataset, check_features, tumour_frame, tumour_schema
from holdfast.errors import DataError


def test_the_table_is_that_of_scikit_learn() -> None:
    bunch, frame = load_breast_cancer(), tumour_frame()
    assert list(frame.columns) == [*bunch.feature_names, "diagnosis"]
    assert (frame.drop(columns="diagnosis").to_numpy() == bunch.data).all()
    assert (frame["diagnosis"] == "malignant").sum() == (bunch.target == 0).sum() == 212


def test_all_569_patients_lie_inside_public_ranges_and_keep_all_relations(tumour: Dataset) -> None:
    assert len(tumour) == 569
    assert tumour.schema.ranges_from_data == ()
    assert len(tumour.schema.relations) == 10
    assert tumour.schema.classes == ("benign", "malignant")
    assert np.bincount(tumour.y).tolist() == [357, 212]


def test_no_end_of_a_range_was_read_from_a_row() -> None:
    frame = tumour_frame()
    for feature in tumour_schema().features:
        values = frame[feature.name]
        assert feature.high > values.max() * 1.04, feature.name
        assert feature.low == 0.0


def test_every_relation_is_enforced_row_by_row(tumour: Dataset) -> None:
    for relation in tumour.schema.relations:
        X = tumour.X.copy()
        left, right = (tumour.schema.index(name) for name in (relation.left, relation.right))
        X[5, [left, right]] = X[5, [right, left]]
        with pytest.raises(DataError, match=f"row 5 breaks the relation '{relation}'"):
            check_features(X, tumour.schema)


def test_the_public_names_are_sorted_and_there() -> None:
    assert list(data.__all__) == sorted(data.__all__, key=lambda name: (not name[0].isupper(), name))
    assert all(hasattr(data, name) for name in data.__all__)
