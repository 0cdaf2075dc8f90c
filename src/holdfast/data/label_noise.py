"""Labels that are probably wrong: confident learning on out-of-sample probabilities.

Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", J. Artif. Intell. Res.
70, https://arxiv.org/abs/1911.00068: section 3.1 for the confident joint, section 3.2 for "prune by class".

The probabilities come from cross-validation: the mean of a logistic regression and a gradient-boosted forest, neither
of which saw the row that it judges. The confident joint says how many rows of each label are probably wrong; so many of
them, those with the least probability of their own label, are the suspects. These are wrong labels, but also rows that
are truly unusual; where classes overlap by nature, mostly the latter.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holdfast.data.dataset import Dataset, Labels
from holdfast.data.frames import Matrix
from holdfast.data.poison.marks import grouped_folds
from holdfast.evidence import Figure

MAX_TRAINED_ROWS: Final = 20_000
"""Rows that each fold's models learn from, chosen at random where there are more. All rows are judged."""
FOLDS: Final = 5
CONFIDENCE: Final = 0.95

_RESAMPLES: Final = 200
_COMMON_CATEGORIES: Final = 20


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelNoise:
    """What cross-validation says of the labels.

    Args:
        suspects: (n,) rows whose label is probably wrong, the most suspicious first.
        suggested: (n,) the class that fits each suspect better.
        self_confidence: (rows,) the probability that models which had not seen a row gave to its label.
        rate: estimated share of wrong labels. Its interval resamples rows, not models, and so is too narrow.
        accuracy: of the cross-validated models against the labels as they are.
    """

    suspects: Labels
    suggested: Labels
    self_confidence: Matrix
    rate: Figure
    accuracy: float


def find_label_noise(
    dataset: Dataset, *, rng: np.random.Generator, progress: Callable[[int, int], None] | None = None
) -> LabelNoise | None:
    """Look for wrong labels. None where a class has fewer rows than there are folds, so that nothing can be said.

    Args:
        dataset: at least `FOLDS` rows of each class.
        rng: decides folds, samples and resamples.
        progress: called with the folds done and the folds in all.
    """
    if np.bincount(dataset.y, minlength=len(dataset.schema.classes)).min() < FOLDS:
        return None
    fold = grouped_folds(dataset.y, (), folds=FOLDS, rng=rng)
    X = standardised(dataset)
    P = cross_validated(X, dataset.y, len(dataset.schema.classes), fold=fold, rng=rng, progress=progress)
    return judge_labels(P, dataset.y, rng=rng)


def judge_labels(P: Matrix, y: Labels, *, rng: np.random.Generator) -> LabelNoise:
    """Which labels out-of-sample probabilities (rows, classes) speak against; every class needs a row."""
    own = P[np.arange(len(y)), y]
    joint = _confident_joint(P, y)
    suspects = _prune_by_class(P, y, own, wrong=_wrong_shares(joint))
    return LabelNoise(
        suspects=suspects,
        suggested=P[suspects].argmax(axis=1),
        self_confidence=own,
        rate=_rate(joint, rng),
        accuracy=float(np.mean(P.argmax(axis=1) == y)),
    )


