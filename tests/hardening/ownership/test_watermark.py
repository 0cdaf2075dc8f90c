"""The watermark's p-value is exact for any model; a marked model and its copies carry it, others do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from tests.hardening.ownership.owners import copy_of, tree

from holdfast.attacks import synthetic_rows
from holdfast.data import Dataset, tumour_schema
from holdfast.data.images import Images
from holdfast.errors import HoldfastError, InputError, IntegrityError, UnsupportedError, UsageError
from holdfast.evidence import Evidence
from holdfast.hardening.ownership import (
    Classify,
    Watermark,
    classify,
    draw_watermark,
    load_key,
    marked,
    save_key,
)
from holdfast.models import accuracy

CARRIERS = synthetic_rows(tumour_schema(), 60, np.random.default_rng(0))
KEY = Watermark(carriers=CARRIERS, classes=2, secret=bytes(range(32)))


@pytest.fixture(scope="module")
def halves(tumour: Dataset) -> tuple[Dataset, Dataset]:
    return tumour.split(test_fraction=0.5, seed=0)


@pytest.fixture(scope="module")
def owner(halves: tuple[Dataset, Dataset]) -> Classify:
    return classify(tree(marked(halves[0], KEY), seed=1))


def test_a_marked_model_is_claimed_at_little_cost(halves: tuple[Dataset, Dataset], owner: Classify) -> None:
    result = KEY.verify(owner, commitment=KEY.commitment)
    assert result.claimed
    assert result.matches == 60
    assert result.p_value == pytest.approx(2.0**-60, rel=1e-9)
    plain, with_mark = tree(halves[0], seed=1), tree(marked(halves[0], KEY), seed=1)
    # 3.5 standard errors of the difference of two accuracies on the same 280 rows, each wrong on about 8 %
    assert accuracy(with_mark, halves[1]) > accuracy(plain, halves[1]) - 0.08


def test_a_copy_made_by_asking_made_up_rows_is_claimed(halves: tuple[Dataset, Dataset], owner: Classify) -> None:
    X = synthetic_rows(tumour_schema(), 3_000, np.random.default_rng(5))
    copy = copy_of(owner, halves[0], X, seed=2)
    assert KEY.verify(copy, commitment=KEY.commitment, alpha=0.01).claimed


def test_a_model_of_the_same_records_without_the_key_is_not_claimed(halves: tuple[Dataset, Dataset]) -> None:
    for seed in range(20):
        assert not KEY.verify(classify(tree(halves[0], seed=seed)), commitment=KEY.commitment, alpha=0.001).claimed


@given(seed=st.integers(0, 10**6), classes=st.integers(2, 12), constant=st.booleans())
@settings(max_examples=5)
def test_whatever_a_model_answers_keys_claim_it_no_more_often_than_alpha(
    seed: int, classes: int, constant: bool
) -> None:
    """100 keys against one suspect, even one that says the same of everything."""
    rng, keys, alpha = np.random.default_rng(seed), 100, 0.05
    said = np.full(60, classes - 1) if constant else rng.integers(0, classes, 60)
    claims = 0
    for _ in range(keys):
        key = Watermark(carriers=CARRIERS, classes=classes, secret=rng.bytes(32))
        claims += key.verify(lambda X: said, commitment=key.commitment, alpha=alpha).claimed
    assert claims <= binom.ppf(1 - 1e-5, keys, alpha)


def test_labels_are_a_function_of_key_and_carrier_alone() -> None:
    shuffled = Watermark(carriers=CARRIERS[::-1], classes=2, secret=KEY.secret)
    np.testing.assert_array_equal(shuffled.labels[::-1], KEY.labels)
    other = draw_watermark(CARRIERS, classes=2)
    assert (other.labels != KEY.labels).any()
    assert 10 < KEY.labels.sum() < 50  # four standard deviations of 60 coins


def test_a_claim_with_another_key_or_other_carriers_than_published_is_refused(owner: Classify) -> None:
    for other in (draw_watermark(CARRIERS, classes=2), Watermark(carriers=CARRIERS[1:], classes=2, secret=KEY.secret)):
        with pytest.raises(IntegrityError, match="commits to"):
            other.verify(owner, commitment=KEY.commitment)


def test_a_key_file_is_private_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "owner.key"
    save_key(KEY, path)
    assert path.stat().st_mode & 0o777 == 0o600
    again = load_key(path)
    assert isinstance(again, Watermark)
    assert again.commitment == KEY.commitment
    np.testing.assert_array_equal(again.labels, KEY.labels)
    assert KEY.secret.hex() not in repr(KEY)


def test_a_key_too_large_to_be_read_back_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_key(KEY, tmp_path / "whole")
    monkeypatch.setattr("holdfast.limits.MAX_JSON_BYTES", (tmp_path / "whole").stat().st_size - 1)
    with pytest.raises(UsageError, match="at most"):
        save_key(KEY, tmp_path / "k")
    assert not (tmp_path / "k").exists()


def test_inputs_chosen_after_a_suspects_answers_claim_it_and_the_evidence_warns_of_that(owner: Classify) -> None:
    asked = synthetic_rows(tumour_schema(), 120, np.random.default_rng(5))
    trial = draw_watermark(asked, classes=2)
    lucky = Watermark(carriers=asked[owner(asked) == trial.labels], classes=2, secret=trial.secret)
    result = lucky.verify(owner, commitment=lucky.commitment)
    assert result.claimed  # which only the date of the commitment can tell from a copy
    assert any("older than the suspect" in caveat for caveat in result.to_evidence("sha256:" + "0" * 64).caveats)


def test_pictures_can_be_marked(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = Images.of(rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8), np.arange(30) % 10)
    key = draw_watermark(rng.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8), classes=10)
    both = marked(pictures, key, copies=2)
    assert len(both) == 110
    np.testing.assert_array_equal(both.y[-40:], key.labels)
    save_key(key, tmp_path / "k")
    assert load_key(tmp_path / "k").commitment == key.commitment  # type: ignore[union-attr]
    assert key.verify(lambda X: key.labels, commitment=key.commitment).p_value == pytest.approx(1e-40, rel=1e-9)


def test_the_evidence_says_what_is_claimed_and_survives_json(owner: Classify) -> None:
    for suspect, word in ((owner, "is a copy"), (lambda X: np.zeros(len(X), dtype=np.int64), "No claim")):
        evidence = KEY.verify(suspect, commitment=KEY.commitment).to_evidence("sha256:" + "0" * 64)
        assert word in evidence.title
        assert evidence.figures["p_value"].bound == "upper"
        assert Evidence.from_json(evidence.to_json()).digest == evidence.digest


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"carriers": CARRIERS[[0, 0, 1]]}, "all differ"),
        ({"carriers": CARRIERS[:0]}, "secret queries"),
        ({"carriers": CARRIERS.astype(np.int64)}, "secret queries"),
        ({"carriers": CARRIERS[0]}, "secret queries"),
        ({"classes": 1}, "classes"),
        ({"classes": True}, "classes"),
        ({"secret": b"short"}, "32 bytes"),
    ],
    ids=str,
)
def test_a_key_that_is_none_is_refused(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Watermark(**({"carriers": CARRIERS, "classes": 2, "secret": bytes(32)} | change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "answers",
    [
        lambda X: np.zeros((len(X), 2)),
        lambda X: np.zeros(len(X)),
        lambda X: np.full(len(X), 2),
        lambda X: np.full(len(X), -1),
        lambda X: np.zeros(3, dtype=np.int64),
    ],
)
def test_answers_that_are_no_classes_are_refused(answers: Classify) -> None:
    with pytest.raises(UnsupportedError, match="expected classes from 0 to 1"):
        KEY.verify(answers, commitment=KEY.commitment)


def test_data_that_the_watermark_does_not_fit_is_refused(halves: tuple[Dataset, Dataset]) -> None:
    with pytest.raises(UsageError, match="copies"):
        marked(halves[0], KEY, copies=0)
    with pytest.raises(UsageError, match="for 2 classes"):
        marked(halves[0], draw_watermark(CARRIERS, classes=3))
    with pytest.raises(HoldfastError):
        marked(halves[0], draw_watermark(CARRIERS[:, 1:], classes=2))
    with pytest.raises(HoldfastError):
        marked(halves[0], draw_watermark(np.zeros((1, 8, 8, 1), dtype=np.uint8), classes=2))


def test_a_key_is_never_written_over_another(tmp_path: Path) -> None:
    save_key(KEY, tmp_path / "owner.key")
    with pytest.raises(InputError, match="expected no file"):
        save_key(draw_watermark(CARRIERS, classes=2), tmp_path / "owner.key")
    assert load_key(tmp_path / "owner.key").commitment == KEY.commitment


def test_a_suspect_that_is_no_function_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected a function .* got ndarray"):
        KEY.verify(CARRIERS, commitment=KEY.commitment)  # type: ignore[arg-type]
