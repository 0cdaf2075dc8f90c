"""RMIA is the one of the paper, and its offline form keeps to what an offline attacker has."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from tests.attacks.privacy.textbook import example, rmia

from holdfast.attacks.privacy import LOSS, RMIA, RMIA_OFFLINE, Attack, Shadows


def doubt_left(shadows: Shadows) -> float:
    """How much of 1 - p training leaves, cell by cell."""
    doubts: dict[bool, list[float]] = {True: [], False: []}
    for logits, flags in zip(shadows.logits, shadows.inside, strict=True):
        for logit, flag in zip(logits, flags, strict=True):
            doubts[bool(flag)].append(1 - 1 / (1 + math.exp(-logit)))
    return (sum(doubts[True]) / len(doubts[True])) / (sum(doubts[False]) / len(doubts[False]))


@pytest.mark.parametrize("attack", [RMIA, RMIA_OFFLINE], ids=["online", "offline"])
def test_the_scores_are_those_of_the_paper_written_as_a_loop(attack: Attack) -> None:
    target, made = example(np.random.default_rng(3), shadows=9, records=40)
    expected = np.array(rmia(target, made, offline_a=None if attack is RMIA else doubt_left(made)))
    # ours compares a record with itself too, which counts half
    assert attack.scores(target, made) * 40 - 0.5 == pytest.approx(expected * 39, abs=1e-9)


@given(seed=st.integers(0, 200))
def test_a_score_is_a_share_and_rises_with_the_targets_answer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target, made = example(rng, shadows=6, records=15)
    record = int(rng.integers(15))
    surer = target.copy()
    surer[record] += rng.uniform(0, 5)
    for attack in (RMIA, RMIA_OFFLINE):
        before, after = attack.scores(target, made), attack.scores(surer, made)
        assert ((before >= 0) & (before <= 1)).all()
        assert after[record] >= before[record]


def test_of_shadows_with_a_record_the_offline_attack_sees_no_more_than_an_average_over_all_records() -> None:
    rng = np.random.default_rng(0)
    target, made = example(rng, shadows=12, records=20)
    other = made.logits.copy()
    other[made.inside] = rng.permutation(other[made.inside])
    changed = Shadows(logits=other, inside=made.inside)
    assert RMIA_OFFLINE.scores(target, changed) == pytest.approx(RMIA_OFFLINE.scores(target, made), abs=1e-9)
    assert (RMIA.scores(target, changed) != RMIA.scores(target, made)).any()


def test_shadows_that_doubt_their_own_records_more_than_others_give_finite_scores() -> None:
    inside = np.arange(6)[:, None] % 2 == np.arange(4) % 2
    scores = RMIA_OFFLINE.scores(np.zeros(4), Shadows(logits=np.where(inside, -5.0, 5.0), inside=inside))
    assert scores == pytest.approx(0.5)


def test_where_records_differ_in_difficulty_it_beats_the_loss_attack() -> None:
    rng = np.random.default_rng(5)
    records, member = 2_000, np.arange(2_000) < 1_000
    inside = rng.random((16, records)).argsort(axis=0) < 8
    mean = 3 * rng.standard_normal(records)
    made = Shadows(logits=mean + rng.standard_normal(inside.shape) + 1.5 * inside, inside=inside)
    target = mean + rng.standard_normal(records) + 1.5 * member
    area = {attack.name: roc_auc_score(member, attack.scores(target, made)) for attack in (RMIA, RMIA_OFFLINE, LOSS)}
    # the standard error of each is below sqrt(0.25 / 1,000) = 0.016
    assert min(area[RMIA.name], area[RMIA_OFFLINE.name]) > area[LOSS.name] + 3 * 0.016


def test_the_loss_attack_says_how_far_the_loss_lies_below_that_of_training_records() -> None:
    logits = np.array([[0.0, 2.0], [1.0, -1.0]])
    made = Shadows(logits=logits, inside=np.array([[True, False], [False, True]]))
    loss = [-np.log(1 / (1 + np.exp(-logit))) for logit in (0.0, -1.0)]
    expected = np.mean(loss) - np.array([-np.log(1 / (1 + np.exp(-3.0))), -np.log(1 / (1 + np.exp(4.0)))])
    assert LOSS.scores(np.array([3.0, -4.0]), made) == pytest.approx(expected)
