"""A first guess at the schema of a table, with its reasons, for a person to correct: what `holdfast init` writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from holdfast import limits
from holdfast.data.frames import name_of
from holdfast.data.hints import PAIRS, has_hint, words
from holdfast.data.number_guess import few_codes, has_fractions, whole_range
from holdfast.data.personal import personal_kind
from holdfast.data.relation import Relation
from holdfast.data.schema import Feature, Schema
from holdfast.errors import DataError, UnsupportedError
from holdfast.near import did_you_mean

MAX_GUESSED_CATEGORIES: Final = 100
"""Different texts up to which a column is guessed to be a category; more read like free text."""
MAX_GUESSED_CLASSES: Final = 30
"""Different numbers up to which a target is guessed to be a class; more read like a quantity."""

_MOST_DIFFERENT: Final = 0.5
_COLUMNS_SHOWN: Final = 10


@dataclass(frozen=True, kw_only=True)
class FeatureGuess:
    """A feature, and why it was guessed so where that is not plain to see ("" where it is)."""

    feature: Feature
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ExcludedColumn:
    """A column that was left out of the features, and why."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class TableGuess:
    """A first guess at what a table means.

    Args:
        rows: number of rows.
        target, classes: the target and its classes, sorted.
        class_counts: rows of each class.
        features: in the table's order. Every range and list of categories was read from the data.
        excluded: columns left out, in the table's order.
        relations: hold in every row, and the names suggest that they always do. Suggestions only.
    """

    rows: int
    target: str
    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    features: tuple[FeatureGuess, ...]
    excluded: tuple[ExcludedColumn, ...]
    relations: tuple[Relation, ...]

    @property
    def schema(self) -> Schema:
        """The guess as a schema, suggested relations included."""
        features = tuple(guess.feature for guess in self.features)
        return Schema(features=features, target=self.target, classes=self.classes, relations=self.relations)


def inspect_table(frame: pd.DataFrame, *, target: str) -> TableGuess:
    """Guess what the columns of a table mean.

    Raises:
        DataError: no rows, no such target, a target with missing values or one class, or nothing left to learn from.
        UnsupportedError: the target is a quantity; Holdfast keeps classifiers only for now.
    """
    if len(frame) == 0:
        raise DataError("expected a table with rows, got one without")
    if not all(isinstance(name, str) for name in frame.columns) or frame.columns.has_duplicates:
        raise DataError("expected column names that are texts, each once", hint="rename the columns of the table")
    classes, counts = _classes(frame, target)
    guesses = [_guess(frame[name]) for name in frame.columns if name != target]
    features = tuple(guess for guess in guesses if isinstance(guess, FeatureGuess))
    excluded = tuple(guess for guess in guesses if isinstance(guess, ExcludedColumn))
    if not features:
        reasons = "; ".join(f"{column.name!r} {column.reason}" for column in excluded[:3]) or "there is no other column"
        raise DataError(f"expected a column to learn {target!r} from, found none: {reasons}")
    relations = _relations(frame, [guess.feature for guess in features])
    return TableGuess(
        rows=len(frame),
        target=target,
        classes=classes,
        class_counts=counts,
        features=features,
        excluded=excluded,
        relations=relations,
    )


