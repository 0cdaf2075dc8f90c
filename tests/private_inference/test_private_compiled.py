"""Trees through the whole protocol: compiled, plans and keys as bytes, asked, and equal to the model's fixed point."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier

from holdfast.errors import WireError
from holdfast.private_inference import Evaluator, PrivatePlan, PrivateSession, PublicPlan, SecretPlan, compile_private

X, Y = load_breast_cancer(return_X_y=True)


@pytest.fixture(scope="module")
def plan() -> PrivatePlan:
    model = GradientBoostingClassifier(n_estimators=10, max_depth=3, random_state=0).fit(X, Y)
    return compile_private(model, X=X, classes=["malignant", "benign"])


def test_trees_are_exact_in_fixed_point_after_a_trip_through_files(plan: PrivatePlan) -> None:
    public = PublicPlan.from_json(json.loads(json.dumps(plan.public.to_json())))
    kept = PrivatePlan(public=public, secret=SecretPlan.from_bytes(plan.secret.to_bytes()))
    session, evaluator = PrivateSession(public), Evaluator(kept)
    keys = session.keys("row")
    manifest = evaluator.read_manifest(keys.manifest)
    for i, part in enumerate(keys.parts):
        evaluator.check_part(manifest, i, part)
    loaded = evaluator.load_keys(keys.manifest, keys.parts)
    for row in range(2):
        answer = session.decrypt(evaluator.answer(session.encrypt(X[row : row + 1]), keys=loaded))
        assert (answer.scores == plan.clear_scores(X[row : row + 1])).all()
        assert answer.values.sum() == pytest.approx(1)
    assert keys.size_bytes <= 40 * 10**6
    assert loaded.memory_bytes > 0


def test_the_plan_says_how_it_compared(plan: PrivatePlan) -> None:
    measured = plan.public.measured
    assert measured is not None
    assert (measured.rows, measured.same_class, measured.encrypted_error) == (len(X), len(X), 0.0)
    assert "sum of one leaf for each tree" in plan.public.leakage


def test_a_query_of_trees_with_a_residue_out_of_range_is_refused(plan: PrivatePlan) -> None:
    import hashlib

    session, evaluator = PrivateSession(plan.public), Evaluator(plan)
    keys = session.keys("row")
    loaded = evaluator.load_keys(keys.manifest, keys.parts)
    query = session.encrypt(X[:1])
    wrong = query[:108] + b"\xff" * 16 + query[124:-32]
    with pytest.raises(WireError, match="not below its prime"):
        evaluator.answer(wrong + hashlib.sha256(wrong).digest(), keys=loaded)


def test_a_missing_value_is_refused_where_the_model_knows_none(plan: PrivatePlan) -> None:
    from holdfast.errors import DataError

    rows = X[:1].copy()
    rows[0, 3] = np.nan
    with pytest.raises(DataError):
        PrivateSession(plan.public).encrypt(rows)
