"""Trees behind scalers are trees before them: the same leaf for every row, to the last bit of a number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from tests.private_inference.trees.tree_models import TUMOUR, TUMOUR_CLASSES, TUMOUR_GAPS, fitted

from holdfast.errors import UnsupportedError
from holdfast.models.trees import Ensemble
from holdfast.models.trees.read_sklearn import read_boosting
from holdfast.private_inference import compile_private
from holdfast.private_inference.plan import clear_scores
from holdfast.private_inference.trees import BinEncoding, NumberBins, read
from holdfast.private_inference.trees.on_scalers import on_scalers

SCALERS = [
    [StandardScaler()],
    [MinMaxScaler(clip=True), RobustScaler()],
    [MaxAbsScaler(), "passthrough", StandardScaler(with_mean=False)],
]


def boosted(*scalers: Any) -> Any:
    return fitted(make_pipeline(*scalers, GradientBoostingClassifier(n_estimators=8)), TUMOUR, TUMOUR_CLASSES)


@pytest.mark.parametrize("scalers", SCALERS, ids=["standard", "two", "passthrough"])
def test_a_cut_before_a_scaler_is_its_cut_behind_it_for_the_nearest_numbers(scalers: list[Any]) -> None:
    model = boosted(*scalers)
    steps = [step for _, step in model.steps[:-1] if step != "passthrough"]
    ensemble = read_boosting(model.steps[-1][1])
    before = on_scalers(ensemble, steps, TUMOUR)
    rows = np.tile(TUMOUR[:40], (3, 1))
    for tree in before.trees:
        for rule in tree.rules:
            if np.isfinite(rule.edges[0]):
                at, edge = rule.feature, rule.edges[0]
                rows[:3, at] = np.nextafter(edge, -np.inf), edge, np.nextafter(edge, np.inf)
                assert (before.scores(rows) == ensemble.scores(model[:-1].transform(rows))).all()


@pytest.mark.parametrize(
    "estimator",
    [
        GradientBoostingClassifier(n_estimators=8),
        HistGradientBoostingClassifier(max_iter=5),
        RandomForestClassifier(n_estimators=5, max_depth=4, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_pipeline_of_scaler_and_trees_scores_as_it_does_itself(estimator: Any) -> None:
    model = fitted(make_pipeline(StandardScaler(), estimator), TUMOUR, TUMOUR_CLASSES)
    reading = read(model, X=TUMOUR)
    scores = clear_scores(reading.program, reading.encoding.encode(TUMOUR))
    assert np.abs(scores - reading.clear(TUMOUR)).max() < 1e-3
    own = model.predict_proba(TUMOUR) if hasattr(estimator, "estimators_") and scores.shape[1] == 2 else None
    if own is not None:
        assert np.abs(scores - own).max() < 1e-3


def test_missing_values_go_through_a_scaler() -> None:
    estimator = HistGradientBoostingClassifier(max_iter=5)
    model = fitted(make_pipeline(StandardScaler(), estimator), TUMOUR_GAPS, TUMOUR_CLASSES)
    reading = read(model, X=TUMOUR_GAPS)
    scores = clear_scores(reading.program, reading.encoding.encode(TUMOUR_GAPS))
    assert np.abs(scores[:, 0] - model.decision_function(TUMOUR_GAPS)).max() < 1e-3


def test_decoys_before_a_scaler_are_pulled_back_like_thresholds() -> None:
    """Else a threshold would be told from a decoy by scaling it: it alone came from a float32."""
    model = boosted(StandardScaler())
    encoding = read(model, X=TUMOUR).encoding
    assert isinstance(encoding, BinEncoding)
    cuts = [np.array(b.bins[0].grid) for b in encoding.blocks if isinstance(b.bins[0], NumberBins)]
    longest = max(map(len, cuts))
    table = np.array([np.resize(own, longest) if len(own) else np.zeros(longest) for own in cuts]).T
    behind = model[:-1].transform(table), model[:-1].transform(np.nextafter(table, -np.inf))
    rounded = [scaled.astype(np.float32) for scaled in behind]
    used = np.array([len(own) > 0 for own in cuts])
    assert (rounded[0] != rounded[1])[:, used].mean() > 0.99


def test_a_whole_pipeline_compiles_and_answers() -> None:
    plan = compile_private(boosted(StandardScaler()), X=TUMOUR)
    assert plan.public.kind == "trees"
    assert plan.public.measured is not None
    assert plan.public.measured.same_class == len(TUMOUR)


def test_a_step_that_is_no_scaler_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="does not know the step PCA in front of trees") as caught:
        read(boosted(PCA(5)), X=TUMOUR)
    assert "trees need no scaling" in caught.value.hint


def test_categories_behind_a_scaler_are_refused() -> None:
    X = np.column_stack([TUMOUR[:, 0], np.arange(len(TUMOUR)) % 5])
    model = make_pipeline(MinMaxScaler((0, 4)), HistGradientBoostingClassifier(max_iter=3, categorical_features=[1]))
    with pytest.raises(UnsupportedError, match="categories behind a scaler"):
        read(fitted(model, X, TUMOUR_CLASSES), X=X)


def test_a_model_of_constants_behind_a_scaler_stays_one() -> None:
    model = fitted(make_pipeline(StandardScaler(), RandomForestClassifier(2, max_depth=1)), TUMOUR, TUMOUR_CLASSES)
    found = read(model, X=TUMOUR)
    assert found.kind == "additive"
    nothing = Ensemble(**(vars(read_boosting(boosted(StandardScaler())[-1])) | {"trees": ()}))
    assert on_scalers(nothing, [], None).trees == ()
