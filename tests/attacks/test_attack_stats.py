"""The figures' intervals say what they promise: against other formulas, published values, and by simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from holdfast.attacks.stats import auc, difference, paired_difference, tpr_at_fpr, worst_difference
from holdfast.errors import DataError


def flags(true: int, total: int) -> np.ndarray:
    return np.arange(total) < true


def test_a_difference_without_records_is_refused() -> None:
    with pytest.raises(DataError, match="at least one record"):
        difference(flags(0, 0), flags(1, 2))


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    # Newcombe 1998 (Statistics in Medicine 17:873), table II, method 10, contrasts a and b
    [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090)],
)
def test_a_difference_has_the_published_interval(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    figure = difference(flags(*first), flags(*second))
    assert (figure.low, figure.high) == pytest.approx((low, high), abs=5e-5)


def test_a_differences_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    m, n, shares = 18, 25, (0.05, 0.3, 0.5, 0.9)
    figures = {(i, j): difference(flags(i, m), flags(j, n)) for i in range(m + 1) for j in range(n + 1)}
    covered = []
    for p, q in itertools.product(shares, shares):
        weight = np.outer(stats.binom.pmf(range(m + 1), m, p), stats.binom.pmf(range(n + 1), n, q))
        covered.append(sum(weight[at] for at, f in figures.items() if f.low <= p - q <= f.high))
    assert min(covered) > 0.92  # the method covers 95 % on average over the truth, not for each
    assert np.mean(covered) > 0.95


def test_a_paired_differences_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    for cells in ((0.8, 0.1, 0.05, 0.05), (0.4, 0.3, 0.05, 0.25), (0.9, 0.09, 0.0, 0.01), (0.25, 0.25, 0.25, 0.25)):
        truth, covered, runs = cells[1] - cells[2], 0, 600
        for _ in range(runs):
            cell = rng.choice(4, size=60, p=cells)
            figure = paired_difference(np.isin(cell, (0, 1)), np.isin(cell, (0, 2)))
            covered += figure.low <= truth <= figure.high
        assert covered / runs > 0.93  # 0.95 less two standard errors of 600 runs


def test_a_paired_difference_is_tighter_than_an_unpaired_one_where_the_records_agree() -> None:
    first, second = flags(90, 114), flags(80, 114)
    paired, unpaired = paired_difference(first, second), difference(first, second)
    assert paired.value == unpaired.value
    assert paired.high - paired.low < 0.6 * (unpaired.high - unpaired.low)


def test_a_paired_difference_of_equal_columns_is_zero_and_not_certain() -> None:
    figure = paired_difference(flags(50, 100), flags(50, 100))
    assert figure.value == 0
    assert figure.low < 0 < figure.high


def test_auc_is_that_of_scikit_learn_ties_included() -> None:
    rng = np.random.default_rng(1)
    positives, negatives = rng.integers(0, 6, 37).astype(float), rng.integers(0, 5, 53).astype(float)
    expected = roc_auc_score([1] * 37 + [0] * 53, np.concatenate([positives, negatives]))
    assert auc(positives, negatives).value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0])
def test_the_interval_of_auc_covers_the_truth_about_as_often_as_it_says(shift: float) -> None:
    rng, truth, runs = np.random.default_rng(2), stats.norm.cdf(shift / np.sqrt(2)), 500
    figures = [auc(shift + rng.standard_normal(60), rng.standard_normal(40)) for _ in range(runs)]
    assert np.mean([f.low <= truth <= f.high for f in figures]) > 0.92


def test_the_ends_of_the_auc_interval_lie_one_score_statistic_away() -> None:
    rng = np.random.default_rng(3)
    m, n = 20, 35
    figure = auc(0.8 + rng.standard_normal(m), rng.standard_normal(n))
    for end in (figure.low, figure.high):
        half = (m + n) / 2 - 1
        variance = end * (1 - end) * (1 + half * (1 - end) / (2 - end) + half * end / (1 + end)) / (m * n)
        assert abs(figure.value - end) / np.sqrt(variance) == pytest.approx(1.959964, abs=1e-4)


@pytest.mark.parametrize(("positives", "negatives", "value"), [((3, 4), (1, 2), 1.0), ((1, 2), (3, 4), 0.0)])
def test_a_perfect_auc_on_few_records_is_not_certain(
    positives: tuple[int, ...], negatives: tuple[int, ...], value: float
) -> None:
    figure = auc(np.array(positives, float), np.array(negatives, float))
    assert figure.value == value
    assert figure.high - figure.low > 0.3


@pytest.mark.parametrize("fpr", [0.001, 0.01, 0.1, 0.5])
def test_the_tpr_is_that_of_the_lowest_threshold_with_few_enough_false_positives(fpr: float) -> None:
    rng = np.random.default_rng(4)
    positives, negatives = np.round(rng.normal(1, 1, 150), 1), np.round(rng.normal(0, 1, 114), 1)
    rates = [
        np.mean(positives > t)
        for t in [-np.inf, *np.unique(np.concatenate([positives, negatives]))]
        if np.mean(negatives > t) <= fpr
    ]
    assert tpr_at_fpr(positives, negatives, fpr=fpr).value == pytest.approx(max(rates), abs=1e-12)


@pytest.mark.parametrize(("fpr", "shift"), [(0.01, 2.0), (0.1, 1.0)])
def test_the_interval_of_the_tpr_covers_the_truth_although_the_threshold_is_uncertain(fpr: float, shift: float) -> None:
    rng, truth, runs = np.random.default_rng(5), stats.norm.sf(stats.norm.isf(fpr) - shift), 400
    figures = [tpr_at_fpr(shift + rng.standard_normal(200), rng.standard_normal(114), fpr=fpr) for _ in range(runs)]
    assert np.mean([f.low <= truth <= f.high for f in figures]) > 0.95


def test_the_ends_of_the_tpr_interval_come_from_the_order_statistics_that_the_binomial_names() -> None:
    rng = np.random.default_rng(8)
    positives, negatives = rng.normal(1, 1, 150), rng.normal(0, 1, 200)
    error, fpr = 0.025, 0.05
    largest = np.sort(negatives)[::-1]
    above = [stats.binom.cdf(k, 200, fpr) for k in range(201)]  # how many negatives lie above the true threshold
    few = next(k for k in range(201) if above[k] >= error / 2)
    many = next(k for k in range(201) if above[k] >= 1 - error / 2)
    figure = tpr_at_fpr(positives, negatives, fpr=fpr)
    fewest = int((positives >= largest[few - 1]).sum())
    most = int((positives > largest[many]).sum())
    assert figure.low == pytest.approx(stats.binomtest(fewest, 150).proportion_ci(1 - error).low, abs=1e-9)
    assert figure.high == pytest.approx(stats.binomtest(most, 150).proportion_ci(1 - error).high, abs=1e-9)


def test_few_negatives_say_nothing_from_below_about_a_tiny_false_positive_rate() -> None:
    figure = tpr_at_fpr(np.full(100, 5.0), np.zeros(114), fpr=0.001)
    assert figure.value == 1.0
    assert figure.low == 0.0


def test_the_worst_difference_is_the_largest_over_every_threshold() -> None:
    rng = np.random.default_rng(6)
    positives, negatives = np.round(rng.normal(0.5, 1, 40), 1), np.round(rng.normal(0, 1, 30), 1)
    thresholds = [-np.inf, *np.unique(np.concatenate([positives, negatives]))]
    expected = max(np.mean(positives > t) - np.mean(negatives > t) for t in thresholds)
    assert worst_difference(positives, negatives) == pytest.approx(expected, abs=1e-12)
    assert worst_difference(np.zeros(5), np.ones(5)) == 0.0
