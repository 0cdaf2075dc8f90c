"""Shadow models are shared out fairly, trained on any backend, and survive a trainer that fails in the middle."""

from __future__ import annotations

import stat
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joblib import parallel_config
from tests.attacks.attack_cases import Constant, Logits, noise_data

from holdfast import limits
from holdfast.attacks.privacy import Shadows, shadow_split, train_shadows
from holdfast.data import Dataset
from holdfast.errors import DataError, UnsupportedError, UsageError, WireError
from holdfast.models import LinearModel, Model


def by_seed(data: Dataset, *, seed: int) -> LinearModel:
    """A model that shows which rows and which seed it was made from."""
    weights = np.random.default_rng(seed).standard_normal((1, data.X.shape[1]))
    return LinearModel(data.schema, weights, np.array([data.X.mean() / 10]))


@dataclass
class Fragile:
    """Trains so many models and then fails."""

    good: int
    trained: list[int] = field(default_factory=list)

    def __call__(self, data: Dataset, *, seed: int) -> Model:
        if len(self.trained) == self.good:
            raise RuntimeError("out of memory")
        self.trained.append(seed)
        return by_seed(data, seed=seed)


def pool_of(rows: int = 40) -> Dataset:
    return noise_data(rows, np.random.default_rng(0))


def shadows_of(trainer, **options) -> Shadows:
    return train_shadows(pool_of(), trainer=trainer, n_shadows=6, rng=np.random.default_rng(1), **options)


@given(n_shadows=st.integers(4, 40), share=st.floats(0.01, 0.99), seed=st.integers(0, 999), rows=st.integers(2, 30))
def test_every_record_is_in_two_shadows_or_more_and_outside_of_two(
    n_shadows: int, share: float, seed: int, rows: int
) -> None:
    y = np.arange(2 * rows) % 2
    inside = shadow_split(y, n_shadows, share=share, rng=np.random.default_rng(seed))
    counts = inside.sum(axis=0)
    assert counts.min() >= 2
    assert counts.max() <= n_shadows - 2
    for label in (0, 1):
        assert inside[:, y == label].any(axis=1).all()


@pytest.mark.parametrize(("share", "count"), [(0.5, 16), (0.8, 24), (0.05, 8), (0.4, 13)])
def test_every_record_is_in_as_many_shadows_as_every_other(share: float, count: int) -> None:
    inside = shadow_split(np.arange(50) % 3, 32, share=share, rng=np.random.default_rng(0))
    assert (inside.sum(axis=0) == count).all()
    assert len({row.tobytes() for row in inside}) == 32


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("rare", [2, 3, 5])
def test_every_shadow_has_a_record_of_every_class_however_rare(share: float, rare: int) -> None:
    y = np.repeat([0, 1], [100, rare])
    for seed in range(20):
        inside = shadow_split(y, 9, share=share, rng=np.random.default_rng(seed))
        assert inside[:, y == 1].any(axis=1).all()
        assert (inside.sum(axis=0) >= 2).all()
        assert (inside.sum(axis=0) <= 7).all()


def test_a_class_with_one_record_and_too_few_shadows_are_refused_before_one_is_trained() -> None:
    with pytest.raises(DataError, match="2 or more records of each class"):
        shadow_split(np.array([0, 0, 0, 1]), 8, share=0.5, rng=np.random.default_rng(0))
    with pytest.raises(UsageError, match="at least 4 shadow models, got 3"):
        shadow_split(np.array([0, 0, 1, 1]), 3, share=0.5, rng=np.random.default_rng(0))


def test_answers_that_cannot_be_attacked_are_refused() -> None:
    inside = np.array([[True, False], [False, True]])
    with pytest.raises(UsageError, match="of one shape"):
        Shadows(logits=np.zeros((2, 3)), inside=inside)
    with pytest.raises(UsageError, match="of int64"):
        Shadows(logits=np.zeros((2, 2)), inside=inside.astype(np.int64))
    with pytest.raises(DataError, match="finite"):
        Shadows(logits=np.array([[0.0, np.nan], [0.0, 0.0]]), inside=inside)
    with pytest.raises(DataError, match="outside of another"):
        Shadows(logits=np.zeros((2, 2)), inside=np.array([[True, True], [True, False]]))


