"""What private estimators share: a plan from what is public, an entry in the ledger, and then the records.

fit(X, y) ── features_of ──> what the columns are             (said by the caller, or learned with noise below)
          ── planned ─────> events                            (from shapes alone)
          ── spend ───────> ledger, statement                 (written before any noise is drawn)
          ── learn_ranges ─> ranges, where none were said     (one noisy histogram)
          ── the method ──> model_
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from holdfast.data import Dataset, Feature, Labels, Matrix, Schema
from holdfast.data.frames import name_of
from holdfast.evidence import canonical_json, digest_bytes
from holdfast.models import LinearModel, OnnxModel
from holdfast.training.account.accounting import epsilon_of
from holdfast.training.account.budget import Part, planned_events
from holdfast.training.account.events import Event, NoisySums
from holdfast.training.account.ledger import Entry, Ledger
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.account.statement import PrivacyStatement
from holdfast.training.estimators.inputs import (
    InvalidInput,
    Ranges,
    features_of,
    into_ranges,
    numbers_within,
    rows_alone,
    rows_and_target,
    schema_for,
)
from holdfast.training.tables.ranges import learn_ranges, range_part
from holdfast.training.tables.refusals import check_records, check_schema

RANGE_SHARE: Final = 0.1
"""Of the budget, for learning ranges where the caller says none."""


class PrivateEstimator:
    """What keeps the account of an estimator: parameters and results that all of them have."""

    method: ClassVar[str]

    epsilon: float
    delta: float
    features: Sequence[Feature] | None
    feature_ranges: Ranges | None
    ledger: LedgerFile | None

    n_features_in_: int
    schema_: Schema
    events_: tuple[Event, ...]
    epsilon_: float
    statement_: PrivacyStatement

    def __sklearn_tags__(self) -> Any:
        """No two fits are alike; and on tables as small as those of scikit-learn's checks, noise is most of a fit."""
        tags: Any = super().__sklearn_tags__()  # type: ignore[misc]
        tags.non_deterministic = True
        for kind in (tags.classifier_tags, tags.regressor_tags):
            if kind is not None:
                kind.poor_score = True
        tags.input_tags.allow_nan = self.features is not None and any(f.nullable for f in self.features)
        return tags

    @property
    def _learns_ranges(self) -> bool:
        return self.features is None and self.feature_ranges is None

    def _names(self) -> tuple[str, ...]:
        given = getattr(self, "feature_names_in_", None)
        return tuple(f"x{n}" for n in range(self.n_features_in_)) if given is None else tuple(map(str, given))

    def _spend(self, events: tuple[Event, ...], *arrays: Any) -> None:
        """Enter the events in the ledger, and keep the statement on them."""
        digest = digest_bytes(canonical_json(self._names()) + b"".join(np.asarray(a).tobytes() for a in arrays))
        step = type(self).__name__
        entry = Entry(step=step, data_digest=digest, released=True, events=events, method=self.method)
        if self.ledger is None:
            ledger = Ledger(epsilon_limit=self.epsilon, delta=self.delta).add(entry)
        else:
            ledger = self.ledger.spend(entry)
        self.events_ = events
        self.epsilon_ = epsilon_of(events, delta=self.delta)
        self.statement_ = ledger.statement_for(step)

    def _prepared(self, X: Any) -> Matrix:
        """Rows to predict, within their ranges."""
        check_is_fitted(self)
        return into_ranges(rows_alone(self, X), self.schema_.features)


class PrivateClassifier(PrivateEstimator, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose method says its parts and trains from their events."""

    classes: Sequence[Any] | None

    def plan(self, schema: Schema, *, rows: int) -> tuple[Event, ...]:
        """The events of a fit, that of the ranges first where they are learned; `rows` is for who calls it public.

        It looks at no record. `fit` enters what it says in the ledger; who trains by `train_on` has to.

        Raises:
            UsageError: a parameter that has no meaning.
        """
        raise NotImplementedError

    def train_on(self, data: Dataset, events: tuple[Any, ...]) -> LinearModel | OnnxModel:
        """The model, from records within public ranges and the method's own events, which this object planned."""
        raise NotImplementedError

    def fit(self, X: Any, y: Any) -> Self:
        """Train. It spends epsilon, every time that it is called.

        Args:
            X: (rows, columns) numbers; or a table with the columns that `features` names.
            y: (rows,) the class of each row.

        Raises:
            DataError: rows or labels that cannot be trained on. For what scikit-learn refuses it is a ValueError too.
            ConfigError: features with ranges or categories that were read from the records.
            UsageError: a parameter that has no meaning, or a delta that is not below one in the number of rows.
            BudgetError: the ledger's limit would be passed; nothing was spent.
        """
        rows, y = rows_and_target(self, X, y, numeric_target=False)
        labels = self._read_classes(y)
        names = [name_of(value) or "" for value in self.classes_]
        features = features_of(self._names(), features=self.features, ranges=self.feature_ranges)
        data = Dataset(schema_for(features, names), into_ranges(rows, features), labels)
        check_schema(data.schema)
        check_records(data, delta=self.delta)
        events = self.plan(data.schema, rows=len(rows))
        self._spend(events, rows, labels)
        if self._learns_ranges:
            learned = numbers_within(self._names(), learn_ranges(rows, noise_multiplier=events[0].noise_multiplier))
            data = Dataset(schema_for(learned, names), into_ranges(rows, learned), labels)
            events = events[1:]
        self.schema_ = data.schema
        self.model_ = self.train_on(data, events)
        return self

    def predict_proba(self, X: Any) -> Matrix:
        """(rows, classes) probabilities, in the order of `classes_`."""
        rows = self._prepared(X)
        return self.model_.predict_proba(rows)

    def predict(self, X: Any) -> Any:
        """(rows,) the most probable class of each row."""
        probability = self.predict_proba(X)
        return self.classes_[probability.argmax(axis=1)]

    def _read_classes(self, y: Any) -> Labels:
        """Set `classes_`; the position of each label among them."""
        try:
            check_classification_targets(y)
        except ValueError as error:
            raise InvalidInput(str(error), hint="for a target that is a number, take DPLinearRegression") from error
        present = np.unique(y)
        self.classes_ = present if self.classes is None else np.unique(np.asarray(self.classes))
        if len(strange := np.setdiff1d(present, self.classes_)):
            raise InvalidInput(
                f"expected labels of the classes {self.classes_.tolist()[:10]}, got {strange.tolist()[0]!r}"
            )
        if len(self.classes_) < 2:
            raise InvalidInput(f"expected labels of 2 classes or more, got 1 class: {self.classes_.tolist()[0]!r}")
        return np.asarray(np.searchsorted(self.classes_, y), dtype=np.int64)


def planned(parts: Sequence[Part], *, learned_columns: int, epsilon: float, delta: float) -> tuple[NoisySums, ...]:
    """The events of a method, behind that of learning the ranges of so many columns where there are any."""
    if learned_columns == 0:
        return planned_events(parts, epsilon=epsilon, delta=delta)
    rest = [replace(part, share=part.share * (1 - RANGE_SHARE)) for part in parts]
    return planned_events([range_part(learned_columns, share=RANGE_SHARE), *rest], epsilon=epsilon, delta=delta)
