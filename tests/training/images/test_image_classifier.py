"""The private picture classifier: what it learns, spends, hands on and refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from holdfast.data.images import Images
from holdfast.errors import BudgetError, DataError, UnsupportedError, UsageError
from holdfast.models import load_model
from holdfast.training.account.accounting import epsilon_of
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.images.classifier import DPImageClassifier
from holdfast.training.images.features import ComputedAnew, features_of
from holdfast.training.images.network import Responses

Arrays = tuple[np.ndarray, np.ndarray]


def stripes(number: int, *, seed: int = 0) -> Arrays:
    """(number, 8, 9) noisy pictures with stripes that stand or lie, and which."""
    rng = np.random.default_rng(seed)
    lying = rng.random(number) < 0.5
    pictures = rng.integers(0, 100, (number, 8, 9))
    pictures[~lying, :, ::3] += 120
    pictures[lying, ::3] += 120
    return pictures.astype(np.uint8), np.where(lying, "lying", "standing")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> LedgerFile:
    return LedgerFile(tmp_path_factory.mktemp("ledger") / "ledger.json", epsilon_limit=8.5, delta=1e-5)


@pytest.fixture(scope="module")
def calls() -> list[tuple[int, int]]:
    return []


@pytest.fixture(scope="module")
def fitted(ledger: LedgerFile, calls: list[tuple[int, int]]) -> DPImageClassifier:
    return DPImageClassifier(8.0, ledger=ledger).fit(
        *stripes(300), progress=lambda done, total: calls.append((done, total))
    )


def test_it_learns(fitted: DPImageClassifier) -> None:
    X, y = stripes(200, seed=1)
    assert fitted.score(X, y) == 1.0
    assert fitted.classes_.tolist() == ["lying", "standing"]
    np.testing.assert_allclose(fitted.predict_proba(X).sum(1), 1)
    assert fitted.predict(X[:0]).shape == (0,)


def test_four_hundred_real_digits(real_data: Callable[[str], Path]) -> None:
    with np.load(real_data("mnist.npz")) as mnist:
        X, y = mnist["x_train"][:400], mnist["y_train"][:400]
        new, answers = mnist["x_train"][-300:], mnist["y_train"][-300:]
    # Ten trainings have a mean of .932 and a deviation of .009.
    assert DPImageClassifier(8.0).fit(X, y).score(new, answers) > 0.88


def test_progress_counts_up_to_all(fitted: DPImageClassifier, calls: list[tuple[int, int]]) -> None:
    total = 1 + fitted.events_[1].count  # 300 small pictures are one batch of features
    assert calls == [(done, total) for done in range(1, total + 1)]


class TestAccount:
    def test_it_is_entered_whole_and_once(self, fitted: DPImageClassifier, ledger: LedgerFile) -> None:
        (entry,) = ledger.read().entries
        assert entry.events == fitted.events_
        X, y = stripes(300)
        assert entry.data_digest == Images.of(X, np.array(y == "standing", dtype=int), ("lying", "standing")).digest
        assert 7.7 < fitted.epsilon_ == epsilon_of(fitted.events_, delta=1e-5) <= 8

    def test_the_statement_tells_both_mechanisms(self, fitted: DPImageClassifier) -> None:
        assert fitted.statement_.own_epsilon == fitted.epsilon_
        assert fitted.statement_.events == fitted.events_
        assert "in each of 1 sums of 162 numbers" in fitted.statement_.to_text()
        assert "number of records is public" in fitted.statement_.to_text()

    def test_past_the_limit_nothing_is_done(self, fitted: DPImageClassifier, ledger: LedgerFile) -> None:
        before = ledger.read()
        called: list[int] = []
        again = clone(fitted)
        with pytest.raises(BudgetError):
            again.fit(*stripes(300), progress=lambda done, _: called.append(done))
        assert ledger.read() == before
        assert not called
        assert not hasattr(again, "network_")


class TestHandingOn:
    def test_onnx_answers_as_the_network_does(self, fitted: DPImageClassifier) -> None:
        X = np.random.default_rng(2).integers(0, 256, (300, 8, 9), dtype=np.uint8)  # neither: nothing is certain
        found = load_model(fitted.model_.onnx).predict_proba(X.reshape(len(X), -1).astype(np.float64))
        # Scores are sums of 486 products in 32 bits, rounded apart by about √486 * 2**-24 of a size below 50.
        np.testing.assert_allclose(found, fitted.predict_proba(X), rtol=0, atol=1e-4)
        assert (found.argmax(1) == fitted.predict_proba(X).argmax(1)).all()
        assert fitted.model_.digest == fitted.model_.digest

    def test_columns_are_pixels(self, fitted: DPImageClassifier) -> None:
        schema = fitted.model_.schema
        assert [feature.name for feature in schema.features[8:10]] == ["pixel 0 8 0", "pixel 1 0 0"]
        assert schema.classes == ("lying", "standing")

    def test_the_network_is_an_ordinary_module(self, fitted: DPImageClassifier) -> None:
        X, _ = stripes(4)
        pixels = torch.tensor(X[..., None], dtype=torch.float32, requires_grad=True)
        scores = fitted.network_(pixels)
        np.testing.assert_allclose(scores.double().softmax(1).detach(), fitted.predict_proba(X), atol=1e-6)
        assert bool(torch.autograd.grad(scores[0, 0], pixels)[0][0].any()), "attacks may follow its gradient"
        assert not any(parameter.requires_grad for parameter in fitted.network_.parameters())

    def test_pictures_too_large_for_a_table(self, fitted: DPImageClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("holdfast.limits.MAX_COLUMNS", 71)
        with pytest.raises(UnsupportedError, match="at most 71 numbers"):
            _ = fitted.model_


def test_images_with_colours_bring_their_classes(tmp_path: Path) -> None:
    pictures, y = stripes(200)
    pixels = np.stack([pictures, 255 - pictures, pictures // 2], axis=3)
    images = Images.of(pixels, (y == "standing").astype(int), ("flat", "upright"))
    ledger = LedgerFile(tmp_path / "ledger.json", epsilon_limit=8, delta=1e-5)
    # Two bytes of 3 * 81 channels at 2 * 3 places of 200 pictures: one byte less, and they are computed anew each time.
    cap = 2 * 3 * 81 * 2 * 3 * 200 - 1
    fitted = DPImageClassifier(8.0, memory_cap_bytes=cap, ledger=ledger).fit(images.take(range(60)))
    assert fitted.score(pixels, np.where(y == "standing", "upright", "flat")) > 0.8
    rows = pixels[:20].reshape(20, -1).astype(np.float64)
    np.testing.assert_allclose(fitted.model_.predict_proba(rows), fitted.predict_proba(pixels[:20]), atol=1e-4)
    assert ledger.read().entries[0].data_digest == images.take(range(60)).digest


def test_features_are_the_same_kept_or_computed_anew() -> None:
    pictures, y = stripes(30)
    images, responses = Images.of(pictures, (y == "lying").astype(int)), Responses(8, 9, 1)
    one_too_few = 30 * 81 * 2 * 3 * 2 - 1
    kept, summary = features_of(images, responses, copies=1, memory_cap_bytes=one_too_few + 1, progress=lambda *_: None)
    anew, summary_of_anew = features_of(
        images, responses, copies=1, memory_cap_bytes=one_too_few, progress=lambda *_: None
    )
    assert isinstance(kept, tuple)
    assert isinstance(anew, ComputedAnew)
    assert len(anew) == 30
    assert (summary == summary_of_anew).all()
    for row in (3, 29):
        found, label = anew[row]
        # The convolution may add in another order for one picture; 16 bits then differ in the last place at most.
        torch.testing.assert_close(found, kept[0][row], rtol=2**-10, atol=1e-4)
        assert label == kept[1][row]


def test_copies_of_a_picture_are_its_own_and_the_first_is_not_moved() -> None:
    pictures, y = stripes(30)
    images, responses = Images.of(pictures, (y == "lying").astype(int)), Responses(8, 9, 1)
    (alone, _), summary = features_of(images, responses, copies=1, memory_cap_bytes=2**30, progress=lambda *_: None)
    changed = pictures.copy()
    changed[7] = 255 - changed[7]
    others = Images.of(changed, images.y)
    (moved, _), same = features_of(images, responses, copies=3, memory_cap_bytes=2**30, progress=lambda *_: None)
    (beside, _), _ = features_of(others, responses, copies=3, memory_cap_bytes=2**30, progress=lambda *_: None)
    assert moved.shape[1] == 3
    assert torch.equal(moved[:, 0], alone[:, 0])
    assert (same == summary).all()
    assert not torch.equal(moved[:, 1], moved[:, 0])
    assert not torch.equal(moved[:, 1], moved[:, 2])
    rest = [row for row in range(30) if row != 7]
    assert torch.equal(moved[rest], beside[rest])  # the copies of a picture tell of no other


def test_it_learns_from_copies_too() -> None:
    pictures, y = stripes(400)
    fitted = DPImageClassifier(epsilon=8, copies=3).fit(pictures, y)
    assert fitted.score(pictures, y) > 0.9
    assert fitted.epsilon_ <= 8


@pytest.mark.parametrize("copies", [0, -1, 1.5, 10_000, None])
def test_copies_that_mean_nothing_are_refused(copies: object) -> None:
    with pytest.raises(UsageError, match="copies"):
        DPImageClassifier(copies=copies).fit(*stripes(30))  # type: ignore[arg-type]


PICTURES, LABELS = stripes(100)


@pytest.mark.parametrize(
    ("options", "X", "y", "error", "says"),
    [
        ({}, PICTURES[:1], LABELS[:1], DataError, "2 classes or more"),
        ({"classes": ["lying", "standing"]}, PICTURES[:1], LABELS[:1], DataError, "2 records or more"),
        ({}, PICTURES, np.full(100, "lying"), DataError, "2 classes or more"),
        ({"classes": ["lying", "other"]}, PICTURES, LABELS, DataError, "got 'standing'"),
        ({}, PICTURES / 255, LABELS, DataError, "pixels as uint8"),
        ({}, np.full(PICTURES.shape, np.nan), LABELS, DataError, "pixels as uint8"),
        ({}, PICTURES[:, :7], LABELS, DataError, "sides of 8 pixels or more, got 7 by 9"),
        ({}, PICTURES.reshape(100, -1), LABELS, DataError, "pixels as uint8"),
        ({}, PICTURES, LABELS[:50], DataError, "label for each of 100 pictures"),
        ({}, PICTURES, np.linspace(0, 1, 100), DataError, "whole numbers or texts"),
        ({}, PICTURES, None, DataError, "whole numbers or texts"),
        ({}, PICTURES, [None, "a"] * 50, DataError, "whole numbers or texts"),
        ({}, Images.of(PICTURES, np.arange(100) % 2), LABELS, UsageError, "Images alone"),
        ({"epsilon": 0.0}, PICTURES, LABELS, UsageError, "expected an epsilon"),
        ({"epsilon": float("inf")}, PICTURES, LABELS, UsageError, "expected an epsilon"),
        ({"delta": 0.0}, PICTURES, LABELS, UsageError, "delta"),
        ({"delta": 0.01}, PICTURES, LABELS, UsageError, "delta below 1 / 100"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(
    options: dict[str, Any], X: Any, y: Any, error: type[Exception], says: str, tmp_path: Path
) -> None:
    ledger = LedgerFile(tmp_path / "ledger.json", epsilon_limit=9, delta=1e-5)
    with pytest.raises(error, match=says):
        DPImageClassifier(**options, ledger=ledger).fit(X, y)
    assert not ledger.read().entries, "nothing is spent on it"


@pytest.mark.parametrize("X", [PICTURES / 255, PICTURES[:, :, :8], PICTURES[0], np.repeat(PICTURES[..., None], 3, 3)])
def test_other_pictures_are_not_predicted(fitted: DPImageClassifier, X: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"expected pictures of \(8, 9, 1\) as uint8"):
        fitted.predict(X)


def test_nothing_is_predicted_before_a_fit() -> None:
    with pytest.raises(NotFittedError):
        DPImageClassifier().predict(PICTURES)
    with pytest.raises(NotFittedError):
        _ = DPImageClassifier().model_
