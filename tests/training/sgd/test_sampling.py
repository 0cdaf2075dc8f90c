"""Sampling is Poisson, and really done."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from holdfast.training.sgd.sampling import PoissonSampler, rate_of

UNLIKELY = 1e-7
STEPS = 4_000
RECORDS = 50
BATCH = 6


@pytest.fixture(scope="module")
def taken() -> np.ndarray:
    """(steps, records): who took part in which step."""
    samples = np.zeros((STEPS, RECORDS), dtype=np.int64)
    for row in samples:
        row[PoissonSampler(RECORDS, rate_of(BATCH, RECORDS)).sample()] = 1
    return samples


def test_every_record_takes_part_as_often_as_is_accounted(taken: np.ndarray) -> None:
    rate = rate_of(BATCH, RECORDS)
    for count in taken.sum(axis=0):
        assert stats.binomtest(int(count), STEPS, rate).pvalue > UNLIKELY


def test_sizes_of_samples_are_binomial_and_some_are_far_off(taken: np.ndarray) -> None:
    sizes = np.clip(taken.sum(axis=1), 1, 13)
    law = stats.binom(RECORDS, rate_of(BATCH, RECORDS))
    expected = np.array([law.cdf(1), *law.pmf(range(2, 13)), law.sf(12)])
    counts = np.bincount(sizes, minlength=14)[1:]
    assert stats.chisquare(counts, expected * STEPS).pvalue > UNLIKELY


def test_two_records_take_part_independently(taken: np.ndarray) -> None:
    together = taken.T @ taken
    rate = rate_of(BATCH, RECORDS) ** 2
    pairs = together[np.triu_indices(RECORDS, 1)]
    lowest, highest = stats.binom.ppf([UNLIKELY / len(pairs), 1 - UNLIKELY / len(pairs)], STEPS, rate)
    assert lowest <= pairs.min()
    assert pairs.max() <= highest


def test_a_step_says_nothing_on_the_next(taken: np.ndarray) -> None:
    both = int((taken[1:] * taken[:-1]).sum())
    assert stats.binomtest(both, (STEPS - 1) * RECORDS, rate_of(BATCH, RECORDS) ** 2).pvalue > UNLIKELY


def test_small_rates_give_empty_samples_too() -> None:
    sizes = [len(PoissonSampler(1_000, rate_of(1, 1_000)).sample()) for _ in range(500)]
    assert stats.binomtest(sizes.count(0), 500, (1 - rate_of(1, 1_000)) ** 1_000).pvalue > UNLIKELY


def test_a_batch_of_all_records_is_all_records() -> None:
    assert rate_of(7, 7) == 1.0
    assert PoissonSampler(7, 1.0).sample().tolist() == list(range(7))


@pytest.mark.parametrize(("batch", "records"), [(1, 3), (5, 7), (1, 20_000_000), (999, 1_000), (8, 8)])
def test_the_rate_is_what_the_coin_shows_and_never_below_the_batch(batch: int, records: int) -> None:
    rate = rate_of(batch, records)
    assert float(int(rate * 2**32)) == rate * 2**32
    assert batch / records <= rate < batch / records + 2.0**-32


def test_rows_come_in_order_and_once() -> None:
    rows = PoissonSampler(10_000, 0.5).sample()
    assert (np.diff(rows) > 0).all()


def test_no_seed_repeats_a_sample() -> None:
    np.random.seed(1)
    first = PoissonSampler(1_000, 0.5).sample()
    np.random.seed(1)
    assert not np.array_equal(first, PoissonSampler(1_000, 0.5).sample())