def _classes(frame: pd.DataFrame, target: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    if target not in frame.columns:
        names = [str(name) for name in frame.columns]
        shown = ", ".join(names[:_COLUMNS_SHOWN]) + (", …" if len(names) > _COLUMNS_SHOWN else "")
        raise DataError(
            f"the table has no column {target!r}, it has {shown}",
            hint=did_you_mean(target, names) or "name the target as the table does, with capitals and spaces",
        )
    column = frame[target]
    if missing := int(column.isna().sum()):
        raise DataError(f"{missing} rows have no value in the target {target!r}", hint="take those rows out")
    counts = pd.Series([name_of(value) for value in column], dtype=object).value_counts()
    if len(counts) < 2:
        raise DataError(f"the target {target!r} is {counts.index[0]!r} in every row, expected two classes or more")
    numeric = column.dtype.kind in "iuf"
    if numeric and (len(counts) > MAX_GUESSED_CLASSES or has_fractions(column)):
        raise UnsupportedError(
            f"the target {target!r} has {len(counts)} different numbers, which reads like a quantity; "
            "Holdfast keeps classifiers only for now",
            hint="make classes of it, such as above and below a threshold",
        )
    if len(counts) > limits.MAX_CLASSES or len(counts) > _MOST_DIFFERENT * len(frame) > 2:
        raise DataError(f"the target {target!r} has {len(counts)} classes in {len(frame)} rows, too many to learn")
    ordered = sorted(map(str, counts.index), key=(lambda name: float(name)) if numeric else None)
    return tuple(ordered), tuple(int(counts[name]) for name in ordered)


def _guess(column: pd.Series[Any]) -> FeatureGuess | ExcludedColumn:
    """What a column is, or why it is left out."""
    name = str(column.name)
    values = column.dropna()
    if reason := _why_out(name, values):
        return ExcludedColumn(name=name, reason=reason)
    nullable = len(values) < len(column)
    reasons = [f"{len(column) - len(values)} of {len(column)} values are missing"] if nullable else []
    fixed = has_hint(name, "fixed")
    if fixed:
        reasons.append("by its name, nobody can change it")
    shared: dict[str, Any] = {"name": name, "nullable": nullable, "range_source": "data"}
    shared["mutability"] = "fixed" if fixed else "free"
    codes = few_codes(values)
    if codes:
        reasons.append(f"only {codes} different whole numbers, taken for codes: say integer and a range if it counts")
    if values.dtype.kind in "iuf" and not codes:
        kind, low, high = whole_range(values)
        feature = Feature(kind=kind, low=low, high=high, **shared)
    else:
        categories = tuple(sorted({str(name_of(value)) for value in values.unique()}))
        feature = Feature(kind="category", categories=categories, **shared)
    return FeatureGuess(feature=feature, reason="; ".join(reasons))


def _why_out(name: str, values: pd.Series[Any]) -> str:
    """Why a column cannot be a feature, or ""."""
    if not 1 <= len(name) <= limits.MAX_NAME_CHARS:
        return f"has a name of {len(name)} characters, 1 to {limits.MAX_NAME_CHARS} are kept"
    if len(values) == 0:
        return "has no value in any row"
    try:
        different = len({name_of(value) for value in values.unique()})
    except TypeError:
        return "holds values that are neither numbers nor texts"
    if different == 1:
        return f"is {str(name_of(values.iloc[0]))[:40]!r} in every row that has a value"
    if values.dtype.kind == "M":
        return "holds dates; a number made of them, such as days since, could be a feature"
    if personal := personal_kind(values, rng=np.random.default_rng(0)):
        return f"{str(personal).split(' ', 2)[2]}"
    mostly_different = different > _MOST_DIFFERENT * len(values) and different > 10
    if mostly_different and not has_fractions(values) and has_hint(name, "identifier"):
        return "tells rows apart, by its name and its values: an identifier"
    return _why_no_number(values) if values.dtype.kind in "iuf" else _why_no_category(values, different)


def _why_no_number(values: pd.Series[Any]) -> str:
    numbers = values.to_numpy(dtype=np.float64)
    if not np.isfinite(numbers).all():
        return "has infinite values"
    largest = limits.MAX_WHOLE if values.dtype.kind in "iu" else limits.MAX_MAGNITUDE
    if np.abs(numbers).max() > largest:
        return "has numbers too large to be exact; they read like an identifier"
    steps = np.diff(np.sort(numbers))
    if len(numbers) > 10 and (steps == 1).all() and not has_fractions(values):
        return "counts the rows: every whole number of its range, once"
    return ""


def _why_no_category(values: pd.Series[Any], different: int) -> str:
    numbers = pd.to_numeric(values.astype(str), errors="coerce")
    if len(values) > numbers.notna().sum() > 0.9 * len(values):
        odd = values[numbers.isna()]
        return f"holds numbers, and {len(odd)} values that are none, such as {str(odd.iloc[0])[:40]!r}"
    if different == len(values) > 10:
        return "has another text in every row: an identifier or free text"
    if different > MAX_GUESSED_CATEGORIES:
        return f"has {different} different texts, more than the {MAX_GUESSED_CATEGORIES} that read like a category"
    if max(len(str(value)) for value in values.unique()) > limits.MAX_NAME_CHARS:
        return f"has texts of more than {limits.MAX_NAME_CHARS} characters: free text"
    return ""


def _relations(frame: pd.DataFrame, features: list[Feature]) -> tuple[Relation, ...]:
    """`left <= right` for numeric features whose names differ in one word of a known pair, where all rows keep it."""
    numeric = {words(feature.name): feature.name for feature in features if feature.kind != "category"}
    found = []
    for key, left in numeric.items():
        for small, large in PAIRS:
            right = numeric.get(tuple(large if word == small else word for word in key))
            if small in key and right is not None:
                relation = Relation(left, "<=", right)
                if relation.holds(frame[left].to_numpy(), frame[right].to_numpy()).all():
                    found.append(relation)
    return tuple(found)
