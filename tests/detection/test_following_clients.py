"""Clients apart, bounded in number, and what attackers try who know the follower."""

from __future__ import annotations

import numpy as np
import pytest
from tests.detection.detector_cases import CASES, boundary_search, made_up_rows, rows

from holdfast import limits
from holdfast.detection import Follower, NearQueries, calibrate, view_of
from holdfast.detection import follower as follower_module
from holdfast.errors import UsageError


def test_one_client_does_not_pay_for_another() -> None:
    follower = Follower(CASES["far rows"]().detector)
    assert not any(follower.observe(f"{i}", row[None]).alarm for i, row in enumerate(made_up_rows(60)))


def test_one_name_for_all_clients_sees_an_attack_spread_over_accounts() -> None:
    follower = Follower(CASES["near rows"]().detector)
    assert not any(follower.observe(f"{i}", row[None]).alarm for i, row in enumerate(boundary_search()))
    assert any(follower.observe("everyone", row[None]).alarm for row in boundary_search())


def test_a_prober_who_mixes_in_honest_queries_is_missed_only_beyond_the_window() -> None:
    """Window 4: one honest query between any two of the search's leaves two in each window, three leave one."""
    case = CASES["near rows"]()
    honest = np.unique(case.clean, axis=0)
    for between, caught in ((1, True), (4, False)):
        follower, used = Follower(case.detector), iter(np.random.default_rng(5).permutation(len(honest)))
        mixed = [
            query
            for probe in boundary_search()[:30]
            for query in (probe, *(honest[next(used)] for _ in range(between)))
        ]
        alarms = [follower.observe("a", query[None]).alarm for query in mixed]
        assert any(alarms) is caught


def test_repeating_a_query_does_not_dilute_a_search() -> None:
    case = CASES["near rows"]()
    mixed = [query for probe in boundary_search() for query in (probe, case.clean[0], case.clean[0])]
    follower = Follower(case.detector)
    assert any(follower.observe("a", query[None]).alarm for query in mixed)


def test_after_an_alarm_a_client_starts_anew() -> None:
    case = CASES["far rows"]()
    follower = Follower(case.detector)
    assert follower.observe("a", case.attack).alarm
    assert not follower.observe("a", case.clean).alarm


def test_the_clients_followed_are_bounded_in_number_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES["near rows"]()
    monkeypatch.setattr(limits, "MAX_WATCHED_CLIENTS", 5)
    follower = Follower(case.detector)
    for i in range(20):
        follower.observe(f"{i}", case.clean[:1])
    assert list(follower._clients) == [f"{i}" for i in range(15, 20)]
    monkeypatch.setattr(follower_module, "MAX_FOLLOWED_BYTES", 50_000)
    assert Follower(case.detector)._most_clients == 2


def test_two_hundred_honest_clients_are_given_no_more_alarms_than_the_bound_allows() -> None:
    """At 0.1 % each, three of 200 have a probability below 0.2 %."""
    case, rng = CASES["spread rows"](), np.random.default_rng(0)
    follower = Follower(case.detector)
    alarms = [follower.observe(f"{i}", case.clean[rng.permutation(len(case.clean))]).alarm for i in range(200)]
    assert sum(alarms) <= 2


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        Follower(CASES["near rows"]().detector, false_alarm_rate=rate)


def test_a_window_of_honest_repetitions_is_never_filled() -> None:
    detector = calibrate(
        NearQueries(view=view_of(rows()[0]), window=4), rows()[1], false_alarm_rate=0.05, rng=np.random.default_rng(0)
    )
    follower = Follower(detector)
    assert follower.observe("a", np.repeat(rows()[2].X[:3], 50, axis=0)).scores == ()
