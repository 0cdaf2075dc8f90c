"""The fingerprint's p-value is exact for any suspect, at one level for all owners; copies are claimed."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import load_digits
from sklearn.tree import DecisionTreeClassifier
from tests.attacks.attack_cases import loan_schema
from tests.hardening.ownership.owners import copy_of, tree

from holdfast.attacks import synthetic_rows
from holdfast.data import Dataset, check_features
from holdfast.data.images import Images
from holdfast.errors import DataError, InputError, IntegrityError, UsageError, WireError
from holdfast.evidence import Evidence
from holdfast.hardening.ownership import (
    Classify,
    Fingerprint,
    choose_fingerprint,
    classify,
    draw_watermark,
    fingerprint_model,
    load_key,
    pictures_between,
    rows_between,
    save_key,
)

FRACTION = 0.3
SECRET_SEED = 846_301_277


@pytest.fixture(scope="module")
def parts(tumour: Dataset) -> tuple[Dataset, Dataset]:
    """The owner's records, and a stranger's."""
    return tumour.split(test_fraction=0.4, seed=0)


@pytest.fixture(scope="module")
def owner(parts: tuple[Dataset, Dataset]) -> Classify:
    return classify(tree(parts[0].split(test_fraction=FRACTION, seed=SECRET_SEED)[0], seed=SECRET_SEED))


@pytest.fixture(scope="module")
def fingerprint(parts: tuple[Dataset, Dataset]) -> Fingerprint:
    model = tree(parts[0].split(test_fraction=FRACTION, seed=SECRET_SEED)[0], seed=SECRET_SEED)
    return fingerprint_model(
        model, parts[0], trainer=tree, test_fraction=FRACTION, rng=np.random.default_rng(0), twins=49, queries=300
    )


def test_the_model_itself_and_a_good_copy_are_claimed(
    parts: tuple[Dataset, Dataset], owner: Classify, fingerprint: Fingerprint
) -> None:
    result = fingerprint.verify(owner, commitment=fingerprint.commitment, alpha=0.02)
    assert result.p_value == 1 / 50
    assert result.matches == 300
    X = rows_between(parts[1], n=2_000, rng=np.random.default_rng(3))
    copy = copy_of(owner, parts[1], X, seed=4)
    assert fingerprint.verify(copy, commitment=fingerprint.commitment, alpha=0.02).claimed


def test_a_model_of_other_records_is_not_claimed(parts: tuple[Dataset, Dataset], fingerprint: Fingerprint) -> None:
    assert not fingerprint.verify(
        classify(tree(parts[1], seed=1)), commitment=fingerprint.commitment, alpha=0.02
    ).claimed


def test_a_twin_by_another_draw_of_the_same_records_is_not_claimed(
    parts: tuple[Dataset, Dataset], fingerprint: Fingerprint
) -> None:
    """The hardest innocent suspect: the same records, the same method. Two of twenty at 2 % have a chance of 6 %."""
    claims = 0
    for seed in range(1, 21):
        twin = classify(tree(parts[0].split(test_fraction=FRACTION, seed=seed)[0], seed=seed))
        claims += fingerprint.verify(twin, commitment=fingerprint.commitment, alpha=0.02).claimed
    assert claims <= 2


@settings(max_examples=30)
@given(
    answers=arrays(np.int64, (20, 15), elements=st.integers(0, 2)),
    said=arrays(np.int64, 15, elements=st.integers(0, 2)),
    alpha=st.sampled_from([0.05, 0.1, 0.35]),
)
def test_of_all_owners_that_a_suspect_cannot_tell_apart_at_most_alpha_claim_it(
    answers: Any, said: Any, alpha: float
) -> None:
    """Exactly what the draw averages over: each of the models in turn is the owner's, the suspect is anything."""
    claims = []
    for first in range(20):
        order = [first, *(i for i in range(20) if i != first)]
        fingerprint = Fingerprint(queries=np.arange(15.0)[:, None], answers=answers[order], classes=3, salt=bytes(32))
        claims.append(fingerprint.verify(lambda X: said, commitment=fingerprint.commitment, alpha=alpha).claimed)
    assert np.mean(claims) <= alpha


def test_a_suspect_who_answers_like_the_crowd_is_like_no_one() -> None:
    answers = np.tile(np.array([[0, 1, 0, 1]]), (10, 1))
    fingerprint = Fingerprint(queries=np.arange(4.0)[:, None], answers=answers, classes=2, salt=bytes(32))
    result = fingerprint.verify(lambda X: answers[0], commitment=fingerprint.commitment)
    assert result.p_value == 1.0


def test_pictures_can_be_fingerprinted() -> None:
    digits = load_digits()
    pictures = Images.of((digits.images * 15).astype(np.uint8), digits.target).take(range(600))

    def made(seed: int) -> Classify:
        learned = pictures.split(test_fraction=0.5, seed=seed)[0]
        fitted = DecisionTreeClassifier(random_state=seed).fit(learned.pixels.reshape(len(learned), -1), learned.y)
        return lambda X: np.asarray(fitted.predict(X.reshape(len(X), -1)))

    twins = [made(seed) for seed in range(1, 20)]
    candidates = pictures_between(pictures, n=400, rng=np.random.default_rng(0))
    fingerprint = choose_fingerprint(made(SECRET_SEED), twins, candidates, classes=10, queries=100)
    assert fingerprint.verify(made(SECRET_SEED), commitment=fingerprint.commitment).p_value == 1 / 20
    assert fingerprint.verify(made(99), commitment=fingerprint.commitment).p_value > 1 / 20


