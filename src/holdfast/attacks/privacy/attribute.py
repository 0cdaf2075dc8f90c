"""Attribute inference: does a model tell what someone did not say about a person in its training data?

The attacker knows a record but for one value, may ask the model for probabilities, and has other records of the same
population. What it guesses rightly it might have guessed without the model (Jayaraman and Evans, "Are attribute
inference attacks just imputation?", 2022). So each value is guessed twice, and the guesses are compared:

* by imputation: the value with the largest P(value | other features, label), learned from the population;
* with the model: the value with the largest P(value | other features) · P(label | value, other features), the first
  learned from the population and the second asked of the model (Fredrikson et al., "Privacy in pharmacogenetics",
  2014).

The gain is what the model adds. What of it the model knows about these very records shows in the difference to
records that it was not trained on (Yeom et al., "Privacy risk in machine learning", 2018, definition 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holdfast.attacks import references
from holdfast.attacks.oracle import Oracle, check_subject
from holdfast.attacks.stats import difference, paired_difference
from holdfast.data import Dataset, Labels, Matrix
from holdfast.data.one_thread import one_thread
from holdfast.errors import DataError, UsageError
from holdfast.evidence import Evidence, Figure
from holdfast.intervals import proportion
from holdfast.models import Model
from holdfast.telling import Telling

Flags = npt.NDArray[np.bool_]

_BINS: Final = 10
"""Equally frequent ranges that a number is guessed to."""
_MIN_POPULATION: Final = 20
"""Records that imputation is learned from; with fewer it says nothing, and any model seems to add something."""
_LEAST_PROBABILITY: Final = 1e-3
"""A value that imputation holds impossible is one that it has seldom seen."""
_MOST_CATEGORIES: Final = 255
"""Categories that gradient boosting in scikit-learn takes as such; with more they are taken as numbers."""
_ROUNDS: Final = 100
_SEEDS: Final = 2**31


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class AttributeResult(Telling):
    """How well one value of a record could be told.

    Args:
        feature: whose values were guessed.
        choices: values, or ranges of values, to guess from.
        with_model: (members,) whether the guess with the model was right.
        by_imputation: (members,) whether the guess without it was.
        accuracy, imputation: the shares of the two, over members.
        gain: accuracy - imputation over the same members; a lower bound on what the model adds.
        advantage: accuracy over members minus accuracy over records that the model was not trained on.
        members: positions of the attacked members; those without the value are left out.
    """

    feature: str
    choices: int
    with_model: Flags
    by_imputation: Flags
    accuracy: Figure
    imputation: Figure
    gain: Figure
    advantage: Figure
    members: Labels

    @property
    def given_away(self) -> Labels:
        """Positions of the members whose value is told by the model and not without it. Some of them by chance."""
        return self.members[self.with_model & ~self.by_imputation]

    def to_evidence(self, model_digest: str) -> Evidence:
        """The result as evidence about the model with this digest."""
        return Evidence(
            kind="attribute-inference",
            subject=model_digest,
            subject_kind="model",
            title=self._title(),
            figures={
                "accuracy": self.accuracy,
                "imputation": self.imputation,
                "gain": self.gain,
                "advantage": self.advantage,
            },
            samples={
                "with_model": self.with_model.astype(float).tolist(),
                "by_imputation": self.by_imputation.astype(float).tolist(),
            },
            context={"feature": self.feature, "choices": self.choices, "members": len(self.members)},
            references=references.INVERSION,
            caveats=(
                "An attack shows what can be inferred at least; a better attack may infer more.",
                "A gain need not come from the records attacked: a model tells of people like them too.",
                "Imputation by other means may guess better, and leave less of a gain.",
            ),
        )

    def _title(self) -> str:
        measured = f"{self.accuracy.value:.1%} of its values guessed, {self.imputation.value:.1%} without the model"
        if self.gain.low is not None and self.gain.low > 0:
            return f"The model helps to guess {self.feature!r} of its training records: {measured}"
        return f"The model was not seen to help guess {self.feature!r} of its training records: {measured}"


def attribute_inference(
    model: Model, *, members: Dataset, non_members: Dataset, feature: str, rng: np.random.Generator
) -> AttributeResult:
    """Try to tell one value of the records that a model was trained on.

    Args:
        model: the target, asked for probabilities only.
        members: the records it was trained on.
        non_members: records of the same population that it was not trained on; half of them, drawn at random, are what
            the attacker learns from, the other half is attacked for comparison.
        feature: the value that is guessed; a number is guessed to one of ten equally frequent ranges.
        rng: draws the halves, and seeds imputation.

    Raises:
        DataError: another schema, too few records, or a value that is the same everywhere.
        UsageError: no such feature.
        UnsupportedError: the answers are not probabilities, or differ from one time to the next.
    """
    if feature not in model.schema.names:
        raise UsageError(f"expected a feature of the model, got {feature!r}", hint=f"name one of {model.schema.names}")
    check_subject(model, members, at_least=2)
    check_subject(model, non_members, at_least=2 * _MIN_POPULATION)
    oracle = Oracle(model)
    oracle.check_repeatable(members.X)
    order = rng.permutation(len(non_members))
    half = len(order) // 2
    attacker = _Attacker(oracle, non_members.take(order[:half]), feature, seed=int(rng.integers(_SEEDS)))
    with_model, by_imputation, attacked = attacker.attack(members)
    others, _, _ = attacker.attack(non_members.take(order[half:]))
    return AttributeResult(
        feature=feature,
        choices=attacker.choices,
        with_model=with_model,
        by_imputation=by_imputation,
        accuracy=proportion(int(with_model.sum()), len(with_model), bound="lower"),
        imputation=proportion(int(by_imputation.sum()), len(by_imputation)),
        gain=paired_difference(with_model, by_imputation),
        advantage=difference(with_model, others, bound="lower"),
        members=attacked,
    )


class _Attacker:
    """What the attacker has learned from the population, and what it guesses.

    Args:
        oracle: the model.
        population: records to learn from.
        feature: what to guess.
        seed: of the imputation.
    """

    def __init__(self, oracle: Oracle, population: Dataset, feature: str, *, seed: int) -> None:
        self._oracle = oracle
        self._position = population.schema.index(feature)
        self._is_category = population.schema.features[self._position].kind == "category"
        known = self._with_value(population)
        values = population.X[known, self._position]
        if len(values) < _MIN_POPULATION or len(np.unique(values)) < 2:
            raise DataError(
                f"expected at least {_MIN_POPULATION} records with different values of {feature!r} to learn from, "
                f"got {len(values)} with {len(np.unique(values))}"
            )
        self._edges = np.unique(np.quantile(values, np.arange(1, _BINS) / _BINS)) if not self._is_category else None
        codes, self._seen = self._codes(values), np.unique(self._codes(values))
        self._candidates = np.array([np.median(values[codes == code]) for code in self._seen])
        learn = population.take(known)
        self._with_label = self._imputer(learn, codes, seed=seed, label=True)
        self._without_label = self._imputer(learn, codes, seed=seed, label=False)

    @property
    def choices(self) -> int:
        """Values that are guessed from."""
        return len(self._seen)

    def attack(self, data: Dataset) -> tuple[Flags, Flags, Labels]:
        """Whether each guess with the model and each by imputation is right, and the positions of those guessed."""
        known = np.flatnonzero(self._with_value(data))
        if len(known) == 0:
            raise DataError("expected records with a value to guess, got none")
        data = data.take(known)
        truth = self._codes(data.X[:, self._position])
        imputed = self._with_label.predict_proba(self._other_columns(data, label=True))
        prior = self._without_label.predict_proba(self._other_columns(data, label=False))
        joint = np.maximum(prior, _LEAST_PROBABILITY) * self._likelihood(data)
        guess, plain = self._seen[joint.argmax(axis=1)], self._seen[imputed.argmax(axis=1)]
        return guess == truth, plain == truth, known

    def _likelihood(self, data: Dataset) -> Matrix:
        """(records, choices) the model's probability of each record's own label, with each value in turn."""
        columns = []
        for candidate in self._candidates:
            X = data.X.copy()
            X[:, self._position] = candidate
            columns.append(self._oracle.predict_proba(X)[np.arange(len(data)), data.y])
        return np.column_stack(columns)

    def _codes(self, values: Matrix) -> Labels:
        """The category of each value, or the range that it lies in."""
        if self._edges is None:
            return values.astype(np.int64)
        return np.searchsorted(self._edges, values, side="right").astype(np.int64)

    def _with_value(self, data: Dataset) -> Flags:
        return ~np.isnan(data.X[:, self._position])

    def _other_columns(self, data: Dataset, *, label: bool) -> Matrix:
        others = np.delete(data.X, self._position, axis=1)
        return np.column_stack([others, data.y]) if label else others

    @one_thread()
    def _imputer(self, data: Dataset, codes: Labels, *, seed: int, label: bool) -> Any:
        """A classifier, learned from records whose value is known, for as many rounds as do best on a quarter of them.

        One that has learned too much is too sure of itself, and what the model says would not count beside it.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier

        rest = [feature for i, feature in enumerate(data.schema.features) if i != self._position]
        categorical = [f.kind == "category" and len(f.categories) <= _MOST_CATEGORIES for f in rest]
        X = self._other_columns(data, label=label)
        flags = [*categorical, True] if label else categorical
        learner = HistGradientBoostingClassifier(
            max_iter=_ROUNDS, learning_rate=0.05, l2_regularization=1.0, categorical_features=flags, random_state=seed
        )
        held_out = np.arange(len(X)) % 4 == 0
        trial = learner.fit(X[~held_out], codes[~held_out])
        losses = [_log_loss(P, codes[held_out], trial.classes_) for P in trial.staged_predict_proba(X[held_out])]
        return learner.set_params(max_iter=int(np.argmin(losses)) + 1).fit(X, codes)


def _log_loss(P: Matrix, codes: Labels, classes: Labels) -> float:
    """The mean surprise at the codes that are there; a code that was never learned is as good as impossible."""
    own = np.where(codes[:, None] == classes, P, 0.0).sum(axis=1)
    return float(-np.log(np.maximum(own, _LEAST_PROBABILITY)).mean())