def cross_validated(
    X: Matrix,
    y: Labels,
    classes: int,
    *,
    fold: Labels,
    rng: np.random.Generator,
    estimators: Callable[[np.random.Generator], Sequence[Any]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Matrix:
    """(rows, classes) mean probabilities of estimators that did not see the fold that they judge.

    Args:
        X: (rows, columns) numbers without gaps.
        y: (rows,) labels.
        classes: number of classes.
        fold: (rows,) 0 to `FOLDS` - 1.
        rng: decides samples and seeds.
        estimators: makes scikit-learn classifiers; a logistic regression and a boosted forest if not given.
        progress: called with the folds done and the folds in all.
    """
    P = np.zeros((len(y), classes))
    for number in range(FOLDS):
        judged, train = np.flatnonzero(fold == number), _sample(np.flatnonzero(fold != number), y, rng)
        chosen = (estimators or both_estimators)(rng)
        for estimator in chosen:
            if len(judged):
                labels, judgement = _judgement(estimator, X[train], y[train], X[judged])
                P[np.ix_(judged, labels)] += judgement / len(chosen)
        if progress is not None:
            progress(number + 1, FOLDS)
    return P


def _judgement(estimator: Any, X: Matrix, y: Labels, judged: Matrix) -> tuple[Labels, Matrix]:
    """The classes that there were to learn, and their probabilities for the rows judged."""
    present = np.unique(y)
    if len(present) == 1:
        return present, np.ones((len(judged), 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that stops before it converged is good enough here
        estimator.fit(X, y)
    return present, estimator.predict_proba(judged)


def linear_estimator(rng: np.random.Generator) -> tuple[Any]:
    """A logistic regression: it follows trends and common categories, no exact value and no combination."""
    del rng  # there is nothing random in it
    from sklearn.linear_model import LogisticRegression

    return (LogisticRegression(C=0.1, max_iter=200),)


def both_estimators(rng: np.random.Generator) -> tuple[Any, Any]:
    """A logistic regression and a gradient-boosted forest."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    forest = HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=15, min_samples_leaf=10, early_stopping=False, random_state=_seed(rng)
    )
    return *linear_estimator(rng), forest


def _sample(train: npt.NDArray[np.int64], y: Labels, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Rows to learn from: a sample where they are many, in which every class keeps its share and at least one row."""
    if len(train) <= MAX_TRAINED_ROWS:
        return train
    shuffled = rng.permutation(train)
    first_of_each = np.unique(y[shuffled], return_index=True)[1]
    rest = np.setdiff1d(np.arange(len(shuffled)), first_of_each)
    chosen: npt.NDArray[np.int64] = shuffled[np.concatenate([first_of_each, rest])[:MAX_TRAINED_ROWS]]
    return chosen


def standardised(dataset: Dataset) -> Matrix:
    """(rows, columns) without gaps.

    Numbers to mean 0 and deviation 1, missing ones to 0 with a flag; the commonest categories to 0/1 columns.
    """
    columns: list[Matrix] = []
    for feature, values in zip(dataset.schema.features, dataset.X.T, strict=True):
        missing = np.isnan(values)
        if feature.kind == "category":
            counts = np.bincount(values[~missing].astype(np.int64), minlength=1)
            common = np.argsort(-counts, kind="stable")[:_COMMON_CATEGORIES]
            columns += [(values == code).astype(np.float64) for code in common]
        elif not missing.all():
            centred = np.where(missing, 0.0, values - values[~missing].mean())
            columns.append(centred / (centred.std() or 1.0))
        if missing.any():
            columns.append(missing.astype(np.float64))
    return np.column_stack(columns)


def _confident_joint(P: Matrix, y: Labels) -> Matrix:
    """(classes, classes + 1) rows by the label they have and the one they confidently belong to; last column: none.

    A row belongs confidently to class j where its probability is at least the mean probability of class j among the
    rows labelled j; of several such classes, to the most probable.
    """
    classes = P.shape[1]
    thresholds = np.array([P[y == label, label].mean() for label in range(classes)])
    admitted = np.where(thresholds <= P, P, -1.0)
    confident = np.where(admitted.max(axis=1) >= 0, admitted.argmax(axis=1), classes)
    counts = np.zeros((classes, classes + 1))
    np.add.at(counts, (y, confident), 1)
    return counts


def _wrong_shares(joint: Matrix) -> Matrix:
    """(classes,) of each label's confident rows, the share that belongs elsewhere."""
    confident = joint[:, :-1].sum(axis=1)
    right = np.divide(np.diag(joint), confident, out=np.ones_like(confident), where=confident > 0)
    return np.asarray(1.0 - right)


def _prune_by_class(P: Matrix, y: Labels, own: Matrix, *, wrong: Matrix) -> Labels:
    """The rows least sure of their own label: of each label as many as its share of wrong ones says."""
    doubtful = P.argmax(axis=1) != y
    suspects: list[int] = []
    for label, share in enumerate(wrong):
        rows = np.flatnonzero((y == label) & doubtful)
        count = round(share * np.count_nonzero(y == label))
        suspects.extend(rows[np.argsort(own[rows], kind="stable")][:count].tolist())
    return np.array(sorted(suspects, key=lambda row: float(own[row])), dtype=np.int64)


def _rate(joint: Matrix, rng: np.random.Generator) -> Figure:
    """The share of wrong labels, with a bootstrap interval over rows."""
    rows = int(joint.sum())
    draws = rng.multinomial(rows, joint.ravel() / rows, size=_RESAMPLES).reshape(-1, *joint.shape).astype(np.float64)
    value = _share_wrong(joint)
    low, high = np.quantile([_share_wrong(draw) for draw in draws], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Figure(value=value, low=min(float(low), value), high=max(float(high), value), confidence=CONFIDENCE)


def _share_wrong(joint: Matrix) -> float:
    labels = joint.sum(axis=1)
    return float(labels @ _wrong_shares(joint) / labels.sum())


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