def test_rows_between_keep_to_their_schema() -> None:
    schema, rng = loan_schema(), np.random.default_rng(0)
    data = Dataset(schema, synthetic_rows(schema, 80, rng), np.arange(80) % 2)
    X = rows_between(data, n=500, rng=rng)
    check_features(X, schema)
    assert len(np.unique(X, axis=0)) > 450


def test_a_key_file_reads_back_and_binds(tmp_path: Path, owner: Classify, fingerprint: Fingerprint) -> None:
    save_key(fingerprint, tmp_path / "k")
    again = load_key(tmp_path / "k")
    assert isinstance(again, Fingerprint)
    first, second = (f.verify(owner, commitment=fingerprint.commitment) for f in (fingerprint, again))
    assert first == second
    changed = Fingerprint(
        queries=fingerprint.queries, answers=1 - fingerprint.answers, classes=2, salt=fingerprint.salt
    )
    with pytest.raises(IntegrityError):
        changed.verify(_never_asked, commitment=fingerprint.commitment)
    evidence = first.to_evidence("sha256:" + "0" * 64)
    assert Evidence.from_json(evidence.to_json()).digest == evidence.digest
    assert "twins" in evidence.context["null_hypothesis"]


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"kind": "other"},
        {"salt": "zz"},
        {"salt": ""},
        {"answers": [[0]]},
        {"answers": "no"},
        {"classes": "2"},
        {"queries": {"dtype": "|O", "shape": [1], "data": ""}},
        {"queries": {"dtype": "<f8", "shape": [10**9, 30], "data": ""}},
        {"queries": []},
    ],
    ids=str,
)
def test_a_malformed_key_file_is_refused(tmp_path: Path, fingerprint: Fingerprint, change: dict[str, Any]) -> None:
    save_key(fingerprint, tmp_path / "k")
    document = json.loads((tmp_path / "k").read_text())
    (tmp_path / "k").write_text(json.dumps(document | change))
    with pytest.raises(WireError):
        load_key(tmp_path / "k")


@pytest.mark.parametrize(
    "change",
    [
        {"secret": "00"},
        {"secret": None},
        {"count": 2.0},
        {"count": True},
        {"form": None},
        {"form": {}},
        {"form": {"schema": {"features": []}}},
        {"form": {"height": 0, "width": 5, "channels": 1, "classes": 2}},
        {"form": {"height": 5, "width": 5, "channels": 1, "classes": 2.0}},
    ],
    ids=str,
)
def test_a_malformed_key_of_a_watermark_is_refused(tmp_path: Path, tumour: Dataset, change: dict[str, Any]) -> None:
    save_key(draw_watermark(tumour, count=4, alpha=0.1), tmp_path / "k")
    document = json.loads((tmp_path / "k").read_text())
    (tmp_path / "k").write_text(json.dumps(document | change))
    with pytest.raises(WireError):
        load_key(tmp_path / "k")


def _never_asked(X: Any) -> Any:
    raise AssertionError("the suspect has seen the secret queries")


def test_a_level_that_is_none_is_refused_before_the_suspect_is_asked(fingerprint: Fingerprint) -> None:
    for alpha in (0.0, 1.0, float("nan")):
        with pytest.raises(UsageError, match="level of significance"):
            fingerprint.verify(_never_asked, commitment=fingerprint.commitment, alpha=alpha)


def test_what_is_no_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no file"):
        load_key(tmp_path / "absent")
    for text in ("", "[]", "{", "[" * 100_000):
        (tmp_path / "k").write_text(text)
        with pytest.raises(WireError):
            load_key(tmp_path / "k")


def test_nothing_to_compare_with_is_refused(parts: tuple[Dataset, Dataset], owner: Classify) -> None:
    X, rng = parts[0].X, np.random.default_rng(0)
    with pytest.raises(UsageError, match="at least one twin"):
        choose_fingerprint(owner, [], X, classes=2, queries=5)
    with pytest.raises(UsageError, match="as many as candidates"):
        choose_fingerprint(owner, [owner], X, classes=2, queries=len(X) + 1)
    with pytest.raises(DataError, match="one class"):
        rows_between(parts[0].take(parts[0].y == 0), n=5, rng=rng)
    one = parts[0].take(parts[0].y == 0)
    with pytest.raises(DataError, match="one class"):
        fingerprint_model(tree(parts[0], seed=0), one, trainer=tree, test_fraction=FRACTION, rng=rng)


def test_progress_ends_at_the_number_of_twins(parts: tuple[Dataset, Dataset]) -> None:
    seen: list[tuple[int, int]] = []
    fingerprint_model(
        tree(parts[0], seed=0),
        parts[0],
        trainer=tree,
        test_fraction=FRACTION,
        rng=np.random.default_rng(0),
        twins=3,
        queries=10,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_fingerprint_is_not_pickled() -> None:
    one = Fingerprint(
        queries=np.zeros((1, 2)), answers=np.zeros((2, 1), dtype=np.int64), classes=2, salt=bytes(range(32))
    )
    with pytest.raises(UsageError, match="holds a secret and is not pickled"):
        pickle.dumps(one)
