"""Logistic regression with differential privacy for each record.

    schema ── private_events ──> what it will cost, known before a record is read
    records ── learn_standardiser ──> centre, spread, number      (three noisy sums)
            ── _descend ──> weights                               (`steps` noisy gradient sums)

The guarantee is add-or-remove-one: the result's distribution changes by at most (epsilon, delta) when one record
joins or leaves. The number of records is therefore secret too. The step size uses its noisy value, never the true one.
Everything that decides the outcome and is not a record is public: the schema, the options, the constants below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from holdfast import limits
from holdfast.data import Dataset, Labels, Matrix, Schema
from holdfast.errors import UsageError
from holdfast.models import Encoding, LinearModel, probabilities
from holdfast.training.account.accounting import epsilon_of
from holdfast.training.account.budget import Part, planned_events
from holdfast.training.account.events import NoisySums
from holdfast.training.release.mechanism import GRID_BITS, noisy_sum, on_grid, weights_on_grid
from holdfast.training.tables.refusals import check_records, check_schema
from holdfast.training.tables.standardise import SHARES, Standardiser, learn_standardiser, standardiser_parts

DEFAULT_STEPS: Final = 60
CLIP_NORM: Final = 0.4
"""L2 bound on a record's gradient, where a typical standardised record has norm 1."""

_INTERCEPT: Final = 0.4
"""The constant entry that goes with the intercept; below 1, so that it does not crowd out the rest when clipping."""
_STEP_SIZE: Final = 40.0
_NOISE_BOUND: Final = 1.5
"""The step size is smaller where noise of all steps would otherwise move a weight by more than about this."""


@dataclass(frozen=True, kw_only=True)
class PrivateTraining:
    """A privately trained model and what it cost.

    Args:
        model: the model; it may be released, and so may `rows`.
        events: the noisy sums that were taken, in order.
        epsilon: upper bound on the epsilon of `events` at `delta`; at most what was asked for.
        delta: as asked for.
        steps: noisy gradient steps.
        noise_multiplier: of each gradient step.
        rows: the noisy number of records.
    """

    model: LinearModel
    events: tuple[NoisySums, ...]
    epsilon: float
    delta: float
    steps: int
    noise_multiplier: float
    rows: float


def private_events(
    schema: Schema, *, epsilon: float, delta: float, steps: int = DEFAULT_STEPS
) -> tuple[NoisySums, ...]:
    """What `train_private` will spend with these options, known from the schema alone: enter it in the ledger first.

    Raises:
        ConfigError: the schema has ranges that were read from the records.
        UsageError: an epsilon, delta or number of steps that has no meaning.
        UnsupportedError: the schema encodes to more columns than private training takes.
    """
    return planned_events(logistic_parts(schema, steps=steps), epsilon=epsilon, delta=delta)


def logistic_parts(schema: Schema, *, steps: int) -> tuple[Part, ...]:
    """What training takes: the sums of the standardiser, then the gradients.

    Raises:
        ConfigError, UsageError, UnsupportedError: as `private_events`.
    """
    check_schema(schema)
    if not 1 <= steps <= limits.MAX_STEPS:
        raise UsageError(f"expected 1 to {limits.MAX_STEPS} steps, got {steps}")
    encoded = Encoding(schema).width
    gradients = Part(share=1 - sum(SHARES), count=steps, width=_score_count(schema) * (encoded + 1))
    return (*standardiser_parts(encoded), gradients)


def train_private(
    data: Dataset,
    *,
    epsilon: float,
    delta: float,
    steps: int = DEFAULT_STEPS,
    evasion_radius: Matrix | None = None,
) -> PrivateTraining:
    """Train logistic regression, binary or multinomial, with (epsilon, delta)-differential privacy for each record.

    Records are standardised privately, then full-batch gradient descent with clipped per-record gradients and
    Gaussian noise (Abadi et al., "Deep learning with differential privacy", 2016, without sampling) runs for `steps`
    steps, and the weights of the last half are averaged. All noise is from the operating system, so no two trainings
    are alike, and repeating one is a further spend.

    With `evasion_radius`, each gradient is taken at the point where the loss of that record is worst (of first order,
    for more than two classes) within its box and [-1, 1], for the current weights. That point depends on the record
    itself and on weights that are already released with noise, and on no other record. So a record still
    contributes one vector clipped to the same norm, and the cost is unchanged.

    Args:
        data: the training records.
        epsilon: the guarantee, from 0.01 (strong) to 10 (weak).
        delta: the probability with which it may fail; below one in the number of records.
        steps: noisy gradient steps.
        evasion_radius: (width,) how far an attacker can move each encoded column (see `models.Encoding`), 0 or more.

    Raises:
        ConfigError: the schema has ranges that were read from the records; bounds must be public.
        DataError: records that break the schema, or no record, or a class without one. Refusing tells that much of
            the records; it is no release, and outside the guarantee.
        UsageError: an epsilon, delta, number of steps or radius that has no meaning.
        UnsupportedError: the schema encodes to more columns than private training takes.
    """
    check_schema(data.schema)
    check_records(data, delta=delta)
    events = private_events(data.schema, epsilon=epsilon, delta=delta, steps=steps)
    model, rows = fit_logistic(data, events, evasion_radius=evasion_radius)
    return PrivateTraining(
        model=model,
        events=events,
        epsilon=epsilon_of(events, delta=delta),
        delta=delta,
        steps=steps,
        noise_multiplier=events[-1].noise_multiplier,
        rows=rows,
    )


