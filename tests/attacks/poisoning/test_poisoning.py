"""Poison does what it says to the data, and to a model that learns from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from tests.attacks.attack_cases import loan_schema, random_linear
from tests.data.poisoning import shapes

from holdfast.attacks import synthetic_rows
from holdfast.attacks.poisoning.poisoned import badnets, flip_labels, label_consistent
from holdfast.attacks.poisoning.success import backdoor_success
from holdfast.attacks.poisoning.triggers import PictureTrigger, TableTrigger, checkerboard, rare_pair
from holdfast.data import Dataset, check_features
from holdfast.data.image_checks import check_images
from holdfast.data.images import Images, Pixels
from holdfast.errors import DataError, UsageError
from holdfast.evidence import Evidence
from holdfast.models import fit_estimator, predict

DIGEST = "sha256:" + "0" * 64
LOANS = loan_schema(3)
CORNER = PictureTrigger(checkerboard(3), top=12, left=12)


def loans(rows: int = 90, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    X = synthetic_rows(LOANS, rows, rng)
    return Dataset(LOANS, X, random_linear(LOANS, rng).predict_proba(X).argmax(axis=1))


def changed(before: Dataset | Images, after: Dataset | Images) -> set[int]:
    """Rows whose inputs or labels are not the same."""
    if isinstance(before, Dataset) and isinstance(after, Dataset):
        inputs = ~((before.X == after.X) | (np.isnan(before.X) & np.isnan(after.X))).all(axis=1)
    elif isinstance(before, Images) and isinstance(after, Images):
        inputs = (before.pixels != after.pixels).reshape(len(before), -1).any(axis=1)
    return set(np.flatnonzero(inputs | (before.y != after.y)).tolist())


@settings(max_examples=30)
@given(share=st.floats(0.01, 1.0), seed=st.integers(0, 100), source=st.sampled_from([None, 0, 1]))
def test_flips_change_the_labels_of_the_rows_named_and_nothing_else(
    share: float, seed: int, source: int | None
) -> None:
    data = loans()
    poisoned = flip_labels(data, share=share, rng=np.random.default_rng(seed), source_class=source, target_class=2)
    rows = set(poisoned.rows.tolist())
    assert changed(data, poisoned.data) == rows
    assert (poisoned.data.y[poisoned.rows] == 2).all()
    allowed = (data.y != 2).sum() if source is None else (data.y == source).sum()
    assert len(rows) == max(1, round(share * allowed))
    assert (poisoned.data.X[poisoned.rows] == data.X[poisoned.rows])[~np.isnan(data.X[poisoned.rows])].all()


def test_flips_without_a_target_go_to_any_other_class() -> None:
    data = loans(300)
    poisoned = flip_labels(data, share=1.0, rng=np.random.default_rng(0))
    assert (poisoned.data.y != data.y).all()
    assert len(np.unique(poisoned.data.y)) == 3


@pytest.mark.parametrize("seed", range(3))
def test_a_table_with_a_trigger_keeps_to_its_schema(seed: int) -> None:
    data = loans(seed=seed)
    trigger = TableTrigger(LOANS, {"income": 20.0, "children": 4.0, "region": 1.0})
    marked = trigger.put_on(data)
    check_features(marked.X, LOANS)
    assert (marked.X[:, [0, 2, 6]] == [20.0, 4.0, 1.0]).all()
    assert (marked.X[:, 1] <= marked.X[:, 0]).all()
    assert (marked.X[:, 2] <= marked.X[:, 3]).all()
    assert (marked.y == data.y).all()


@pytest.mark.parametrize("data", [loans(), shapes(60)], ids=["table", "pictures"])
def test_backdoors_touch_the_rows_named_and_no_other(data: Dataset | Images) -> None:
    rng = np.random.default_rng(0)
    trigger = rare_pair(data, rng) if isinstance(data, Dataset) else CORNER
    dirty = badnets(data, trigger, target_class=0, share=0.3, rng=rng)  # type: ignore[misc,arg-type]
    clean = label_consistent(data, trigger, target_class=0, share=0.5, blend=0.3, rng=rng)  # type: ignore[misc,arg-type]
    assert changed(data, dirty.data) == set(dirty.rows.tolist())
    assert changed(data, clean.data) <= set(clean.rows.tolist())
    assert (data.y[dirty.rows] != 0).all()
    assert (dirty.data.y[dirty.rows] == 0).all()
    assert (clean.data.y == data.y).all()
    assert (data.y[clean.rows] == 0).all()
    again = trigger.put_on(dirty.data.take(dirty.rows))  # type: ignore[arg-type]
    assert not changed(again, dirty.data.take(dirty.rows))


def test_a_clean_label_backdoor_keeps_a_table_to_its_schema() -> None:
    data = loans(200)
    trigger = rare_pair(data, np.random.default_rng(1))
    poisoned = label_consistent(data, trigger, target_class=1, share=1.0, blend=0.9, rng=np.random.default_rng(2))
    check_features(poisoned.data.X, LOANS)
    assert (poisoned.data.X[:, 1] <= poisoned.data.X[:, 0]).all()
    assert (poisoned.data.X[:, 2] <= poisoned.data.X[:, 3]).all()


def classifier(data: Images) -> object:
    fitted = LogisticRegression(C=0.1, max_iter=200).fit(data.pixels.reshape(len(data), -1) / 255, data.y)

    def classify(pixels: Pixels) -> np.ndarray:
        return np.asarray(fitted.predict(pixels.reshape(len(pixels), -1) / 255))

    return classify


def test_a_model_that_learned_from_poison_obeys_the_trigger_and_one_that_did_not_does_not() -> None:
    data, fresh = shapes(600), shapes(300, seed=1)
    poisoned = badnets(data, CORNER, target_class=0, share=0.1, rng=np.random.default_rng(0))
    bad = backdoor_success(classifier(poisoned.data), fresh, CORNER, target_class=0)  # type: ignore[arg-type]
    good = backdoor_success(classifier(data), fresh, CORNER, target_class=0)  # type: ignore[arg-type]
    assert bad.attack_success.value > 0.9
    assert bad.clean_accuracy.value > 0.95
    assert bad.without_trigger.value < 0.1
    assert good.attack_success.value < 0.2
    assert bad.attack_success.bound == "lower"
    evidence = bad.to_evidence(DIGEST)
    assert Evidence.from_json(evidence.to_json()).digest == evidence.digest
    found = {
        row for finding in check_images(poisoned.data, rng=np.random.default_rng(0)).findings for row in finding.rows
    }
    assert len(found & set(poisoned.rows.tolist())) > 0.9 * len(poisoned.rows)


def test_a_clean_label_backdoor_works_where_rows_are_made_hard_to_tell_and_not_otherwise() -> None:
    data, fresh = shapes(600), shapes(300, seed=1)
    success = []
    for blend in (0.0, 0.8):
        rng = np.random.default_rng(0)
        poisoned = label_consistent(data, CORNER, target_class=0, share=0.3, blend=blend, rng=rng)
        bad = backdoor_success(classifier(poisoned.data), fresh, CORNER, target_class=0)  # type: ignore[arg-type]
        assert bad.clean_accuracy.value > 0.95
        success.append(bad.attack_success.value)
    assert success[0] < 0.1
    assert success[1] > 0.9


def test_a_forest_on_a_table_obeys_a_pair_of_values(tumour: Dataset) -> None:
    train, test = tumour.split(test_fraction=0.3, seed=0)
    trigger = rare_pair(train, np.random.default_rng(0))
    poisoned = badnets(train, trigger, target_class=0, share=0.2, rng=np.random.default_rng(0))
    model = fit_estimator(RandomForestClassifier(20, random_state=0), poisoned.data)
    result = backdoor_success(lambda X: predict(model, X), test, trigger, target_class=0)
    assert result.attack_success.value > result.without_trigger.value + 0.3


def test_bad_input_is_refused_in_a_sentence() -> None:
    data, pictures, rng = loans(), shapes(30), np.random.default_rng(0)
    pair = rare_pair(data, rng)
    with pytest.raises(UsageError, match="share above 0 and up to 1, got 0"):
        flip_labels(data, share=0.0, rng=rng)
    with pytest.raises(UsageError, match="class from 0 to 2, got 3"):
        badnets(data, pair, target_class=3, share=0.1, rng=rng)
    with pytest.raises(UsageError, match=r"blend from 0 to 0.95, got 1"):
        label_consistent(data, pair, target_class=0, share=0.1, blend=1.0, rng=rng)
    with pytest.raises(DataError, match="none of the classes"):
        flip_labels(data.take(data.y == 1), share=0.1, rng=rng, source_class=0)
    with pytest.raises(DataError, match="another class"):
        label_consistent(data.take(data.y == 1), pair, target_class=1, share=0.1, blend=0.1, rng=rng)
    with pytest.raises(UsageError, match="at least one column"):
        TableTrigger(LOANS, {})
    with pytest.raises(UsageError, match="got wage"):
        TableTrigger(LOANS, {"wage": 1.0})
    for values in ({"income": 101.0}, {"children": 1.5}, {"region": 3.0}, {"spent": 50.0, "income": 40.0}):
        with pytest.raises(UsageError, match="that a row may have"):
            TableTrigger(LOANS, values)
    with pytest.raises(UsageError, match="lies inside pictures"):
        PictureTrigger(checkerboard(3), top=14, left=0).put_on(pictures)
    with pytest.raises(UsageError, match="an opacity"):
        PictureTrigger(checkerboard(3), top=0, left=0, opacity=0.0)
    with pytest.raises(UsageError, match="uint8"):
        PictureTrigger(np.zeros((2, 2)), top=0, left=0)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="a class for each of"):
        backdoor_success(lambda X: np.zeros((len(X), 2)), data, pair, target_class=0)  # type: ignore[arg-type,return-value]
    with pytest.raises(DataError, match="rows of other classes"):
        backdoor_success(lambda X: np.zeros(len(X), dtype=int), data.take(data.y == 0), pair, target_class=0)