def test_the_backend_decides_nothing() -> None:
    seen: list[tuple[int, int]] = []
    alone = shadows_of(by_seed)
    with parallel_config(backend="threading"):
        spread = shadows_of(by_seed, n_jobs=2, progress=lambda *done: seen.append(done))
    assert (spread.logits == alone.logits).all()
    assert (spread.inside == alone.inside).all()
    assert seen == [(done, 6) for done in range(1, 7)]


def test_each_shadow_is_trained_on_its_own_rows_and_asked_about_all() -> None:
    pool, made = pool_of(), shadows_of(by_seed)
    rng = np.random.default_rng(1)
    inside = shadow_split(pool.y, 6, share=0.5, rng=rng)
    seeds = rng.integers(2**31, size=6)
    for shadow in range(6):
        P = by_seed(pool.take(inside[shadow]), seed=int(seeds[shadow])).predict_proba(pool.X)
        own = P[np.arange(len(pool)), pool.y]
        assert made.logits[shadow] == pytest.approx(np.log(own / (1 - own)), abs=1e-9)


def test_a_trainer_that_fails_says_where_and_the_next_call_goes_on(tmp_path: Path) -> None:
    resume, fragile = tmp_path / "shadows.npz", Fragile(good=4)
    with pytest.raises(UnsupportedError, match=r"shadow model 5 of 6 failed: out of memory; 4 are kept at .*npz"):
        shadows_of(fragile, resume=resume)
    assert stat.S_IMODE(resume.stat().st_mode) == 0o600
    mended = Fragile(good=2)
    made = shadows_of(mended, resume=resume)
    whole = Fragile(good=6)
    assert (made.logits == shadows_of(whole).logits).all()
    assert fragile.trained + mended.trained == whole.trained
    assert (shadows_of(Fragile(good=0), resume=resume).logits == made.logits).all()


def test_a_failure_without_a_file_says_what_is_lost() -> None:
    with pytest.raises(UnsupportedError, match="the 3 before it are lost, as resume was not given"):
        shadows_of(Fragile(good=3))


def test_a_shadow_that_answers_with_logits_is_an_error_of_its_own_kind() -> None:
    with pytest.raises(UnsupportedError, match="shadow model 1 of 6 failed: expected probabilities"):
        shadows_of(lambda data, *, seed: Logits(data.schema))


def test_kept_shadows_of_other_records_another_seed_or_no_shadows_at_all_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resume = tmp_path / "shadows.npz"
    shadows_of(by_seed, resume=resume)
    for pool, seed in ((pool_of(42), 1), (pool_of(), 2)):
        with pytest.raises(DataError, match="of other records or were drawn otherwise"):
            train_shadows(pool, trainer=by_seed, n_shadows=6, rng=np.random.default_rng(seed), resume=resume)
    whole = resume.read_bytes()
    for damaged in (b"", b"PK\x03\x04 no archive", whole[: len(whole) // 2], b"\x80\x04."):
        resume.write_bytes(damaged)
        with pytest.raises(WireError):
            shadows_of(by_seed, resume=resume)
    with zipfile.ZipFile(resume, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("logits.npy", bytes(2**21))
    monkeypatch.setattr(limits, "MAX_SHADOW_FILE_BYTES", 2**20)
    with pytest.raises(WireError, match="unpacks to more than 1048576 bytes"):
        shadows_of(by_seed, resume=resume)
    np.savez(resume, format="holdfast-shadows-9", subject="", logits=np.zeros((1, 40)))
    with pytest.raises(WireError, match="in the format holdfast-shadows-2"):
        shadows_of(by_seed, resume=resume)
    for logits in (np.zeros(40), np.zeros((1, 40), dtype=np.float32)):
        np.savez(resume, format="holdfast-shadows-2", subject="", logits=logits)
        with pytest.raises(WireError, match="its logits are"):
            shadows_of(by_seed, resume=resume)


def test_more_answers_than_fit_in_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SHADOW_ANSWERS", 6 * 40 - 1)
    with pytest.raises(UsageError, match="at most 239 answers of shadow models, 6 of 40 records give 240"):
        shadows_of(lambda data, *, seed: Constant(data.schema))
