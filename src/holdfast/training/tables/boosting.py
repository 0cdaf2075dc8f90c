"""Boosting one feature at a time with differential privacy: the result is a sum of one curve for each feature.

    records ── counts of classes ──> intercept                     (one noisy histogram)
            ── counts of pieces ──> cells of each feature          (one noisy histogram)
            ── slopes in random leaves ──> curves                  (rounds x features noisy histograms)

It is the algorithm of DP-EBM (Nori, Caruana, Bu, Shen and Kulkarni, "Accuracy, interpretability, and differential
privacy via explainable boosting", ICML 2021, algorithm 2): each tree splits the cells of one feature at random places,
so that only the sums in its leaves look at records. Here a sum has the curvature of the loss beside its slope. That
costs nothing more: of a record with probability p of its own class, slope 1 - p and curvature p (1 - p) have together
a norm of at most 1, the bound on the slope alone. With more than two classes the norm can pass 1, and is clipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from holdfast.data import Dataset, Labels, Matrix, Schema
from holdfast.models import OnnxModel, probabilities
from holdfast.models.stumps import model_of_stumps
from holdfast.training.account.budget import Part
from holdfast.training.account.events import NoisySums
from holdfast.training.release.mechanism import Bins, noisy_histogram, on_grid
from holdfast.training.tables.cells import Cells, candidate_cells, merged, most_pieces
from holdfast.training.tables.curves import stumps_of

DEFAULT_ROUNDS: Final = 40
LEAVES: Final = 3

_SHARES: Final = (0.01, 0.09)
"""Of the budget, for the counts of classes and of pieces."""
_RATE: Final = 0.3
"""Of a step of Newton's method; the noise of a whole one would stay in the curve."""
_EASING: Final = 4.0
"""Standard deviations of the noise that are added to a curvature, so that a small one cannot blow up a step."""
_LARGEST_STEP: Final = 1.0
_VISIBLE: Final = 2.0
"""Standard deviations of the noise; a class whose count is smaller is taken for one that has as many."""


def boosting_parts(schema: Schema, *, rounds: int) -> tuple[Part, ...]:
    """What training takes: counts of classes, counts of pieces, and the sums of each feature in each round."""
    features, classes = len(schema.features), len(schema.classes)
    return (
        Part(share=_SHARES[0], count=1, width=classes),
        Part(share=_SHARES[1], count=1, width=features * most_pieces(schema.features)),
        Part(share=1 - sum(_SHARES), count=rounds * features, width=LEAVES * 2 * _score_count(classes)),
    )


def fit_boosting(data: Dataset, events: Sequence[NoisySums], *, rng: np.random.Generator) -> OnnxModel:
    """Take the noisy sums of these events, those of `boosting_parts`: a classifier that is a sum of stumps.

    Args:
        data: the records, within the ranges of their schema.
        events: in their order.
        rng: decides where leaves begin, which is no secret.
    """
    for_classes, for_pieces, for_slopes = (event.noise_multiplier for event in events)
    intercept, rows = _intercept(data, noise_multiplier=for_classes)
    cells = _cells(data, rows=rows, noise_multiplier=for_pieces)
    rounds = events[-1].count // len(cells)
    curves = _boost(data, intercept, cells, rounds=rounds, noise_multiplier=for_slopes, rng=rng)
    return model_of_stumps(data.schema, *stumps_of(data.schema, intercept, cells, curves))


def _boost(
    data: Dataset,
    intercept: Matrix,
    cells: Sequence[Cells],
    *,
    rounds: int,
    noise_multiplier: float,
    rng: np.random.Generator,
) -> list[Matrix]:
    """(cells, scores) of each feature: its curve, averaged over the last half of the rounds."""
    places = [one.of(values) for one, values in zip(cells, data.X.T, strict=True)]
    targets = _targets(data.y, len(intercept))
    scores = np.tile(intercept, (len(data), 1))
    curves = [np.zeros((len(one), len(intercept))) for one in cells]
    average = [np.zeros_like(curve) for curve in curves]
    for number in range(rounds):
        for feature, place in enumerate(places):
            leaves = _random_leaves(cells[feature], rng)
            step = _step(leaves[place], scores, targets, noise_multiplier=noise_multiplier)[leaves]
            curves[feature] += step
            scores += step[place]
        if number >= rounds // 2:
            average = [sum_ + curve / (rounds - rounds // 2) for sum_, curve in zip(average, curves, strict=True)]
    return average


def _step(leaves: Bins, scores: Matrix, targets: Matrix, *, noise_multiplier: float) -> Matrix:
    """(leaves, scores) what to add in each leaf, on the grid: of Newton's method on noisy slope and curvature.

    Scores stay on the grid, and so does their sum in any order: a record's contribution depends on no other record.
    """
    predicted = probabilities(scores)[:, -targets.shape[1] :]
    both = np.hstack([targets - predicted, predicted * (1 - predicted)])
    sums = noisy_histogram(leaves[:, None], both, size=LEAVES, clip_norm=1.0, noise_multiplier=noise_multiplier)
    slope, curvature = np.split(sums[:, 0].T, 2, axis=1)
    step = _RATE * slope / (np.maximum(curvature, 0.0) + _EASING * noise_multiplier)
    return on_grid(np.clip(step, -_LARGEST_STEP, _LARGEST_STEP))


def _random_leaves(cells: Cells, rng: np.random.Generator) -> Bins:
    """(cells,) the leaf of each cell: neighbours go together where cells have an order, the others fall at random."""
    leaves = rng.integers(LEAVES, size=len(cells))
    if cells.feature.kind != "category":
        cuts = rng.choice(np.arange(1, max(cells.present, LEAVES)), LEAVES - 1, replace=False)
        leaves[: cells.present] = np.searchsorted(np.sort(cuts), np.arange(cells.present), side="right")
    return leaves


def _intercept(data: Dataset, *, noise_multiplier: float) -> tuple[Matrix, float]:
    """Scores that give each class its noisy share, on the grid; and the noisy number of records, 1 or more."""
    classes = len(data.schema.classes)
    ones = np.ones((len(data), 1))
    histogram = noisy_histogram(data.y[:, None], ones, size=classes, clip_norm=1.0, noise_multiplier=noise_multiplier)
    counts = histogram[0, 0]
    logs = np.log(np.maximum(counts, _VISIBLE * noise_multiplier))
    start = np.array([logs[1] - logs[0]]) if classes == 2 else logs - logs.mean()
    return on_grid(start), max(float(counts.sum()), 1.0)


def _cells(data: Dataset, *, rows: float, noise_multiplier: float) -> list[Cells]:
    """The cells of each feature, from the noisy counts of its pieces."""
    candidates = [candidate_cells(feature) for feature in data.schema.features]
    pieces = [one.of(values) for one, values in zip(candidates, data.X.T, strict=True)]
    norm = len(candidates) ** 0.5
    (counts,) = noisy_histogram(
        np.column_stack(pieces),
        np.ones((len(data), 1)),
        size=most_pieces(data.schema.features),
        clip_norm=norm,
        noise_multiplier=noise_multiplier,
    )
    noise = norm * noise_multiplier
    return [merged(one, own, rows=rows, noise=noise) for one, own in zip(candidates, counts, strict=True)]


def _score_count(classes: int) -> int:
    return 1 if classes == 2 else classes


def _targets(y: Labels, scores: int) -> Matrix:
    """(n, scores) 1 where the record has the class of that score."""
    return np.asarray(y[:, None] == np.arange(scores) + (scores == 1), dtype=np.float64)
