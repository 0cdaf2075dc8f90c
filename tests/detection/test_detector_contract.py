"""What every detector promises: its rate of false alarms, to see the attack it is for, bounded state, its JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import binom
from tests.detection.detector_cases import CASES, Case

from holdfast.detection import Detector, Follower, try_detector
from holdfast.detection.views import Queries
from holdfast.errors import DataError


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]()


def shuffled(queries: Queries, seed: int = 0) -> Queries:
    return queries[np.random.default_rng(seed).permutation(len(queries))]


def test_fresh_clean_queries_are_flagged_no_more_often_than_the_bound_allows(case: Case) -> None:
    """More flags than this have a probability below 0.1 % where the bound is true."""
    flags = case.detector.flags(shuffled(case.clean))
    assert flags.sum() <= binom.ppf(0.999, len(flags), case.detector.limit.rate_bound)


def test_an_attack_scores_higher_than_clean_queries(case: Case) -> None:
    trial = try_detector(case.detector, clean=shuffled(case.clean), attack=case.attack)
    assert trial.auc > 0.75
    assert trial.detection_rate.value > 3 * trial.false_alarm_rate.value


def test_an_attacker_is_given_an_alarm_and_an_honest_client_none(case: Case) -> None:
    follower = Follower(case.detector)
    assert not follower.observe("honest", shuffled(case.clean)).alarm
    verdict = follower.observe("attacker", case.attack)
    assert verdict.alarm
    assert case.detector.statistic.finding in verdict.reason


def test_queries_one_by_one_and_together_are_scored_alike(case: Case) -> None:
    together, alone = Follower(case.detector), Follower(case.detector)
    queries = shuffled(case.clean)[:40]
    one_by_one = [score for query in queries for score in alone.observe("a", query[None]).scores]
    np.testing.assert_allclose(together.observe("a", queries).scores, one_by_one, rtol=1e-12)
    np.testing.assert_allclose(case.detector.score(queries), one_by_one, rtol=1e-12)


def test_scores_are_the_same_each_time_and_leave_the_queries_alone(case: Case) -> None:
    queries = case.attack[:40].copy()
    np.testing.assert_array_equal(case.detector.score(queries), case.detector.score(queries))
    np.testing.assert_array_equal(queries, case.attack[:40])


def test_a_detector_read_back_from_json_scores_alike(case: Case) -> None:
    document = json.loads(json.dumps(case.detector.to_json(), allow_nan=False))
    again = Detector.from_json(document, model=case.model)
    assert again.limit == case.detector.limit
    assert again.to_json() == case.detector.to_json()
    np.testing.assert_array_equal(again.score(case.attack), case.detector.score(case.attack))


def test_what_is_kept_of_a_client_is_bounded(case: Case) -> None:
    follower, statistic = Follower(case.detector, false_alarm_rate=1e-12), case.detector.statistic
    for start in range(0, 200, 7):
        follower.observe("a", case.clean[start : start + 7])
    state = follower._clients["a"]
    assert state.pending.shape[0] < statistic.window
    assert state.pending.shape[1] == statistic.width
    assert state.pending.base is None  # no view that keeps a whole request alive
    assert len(state.seen) <= 128


def test_repeating_honest_queries_gives_no_alarm(case: Case) -> None:
    follower = Follower(case.detector)
    queries = shuffled(case.clean)[:40]
    assert not any(follower.observe("a", queries).alarm for _ in range(30))


def test_queries_of_another_shape_are_refused_and_leave_no_trace(case: Case) -> None:
    follower = Follower(case.detector)
    wrong = [case.clean[:3, :-1], case.clean[:3].astype("U8"), case.clean[0]]
    for queries in wrong:
        with pytest.raises(DataError, match="as queries"):
            follower.observe("a", queries)
    assert not follower._clients


def test_no_queries_say_nothing(case: Case) -> None:
    verdict = Follower(case.detector).observe("a", case.clean[:0])
    assert verdict.scores == ()
    assert not verdict.alarm
