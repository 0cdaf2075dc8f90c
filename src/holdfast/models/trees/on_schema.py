"""Trees over the encoded columns of a schema, as trees over the schema's own features, exactly.

Encoding a number never changes the order of two values, so a cut of the encoded column has one of the number; a
column that tells a category, or that a value is missing, splits the categories or the cells of its feature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from holdfast.data import Feature, Schema
from holdfast.errors import WireError
from holdfast.models.encoding import EncodedColumn, Encoding
from holdfast.models.trees.cuts import smallest_that
from holdfast.models.trees.ensemble import Column, Ensemble, Rule

Floats = NDArray[np.float64]


def on_schema(ensemble: Ensemble, schema: Schema) -> Ensemble:
    """The same scores from rows of the schema.

    Args:
        ensemble: over the encoded columns.
        schema: of the rows.

    Raises:
        WireError: the trees ask for columns that the schema's encoding does not have.
    """
    encoding = Encoding(schema)
    if ensemble.n_features > encoding.width:
        raise WireError(f"expected trees over {encoding.width} encoded columns, got {ensemble.n_features}")
    features = schema.features

    def raw_rule(rule: Rule) -> Rule:
        column = encoding.columns[rule.feature]
        return _RULES[column.kind](rule, column, features[column.source])

    trees = tuple(replace(tree, rules=tuple(map(raw_rule, tree.rules))) for tree in ensemble.trees)
    return replace(
        ensemble,
        columns=tuple(map(_column, features)),
        trees=trees,
        classes=schema.classes if ensemble.classes else (),
    )


def cuts_on_schema(cuts: Sequence[Floats], schema: Schema) -> tuple[Floats, ...]:
    """For each feature of the schema, the finite cuts that those of its encoded column are."""
    found = [np.empty(0)] * len(schema.features)
    for own, column in zip(cuts, Encoding(schema).columns, strict=False):
        if column.kind == "scaled":
            raw = _raw_cuts(own, column, schema.features[column.source])
            found[column.source] = raw[np.isfinite(raw)]
    return tuple(found)


def _column(feature: Feature) -> Column:
    if feature.kind == "category":
        codes = tuple(range(len(feature.categories)))
        return Column(name=feature.name, categories=codes, missing=feature.nullable)
    return Column(name=feature.name, missing=feature.nullable, low=feature.low, high=feature.high)


def _scaled(rule: Rule, column: EncodedColumn, feature: Feature) -> Rule:
    edges = _raw_cuts(np.array(rule.edges), column, feature)
    missing_left = bool(rule.goes_left(np.zeros(1))[0])  # a missing number is encoded as the centre of its range
    return Rule(feature=column.source, edges=tuple(map(float, edges)), missing_left=missing_left)


def _equals(rule: Rule, column: EncodedColumn, feature: Feature) -> Rule:
    other, same = rule.goes_left(np.array([0.0, 1.0]))
    codes = frozenset(range(len(feature.categories))) - {column.code} if other else frozenset[int]()
    return Rule(feature=column.source, categories=codes | ({column.code} if same else set()), missing_left=bool(other))


def _missing(rule: Rule, column: EncodedColumn, feature: Feature) -> Rule:
    present, missing = map(bool, rule.goes_left(np.array([0.0, 1.0])))
    if feature.kind == "category":
        codes = frozenset(range(len(feature.categories))) if present else frozenset[int]()
        return Rule(feature=column.source, categories=codes, missing_left=missing)
    return Rule(feature=column.source, edges=(np.inf if present else -np.inf,), missing_left=missing)


_RULES: dict[str, Callable[[Rule, EncodedColumn, Feature], Rule]] = {
    "scaled": _scaled,
    "equals": _equals,
    "missing": _missing,
}


def _raw_cuts(cuts: Floats, column: EncodedColumn, feature: Feature) -> Floats:
    """For each cut of the encoded column, the smallest value of the range that is encoded as that or more.

    Infinite where every value of the range, or none, is.
    """

    def reaches(values: Floats) -> NDArray[np.bool_]:
        return np.clip((values - column.centre) / column.half_width, -1.0, 1.0) >= cuts

    return smallest_that(reaches, np.full(cuts.shape, feature.low), np.full(cuts.shape, feature.high))
