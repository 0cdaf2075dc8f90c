"""What a person with several records is promised: exact where there is no sampling, and never below the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import logsumexp, ndtr
from scipy.stats import binom

from holdfast.errors import UsageError
from holdfast.limits import MAX_GROUP_SIZE
from holdfast.training import Entry, Ledger, NoisySums, SampledSums, advantage_of, epsilon_of, epsilon_of_group

DIGEST = "sha256:" + "ab" * 32


def sampled(noise: float, rate: float, count: int = 1) -> SampledSums:
    return SampledSums(noise_multiplier=noise, sampling_rate=rate, count=count, width=1)


def whole(noise: float, count: int = 1) -> NoisySums:
    return NoisySums(noise_multiplier=noise, count=count, width=1)


@pytest.mark.parametrize("group_size", [1, 2, 7, 100])
def test_without_sampling_a_group_is_one_record_of_that_size(group_size: int) -> None:
    events = [whole(300.0, 3), whole(500.0)]
    smaller = [whole(300.0 / group_size, 3), whole(500.0 / group_size)]
    together = epsilon_of_group(events, delta=1e-5, group_size=group_size)
    assert together == pytest.approx(epsilon_of(smaller, delta=1e-5), rel=1e-9)
    assert advantage_of(events, group_size=group_size) == pytest.approx(advantage_of(smaller), rel=1e-9)


def true_group_delta(epsilon: float, noise: float, rate: float, group_size: int) -> float:
    """Delta of one sum over a Poisson sample for a group, exact, the larger of both directions.

    With the group the sum is a mixture of N(j, s²), j binomial, without it N(0, s²). The likelihood ratio rises with
    the outcome, so where it passes e^epsilon, or is below e^-epsilon, is a half line.
    """
    sizes = np.arange(group_size + 1)
    weights = binom.pmf(sizes, group_size, rate)

    def crossing(log_ratio: float) -> float:
        def excess(x: float) -> float:
            return float(logsumexp((2 * x - sizes) * sizes / (2 * noise**2), b=weights)) - log_ratio

        return float(brentq(excess, -1e3 * noise, 1e3 * noise))

    leaves = crossing(epsilon)
    delta = weights @ ndtr((sizes - leaves) / noise) - math.exp(epsilon) * ndtr(-leaves / noise)
    if math.exp(-epsilon) > weights[0]:
        joins = crossing(-epsilon)
        delta = max(delta, ndtr(joins / noise) - math.exp(epsilon) * (weights @ ndtr((joins - sizes) / noise)))
    return float(delta)


@pytest.mark.parametrize(("noise", "rate", "group_size"), [(2.0, 0.1, 2), (5.0, 0.5, 3)])
def test_one_sampled_sum_is_that_of_the_exact_formula(noise: float, rate: float, group_size: int) -> None:
    epsilon = epsilon_of_group([sampled(noise, rate)], delta=1e-5, group_size=group_size)
    assert true_group_delta(epsilon, noise, rate, group_size) <= 1e-5
    assert true_group_delta(epsilon * 0.999, noise, rate, group_size) > 1e-5


@pytest.mark.parametrize(("noise", "rate", "count", "group_size"), [(6.0, 0.2, 5, 3), (15.0, 0.6, 1, 2)])
def test_a_group_costs_more_than_a_record_and_no_more_than_the_lemma_says(
    noise: float, rate: float, count: int, group_size: int
) -> None:
    """(epsilon, delta) for a record is (k epsilon, delta (e^(k epsilon) - 1) / (e^epsilon - 1)) for k of them."""
    events = [sampled(noise, rate, count), whole(40.0)]
    record = epsilon_of(events, delta=1e-7)
    weaker = 1e-7 * math.expm1(group_size * record) / math.expm1(record)
    group = epsilon_of_group(events, delta=weaker, group_size=group_size)
    assert epsilon_of(events, delta=weaker) <= group <= group_size * record


def test_larger_groups_cost_more() -> None:
    spent = [epsilon_of_group([sampled(8.0, 0.02, 20)], delta=1e-5, group_size=k) for k in (1, 2, 9, MAX_GROUP_SIZE)]
    assert spent == sorted(spent)
    assert spent[0] > 0


def test_a_ledger_for_persons_stops_where_one_for_records_goes_on() -> None:
    entry = Entry(step="train", data_digest=DIGEST, released=True, events=(sampled(4.0, 0.1, 50),), method="dp-sgd")
    for_records = Ledger(epsilon_limit=1.0, delta=1e-5).add(entry)
    for_persons = Ledger(epsilon_limit=8.0, delta=1e-5, records_per_person=4).add(entry)
    assert for_persons.epsilon == epsilon_of_group(entry.events, delta=1e-5, group_size=4) > for_records.epsilon
    assert "one person with up to 4 records" in for_persons.statement_for("train").parts["unit of privacy"]
    assert for_persons.to_bytes() == Ledger(epsilon_limit=1.0, delta=1e-5, salt=for_persons.salt).add(entry).to_bytes()


@pytest.mark.parametrize("group_size", [0, -1, MAX_GROUP_SIZE + 1])
def test_a_group_without_meaning_is_refused(group_size: int) -> None:
    for refuse in (
        lambda: epsilon_of_group([whole(5.0)], delta=1e-5, group_size=group_size),
        lambda: advantage_of([whole(5.0)], group_size=group_size),
        lambda: Ledger(epsilon_limit=1.0, delta=1e-5, records_per_person=group_size),
    ):
        with pytest.raises(UsageError, match="records of one person"):
            refuse()
