"""The likelihood ratio attack is the one of the paper, and its offline form keeps to what an offline attacker has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score
from tests.attacks.privacy.textbook import example, lira_offline, lira_online

from holdfast.attacks.privacy import LIRA, LIRA_OFFLINE, Shadows


@pytest.mark.parametrize(("shadows", "per_record"), [(10, False), (64, False), (128, True)])
def test_the_scores_are_those_of_the_paper_written_as_a_loop(shadows: int, per_record: bool) -> None:
    target, made = example(np.random.default_rng(shadows), shadows=shadows, records=30)
    assert LIRA.scores(target, made) == pytest.approx(lira_online(target, made, per_record=per_record), abs=1e-9)
    p_values = stats.norm.cdf(LIRA_OFFLINE.scores(target, made))
    assert p_values == pytest.approx(lira_offline(target, made, per_record=per_record), abs=1e-9)


@given(shift=st.floats(-20, 20), scale=st.floats(0.1, 10), seed=st.integers(0, 100))
def test_neither_moving_nor_stretching_all_answers_about_the_records_changes_a_score(
    shift: float, scale: float, seed: int
) -> None:
    target, made = example(np.random.default_rng(seed), shadows=8, records=6)
    moved = Shadows(logits=scale * made.logits + shift, inside=made.inside)
    for attack in (LIRA, LIRA_OFFLINE):
        assert attack.scores(scale * target + shift, moved) == pytest.approx(
            attack.scores(target, made), rel=1e-6, abs=1e-6
        )


def test_the_offline_attack_never_looks_at_a_shadow_with_the_record() -> None:
    rng = np.random.default_rng(0)
    target, made = example(rng, shadows=12, records=20)
    other = np.where(made.inside, rng.standard_normal(made.logits.shape) * 9, made.logits)
    changed = Shadows(logits=other, inside=made.inside)
    assert (LIRA_OFFLINE.scores(target, changed) == LIRA_OFFLINE.scores(target, made)).all()
    assert (LIRA.scores(target, changed) != LIRA.scores(target, made)).any()


def test_it_is_the_best_test_there_is_where_answers_are_gaussian() -> None:
    # Neyman and Pearson: with the true means and one variance no test has a larger AUC than Phi(memory / sqrt(2))
    rng = np.random.default_rng(1)
    records, memory = 4_000, 1.0
    inside = rng.random((256, records)).argsort(axis=0) < 128
    mean, member = 2 * rng.standard_normal(records), rng.random(records) < 0.5
    made = Shadows(logits=mean + rng.standard_normal(inside.shape) + memory * inside, inside=inside)
    target = mean + rng.standard_normal(records) + memory * member
    found = roc_auc_score(member, LIRA.scores(target, made))
    # the standard error of an AUC on 2,000 + 2,000 records is below sqrt(0.25 / 2,000) = 0.012
    assert found == pytest.approx(stats.norm.cdf(memory / np.sqrt(2)), abs=3 * 0.012)


def test_answers_that_never_vary_give_finite_scores() -> None:
    inside = np.arange(6)[:, None] % 2 == np.arange(4) % 2
    still = Shadows(logits=np.zeros((6, 4)), inside=inside)
    for attack in (LIRA, LIRA_OFFLINE):
        assert np.isfinite(attack.scores(np.full(4, 27.0), still)).all()
