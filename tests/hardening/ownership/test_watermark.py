"""The watermark's p-value is exact for any model; a marked model and its copies carry it, others do not."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from tests.attacks.attack_cases import loan_schema
from tests.hardening.ownership.owners import copy_of, tree

from holdfast.attacks import synthetic_rows
from holdfast.attacks.tables.feasible import keeps
from holdfast.data import Dataset, Feature, Schema, check_features, tumour_schema
from holdfast.data.images import Images
from holdfast.errors import InputError, IntegrityError, UnsupportedError, UsageError
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
from holdfast.hardening.ownership.carriers import Form, PictureForm, RowForm, draw_carriers, form_from_json
from holdfast.models import accuracy

FORM = RowForm(schema=tumour_schema())
KEY = Watermark(form=FORM, count=60, secret=bytes(range(32)))
GOLDEN = {30: "aa91d46da70a53ad", 9: "8c54dc10125914ef", 2520: "e1524f041910ba00"}
"""SHA-256 of 40 carriers, its first digits, by the numbers in one: keys in files stand for these for ever."""
DIGEST = "sha256:" + "0" * 64


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
    form = PictureForm(height=5, width=4, channels=1, classes=classes)
    said = np.full(60, classes - 1) if constant else rng.integers(0, classes, 60)
    claims = 0
    for _ in range(keys):
        key = Watermark(form=form, count=60, secret=rng.bytes(32))
        claims += key.verify(lambda X: said, commitment=key.commitment, alpha=alpha).claimed
    assert claims <= binom.ppf(1 - 1e-5, keys, alpha)


def test_independently_trained_models_are_claimed_no_more_often_than_alpha(tumour: Dataset) -> None:
    """Five trees of other records against 60 keys each, carriers and all."""
    keys = [Watermark(form=FORM, count=60, secret=bytes([number, *range(31)])) for number in range(60)]
    claims = 0
    for seed in range(5):
        suspect = classify(tree(tumour.split(test_fraction=0.5, seed=seed)[0], seed=seed))
        claims += sum(key.verify(suspect, commitment=key.commitment, alpha=0.05).claimed for key in keys)
    assert claims <= binom.ppf(1 - 1e-5, 300, 0.05)


def test_an_owner_who_has_seen_the_suspect_can_only_try_secrets(owner: Classify) -> None:
    """The best of 100 secrets is about as good as 1 in 100, and below 1e-7 in one of 100,000 such searches."""
    best = min(
        key.verify(owner, commitment=key.commitment).p_value
        for key in (Watermark(form=FORM, count=60, secret=number.to_bytes(32)) for number in range(100))
    )
    assert 1e-7 < best < 0.05
    caveats = KEY.verify(owner, commitment=KEY.commitment).to_evidence(DIGEST).caveats
    assert any("older than the suspect" in caveat for caveat in caveats)


@pytest.mark.parametrize(
    "form",
    [FORM, RowForm(schema=loan_schema(3)), PictureForm(height=28, width=30, channels=3, classes=10)],
    ids=["rows", "mixed rows", "pictures"],
)
def test_the_secret_makes_the_same_carriers_everywhere_and_another_secret_others(form: Form) -> None:
    again = form_from_json(form.to_json())
    assert again == form
    drawn, other = (draw_carriers(again, bytes([number] * 32), 40) for number in (1, 2))
    np.testing.assert_array_equal(drawn, draw_carriers(form, bytes([1] * 32), 40))
    assert len({carrier.tobytes() for carrier in [*drawn, *other]}) == 80
    assert not drawn.flags.writeable
    if isinstance(form, RowForm):
        check_features(drawn, form.schema)
        assert keeps(drawn, form.schema).all()
    assert hashlib.sha256(drawn.tobytes()).hexdigest()[:16] == GOLDEN[form.values]


def test_labels_are_uniform_and_differ_from_secret_to_secret() -> None:
    labels = np.concatenate([Watermark(form=FORM, count=1_000, secret=bytes([n] * 32)).labels for n in range(4)])
    assert abs(labels.mean() - 0.5) < 4 * 0.5 / np.sqrt(4_000)
    assert (labels[:1_000] != labels[1_000:2_000]).mean() > 0.4


def test_a_claim_with_another_secret_form_or_count_than_published_is_refused(owner: Classify) -> None:
    narrowed = RowForm(schema=Schema.from_json(FORM.schema.to_json() | {"target": "other"}))
    for change in ({"secret": bytes(32)}, {"count": 59}, {"form": narrowed}):
        with pytest.raises(IntegrityError, match="commits to"):
            replace(KEY, **change).verify(owner, commitment=KEY.commitment)  # type: ignore[arg-type]


def test_what_has_hardly_any_different_inputs_carries_no_watermark() -> None:
    feature = Feature(name="a", kind="integer", low=0, high=20)
    data = Dataset(Schema(features=(feature,), target="y", classes=("n", "y")), np.zeros((1, 1)), np.zeros(1, int))
    with pytest.raises(UsageError, match="30 carriers can be drawn that differ, got"):
        draw_watermark(data, count=30)
    assert len(draw_watermark(data, count=5, alpha=0.05).carriers) == 5


@pytest.mark.parametrize(("classes", "alpha", "least"), [(2, 1e-6, 20), (2, 0.01, 7), (10, 1e-6, 7), (1000, 1e-6, 3)])
def test_so_few_carriers_that_nothing_could_be_claimed_are_refused_with_the_least_number(
    classes: int, alpha: float, least: int
) -> None:
    pictures = Images.of(np.zeros((classes, 5, 5), dtype=np.uint8), np.arange(classes))
    for count in (1, least - 1):
        with pytest.raises(
            UsageError, match=rf"expected {least} carriers or more, .* with {classes} classes, got {count}"
        ):
            draw_watermark(pictures, count=count, alpha=alpha)
    key = draw_watermark(pictures, count=least, alpha=alpha)
    assert key.verify(lambda X: key.labels, commitment=key.commitment, alpha=alpha).claimed
    less = replace(key, count=least - 1)
    assert not less.verify(lambda X: less.labels, commitment=less.commitment, alpha=alpha).claimed


def test_a_key_file_is_private_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "owner.key"
    save_key(KEY, path)
    assert path.stat().st_mode & 0o777 == 0o600
    again = load_key(path)
    assert isinstance(again, Watermark)
    assert again.commitment == KEY.commitment
    np.testing.assert_array_equal(again.labels, KEY.labels)
    assert KEY.secret.hex() not in repr(KEY)
    assert repr(KEY) == f"<Watermark: {KEY.count} carriers of 2 classes, its secret not shown>"


def test_a_key_too_large_to_be_read_back_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_key(KEY, tmp_path / "whole")
    monkeypatch.setattr("holdfast.limits.MAX_JSON_BYTES", (tmp_path / "whole").stat().st_size - 1)
    with pytest.raises(UsageError, match="at most"):
        save_key(KEY, tmp_path / "k")
    assert not (tmp_path / "k").exists()


def test_pictures_can_be_marked(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = Images.of(rng.integers(0, 256, (30, 8, 9, 3), dtype=np.uint8), np.arange(30) % 10)
    key = draw_watermark(pictures, count=40)
    both = marked(pictures, key, copies=2)
    assert len(both) == 110
    assert both.pixels.shape[1:] == (8, 9, 3)
    np.testing.assert_array_equal(both.y[-40:], key.labels)
    np.testing.assert_array_equal(both.pixels[-80:-40], key.carriers)
    save_key(key, tmp_path / "k")
    assert load_key(tmp_path / "k").commitment == key.commitment
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
        ({"form": tumour_schema()}, "form of carriers, got Schema"),
        ({"count": 0}, "1 to 1000 carriers, got 0"),
        ({"count": 60.0}, "carriers, got 60.0"),
        ({"form": PictureForm(height=4096, width=4096, channels=1, classes=2)}, "at most"),
        ({"secret": b"short"}, "32 bytes"),
        ({"secret": "0" * 32}, "32 bytes"),
    ],
    ids=str,
)
def test_a_key_that_is_none_is_refused(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        replace(KEY, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("sizes", [(0, 5, 1), (5, -1, 1), (5, 5.0, 1), (2**13, 2**12, 1)])
def test_pictures_of_no_size_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match="a height, a width and channels"):
        PictureForm(height=sizes[0], width=sizes[1], channels=sizes[2], classes=2)


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
    pictures = Images.of(np.zeros((4, 5, 5), dtype=np.uint8), np.arange(4) % 2)
    for copies in (0, 1.5, "2"):
        with pytest.raises(UsageError, match="copies"):
            marked(halves[0], KEY, copies=copies)  # type: ignore[arg-type]
    for key in (draw_watermark(pictures, count=20), replace(KEY, form=RowForm(schema=loan_schema()))):
        with pytest.raises(UsageError, match="for data of this schema"):
            marked(halves[0], key)
    with pytest.raises(UsageError, match="expected a watermark, got bytes"):
        marked(halves[0], b"secret")  # type: ignore[arg-type]
    for entrance in (lambda: draw_watermark(halves[0].X, count=5), lambda: marked(halves[0].X, KEY)):  # type: ignore[arg-type,type-var]
        with pytest.raises(UsageError, match="a Dataset or Images, got ndarray"):
            entrance()


def test_a_key_is_never_written_over_another(tmp_path: Path) -> None:
    save_key(KEY, tmp_path / "owner.key")
    with pytest.raises(InputError, match="expected no file"):
        save_key(replace(KEY, secret=bytes(32)), tmp_path / "owner.key")
    assert load_key(tmp_path / "owner.key").commitment == KEY.commitment


def test_a_suspect_that_is_no_function_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected a function .* got ndarray"):
        KEY.verify(KEY.carriers, commitment=KEY.commitment)  # type: ignore[arg-type]


def test_a_watermark_is_not_pickled() -> None:
    with pytest.raises(UsageError, match="holds a secret and is not pickled"):
        pickle.dumps(KEY)
