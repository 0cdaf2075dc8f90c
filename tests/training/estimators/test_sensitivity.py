"""What one record can do to the sums that private estimators take, and that they take no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from holdfast.data import Dataset
from holdfast.training.estimators import DPGradientBoostingClassifier, DPLinearRegression, DPLogisticRegression
from holdfast.training.release import mechanism
from holdfast.training.release.mechanism import exact_histogram, exact_sum
from holdfast.training.release.noise import SCALE_BITS
from holdfast.training.tables import boosting, moments, private, ranges, standardise

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
SIZE = 5
ESTIMATORS = [
    DPLogisticRegression(2.0, steps=6),
    DPGradientBoostingClassifier(2.0, rounds=2),
    DPLinearRegression(2.0),
]


@settings(deadline=None, max_examples=60)
@given(
    bins=hnp.arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=st.integers(0, SIZE - 1)),
    clip=st.sampled_from([0.01, 1.0, 30.0]),
    noise=st.floats(0.25, 2_000),
    data=st.data(),
)
def test_removing_a_record_moves_a_histogram_by_at_most_the_clipping_norm(bins, clip, noise, data) -> None:
    coefficients = data.draw(hnp.arrays(np.float64, (len(bins), 2), elements=FLOATS))
    options = {"size": SIZE, "clip_norm": clip, "noise_multiplier": noise}
    stay = np.arange(len(bins)) != data.draw(st.integers(0, len(bins) - 1))
    moved = exact_histogram(bins, coefficients, **options) - exact_histogram(bins[stay], coefficients[stay], **options)
    squared = sum(int(n) ** 2 for n in moved.ravel())  # exact, in Python's whole numbers
    assert squared * noise * noise <= float(2 ** (2 * SCALE_BITS))


def test_a_histogram_is_the_sum_of_the_rows_that_it_stands_for() -> None:
    rng = np.random.default_rng(2)
    bins, coefficients = rng.integers(0, SIZE, (40, 3)), rng.normal(size=(40, 2))
    rows = np.eye(SIZE)[bins].reshape(40, -1)
    options = {"clip_norm": 1.5, "noise_multiplier": 2.0}
    histogram = exact_histogram(bins, coefficients, size=SIZE, **options)
    assert np.array_equal(histogram.reshape(2, -1), exact_sum(rows, coefficients, **options))


@settings(max_examples=200)
@given(st.floats(0, 1))
def test_slope_and_curvature_of_a_record_are_within_the_norm_of_the_slope_alone(p: float) -> None:
    assert (1 - p) ** 2 + (p * (1 - p)) ** 2 <= 1 + 1e-15


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_every_sum_over_records_is_one_that_was_declared(
    estimator: Any, tumour: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[float, int]] = []

    def watch(name: str, *rooms: Any) -> None:
        whole = getattr(mechanism, name)

        def spy(*args: Any, **options: Any) -> Any:
            released = whole(*args, **options)
            taken.append((options["noise_multiplier"], released.size))
            return released

        for room in rooms:
            monkeypatch.setattr(room, name, spy)

    watch("noisy_sum", private, standardise, moments)
    watch("noisy_histogram", ranges, boosting)
    fitted = estimator.fit(tumour.X, tumour.y)
    assert taken == [(event.noise_multiplier, event.width) for event in fitted.events_ for _ in range(event.count)]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_all_that_is_released_comes_out_of_the_noisy_sums(estimator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the sums replaced by fixed numbers, tables that share no row, size, place or spread give one model."""
    seeded = np.random.default_rng
    rng = seeded(5)

    def release(rows: np.ndarray) -> bytes:
        numbers = seeded(3)

        def stub_sum(rows: Any, coefficients: Any, **options: Any) -> Any:
            total = numbers.normal(10.0, 3.0, (coefficients.shape[1], rows.shape[1]))
            return total @ total.T if total.shape[0] == total.shape[1] else total  # moments have no negative square

        def stub_histogram(bins: Any, coefficients: Any, *, size: int, **options: Any) -> Any:
            return numbers.normal(200.0, 90.0, (coefficients.shape[1], bins.shape[1], size))

        with monkeypatch.context() as patch:
            for room in (private, standardise, moments):
                patch.setattr(room, "noisy_sum", stub_sum)
            for room in (ranges, boosting):
                patch.setattr(room, "noisy_histogram", stub_histogram)
            patch.setattr(np.random, "default_rng", lambda: seeded(4))  # where leaves begin
            fitted = estimator.fit(rows, np.arange(len(rows)) % 2)
        result = getattr(fitted, "model_", None)
        return result.onnx if result is not None else fitted.coef_.tobytes() + np.float64(fitted.intercept_).tobytes()

    assert release(rng.normal(0, 1, (40, 3))) == release(rng.normal(1e4, 300, (71, 3)))