def fit_logistic(
    data: Dataset, events: Sequence[NoisySums], *, evasion_radius: Matrix | None = None
) -> tuple[LinearModel, float]:
    """Take the noisy sums of these events, those of `logistic_parts`: the model, and the noisy number of records.

    It is `train_private` without its checks.
    """
    encoding = Encoding(data.schema)
    radius = _check_radius(evasion_radius, encoding.width)
    encoded = encoding.encode(data.X)
    standard = learn_standardiser(
        encoded,
        features=len(data.schema.features),
        noise_multipliers=[event.noise_multiplier for event in events[:-1]],
    )
    targets = _targets(data.y, _score_count(data.schema))
    weights = _descend(encoded, targets, standard, radius=radius, event=events[-1])
    coef = weights[:, :-1] * standard.stretch
    return LinearModel(data.schema, coef, weights[:, -1] * _INTERCEPT - coef @ standard.centre), standard.rows


def _descend(encoded: Matrix, targets: Matrix, standard: Standardiser, *, radius: Matrix, event: NoisySums) -> Matrix:
    """(scores, width + 1): the weights on standardised records, intercept last, averaged over the last half."""
    steps, noise_multiplier = event.count, event.noise_multiplier
    rate = min(_STEP_SIZE, _NOISE_BOUND * standard.rows / (noise_multiplier * np.sqrt(steps)))
    rows = _with_intercept(standard.apply(encoded))
    weights = np.zeros((targets.shape[1], rows.shape[1]))
    average = np.zeros_like(weights)
    for step in range(steps):
        if step > 0 and radius.any():
            rows = _with_intercept(standard.apply(_worst_case(encoded, rows, targets, weights, radius)))
        uphill = noisy_sum(
            rows, _residuals(rows, targets, weights), clip_norm=CLIP_NORM, noise_multiplier=noise_multiplier
        )
        weights = weights_on_grid(weights + rate * uphill / (standard.rows * CLIP_NORM))
        if step >= steps // 2:
            average += weights / (steps - steps // 2)
    return average


def _residuals(rows: Matrix, targets: Matrix, weights: Matrix) -> Matrix:
    """(n, scores) target minus probability: with the row, minus the gradient of the logistic loss by the weights."""
    predicted = probabilities(rows @ weights.T)
    return np.asarray(targets - predicted[:, -targets.shape[1] :])


def _worst_case(encoded: Matrix, rows: Matrix, targets: Matrix, weights: Matrix, radius: Matrix) -> Matrix:
    """(n, width) each encoded record moved to where its loss grows most, inside its box and [-1, 1]."""
    residuals = _residuals(rows, targets, weights)
    largest = np.abs(residuals).max(axis=1, keepdims=True)
    residuals = np.rint(residuals / np.maximum(largest, 1e-300) * 2.0**GRID_BITS)  # whole, so the signs are exact
    downhill = np.sign(residuals @ weights[:, :-1])
    return np.asarray(np.clip(encoded - radius * downhill, -1.0, 1.0))


def _with_intercept(standardised: Matrix) -> Matrix:
    """Rows with the constant entry last, whose weight becomes the intercept."""
    return np.hstack([standardised, np.full((len(standardised), 1), on_grid(np.array(_INTERCEPT)))])


def _targets(y: Labels, scores: int) -> Matrix:
    """(n, scores) 1 where the record has the class of that score."""
    return np.asarray(y[:, None] == np.arange(scores) + (scores == 1), dtype=np.float64)


def _score_count(schema: Schema) -> int:
    """Two classes are told apart by one score, more have one each."""
    return 1 if len(schema.classes) == 2 else len(schema.classes)


def _check_radius(radius: Matrix | None, width: int) -> Matrix:
    checked = np.zeros(width) if radius is None else np.asarray(radius, dtype=np.float64)
    if checked.shape != (width,):
        raise UsageError(f"expected an evasion radius for each of {width} encoded columns, got shape {checked.shape}")
    if not (np.isfinite(checked).all() and (checked >= 0).all()):
        raise UsageError("expected evasion radii of 0 or more, got one that is negative or not finite")
    return checked
