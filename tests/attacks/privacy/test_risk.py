"""The list of those who stand out names them, and does not cry wolf where nobody does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.attacks.attack_cases import noise_data

from holdfast.attacks.privacy import MembershipResult, risk_list
from holdfast.attacks.privacy.membership_result import membership_result
from holdfast.errors import DataError, UsageError
from holdfast.evidence import Evidence

DIGEST = "sha256:" + "0" * 64


def result_of(ins: np.ndarray, outs: np.ndarray) -> MembershipResult:
    member = np.arange(len(ins) + len(outs)) < len(ins)
    return membership_result(
        np.concatenate([ins, outs]), member, attack="test", unit="nats", threshold=0.0, n_shadows=8
    )


def test_the_worst_come_first_with_the_chance_that_an_outsider_scores_as_high() -> None:
    risks = risk_list(result_of(np.array([0.5, 9.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])), count=3)
    assert risks.rows.tolist() == [1, 3, 2]
    assert risks.scores.tolist() == [9.0, 3.0, 2.0]
    assert risks.p_values.tolist() == [1 / 4, 2 / 4, 3 / 4]  # (1 + outsiders as high or higher) / (1 + outsiders)
    assert risks.q_values.tolist() == pytest.approx([1.0, 1.0, 1.0])  # 4/1 * 1/4, 4/2 * 2/4, 4/3 * 3/4
    assert risks.exposed == 0


@given(seed=st.integers(0, 500), members=st.integers(1, 40), outsiders=st.integers(1, 40))
def test_p_values_are_what_counting_gives(seed: int, members: int, outsiders: int) -> None:
    rng = np.random.default_rng(seed)
    ins, outs = rng.integers(0, 9, members).astype(float), rng.integers(0, 9, outsiders).astype(float)
    risks = risk_list(result_of(ins, outs), count=members)
    for row, p in zip(risks.rows, risks.p_values, strict=True):
        assert p == pytest.approx((1 + sum(out >= ins[row] for out in outs)) / (1 + outsiders))
    assert (risks.q_values >= risks.p_values - 1e-12).all()
    assert (np.diff(risks.q_values) >= -1e-12).all()


def test_where_members_are_as_outsiders_hardly_ever_is_anybody_called_exposed() -> None:
    rng, runs, cried = np.random.default_rng(0), 400, 0
    for _ in range(runs):
        cried += risk_list(result_of(rng.standard_normal(50), rng.standard_normal(400))).exposed > 0
    # with no true exposure the false discovery rate is the chance of any: at most 5 %, and 3.3 standard errors of 400
    assert cried / runs <= 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / runs)


def test_where_half_of_the_members_stand_out_about_so_many_are_named_and_few_wrongly() -> None:
    rng, runs = np.random.default_rng(1), 60
    shares, wrong = [], []
    for _ in range(runs):
        ins = rng.standard_normal(100)
        ins[:50] += 6
        result = result_of(ins, rng.standard_normal(500))
        risks = risk_list(result, count=100)
        named = risks.rows[: risks.exposed]
        shares.append((named < 50).sum() / 50)
        wrong.append((named >= 50).mean())
    assert np.mean(shares) > 0.9
    assert np.mean(wrong) <= 0.05  # Benjamini and Hochberg hold it at 5 % times the share of true nulls, 2.5 %


def test_few_outsiders_cannot_show_anybody_and_the_note_says_so() -> None:
    risks = risk_list(result_of(np.full(30, 99.0), np.zeros(5)))
    assert risks.exposed == 0
    assert "No member is told from outsiders" in risks.note
    assert "of 30, some score so high by chance" in risks.note
    assert "no p-value can be below 0.17" in risks.note


def test_a_person_sees_the_records_and_evidence_does_not_hold_them() -> None:
    members = noise_data(40, np.random.default_rng(0))
    ins = np.zeros(40)
    ins[[7, 3]] = [50.0, 40.0]
    risks = risk_list(result_of(ins, np.random.default_rng(1).standard_normal(2_000)), count=2)
    assert risks.exposed == 2
    assert "2 of 40 members" in risks.note
    frame = risks.to_frame(members)
    assert frame["row"].tolist() == [7, 3]
    assert frame["a0"].tolist() == members.X[[7, 3], 0].tolist()
    evidence = risks.to_evidence(DIGEST)
    assert Evidence.from_json(evidence.to_json()).digest == evidence.digest
    assert evidence.kind == "membership-risk"
    assert set(evidence.samples) == {"row", "score", "p_value", "q_value"}
    assert evidence.figures["exposed_members"].bound == "lower"


def test_another_table_and_an_empty_list_are_refused() -> None:
    result = result_of(np.zeros(3), np.zeros(3))
    with pytest.raises(DataError, match="the 3 members that were attacked, got 4"):
        risk_list(result).to_frame(noise_data(4, np.random.default_rng(0)))
    with pytest.raises(UsageError, match="1 or more members"):
        risk_list(result, count=0)
