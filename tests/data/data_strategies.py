"""Hypothesis strategies for schemas and for rows that keep to them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from holdfast.data import Dataset, Feature, Schema

NAMES = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=12)
_RANGES = {
    "real": st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)),
    "integer": st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000)),
}


@st.composite
def features(draw: st.DrawFn, *, name: str) -> Feature:
    """Any feature under a name."""
    kind: Any = draw(st.sampled_from(["real", "integer", "category"]))
    nullable = draw(st.booleans())
    source: Any = draw(st.sampled_from(["public", "data"]))
    if kind == "category":
        categories = tuple(draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)))
        mutability: Any = draw(st.sampled_from(["free", "fixed"]))
        return Feature(
            name=name, kind=kind, categories=categories, mutability=mutability, nullable=nullable, range_source=source
        )
    low, high = sorted(draw(_RANGES[kind]))
    mutability = draw(st.sampled_from(["free", "fixed", "increase", "decrease"]))
    return Feature(
        name=name,
        kind=kind,
        low=low,
        high=high + 1,
        mutability=mutability,
        nullable=nullable,
        range_source=source,
    )


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """Any schema of one to five features, without relations."""
    names = draw(st.lists(NAMES, min_size=2, max_size=6, unique=True))
    classes = tuple(draw(st.lists(NAMES, min_size=2, max_size=4, unique=True)))
    return Schema(features=tuple(draw(features(name=name)) for name in names[1:]), target=names[0], classes=classes)


@st.composite
def datasets(draw: st.DrawFn, *, max_rows: int = 12) -> Dataset:
    """Any data set of a few rows."""
    schema = draw(schemas())
    rows = draw(st.integers(1, max_rows))
    columns = []
    for feature in schema.features:
        if feature.kind == "category":
            value: Any = st.integers(0, len(feature.categories) - 1)
        elif feature.kind == "integer":
            value = st.integers(int(feature.low), int(feature.high))
        else:
            value = st.floats(feature.low, feature.high)
        cell = st.one_of(st.none(), value) if feature.nullable else value
        columns.append([np.nan if v is None else float(v) for v in draw(st.lists(cell, min_size=rows, max_size=rows))])
    y = draw(st.lists(st.integers(0, len(schema.classes) - 1), min_size=rows, max_size=rows))
    return Dataset(schema, np.array(columns, dtype=np.float64).T, np.array(y, dtype=np.int64))
