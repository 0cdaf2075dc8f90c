"""Networks trained together are those trained alone, each on its own rows."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from tests.attacks.attack_cases import loan_schema, noise_data

from holdfast.attacks import privacy
from holdfast.attacks.privacy import (
    LIRA,
    NetworkTrainer,
    TrainsTogether,
    membership_table,
    prepare_membership,
    train_shadows,
)
from holdfast.data import Dataset
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.extras import INSTALL_TORCH
from holdfast.models import Model, accuracy

pytest.importorskip("torch", reason="training networks needs PyTorch")

TRAINER = NetworkTrainer(hidden=(16, 8), epochs=6, batch_size=8, learning_rate=0.01)


def pool_of(rows: int = 60) -> Dataset:
    return noise_data(rows, np.random.default_rng(0))


def test_together_is_as_alone_however_many_rows_each_has() -> None:
    pool, rng = pool_of(), np.random.default_rng(1)
    inside = rng.random((5, 60)) < np.array([0.1, 0.3, 0.5, 0.7, 0.95])[:, None]  # 1 to 8 steps an epoch
    seeds = rng.integers(2**31, size=5)
    together = list(TRAINER.train_together(pool, inside, seeds=seeds, progress=lambda *_: None))
    for members, seed, P in zip(inside, seeds, together, strict=True):
        alone = TRAINER(pool.take(members), seed=int(seed)).predict_proba(pool.X)
        # float32 rounding, 6e-8 relative, through at most 48 steps of Adam at 0.01
        assert pytest.approx(alone, abs=1e-4) == P
    assert np.abs(together[1] - together[2]).max() > 0.01


def test_a_row_that_a_network_was_not_trained_on_changes_nothing_in_it() -> None:
    pool = pool_of()
    inside = np.arange(60) < np.array([[30], [40]])
    X = pool.X.copy()
    X[50:] = 0.0
    other = Dataset(pool.schema, X, pool.y)
    for before, after in zip(
        TRAINER.train_together(pool, inside, seeds=np.array([1, 2]), progress=lambda *_: None),
        TRAINER.train_together(other, inside, seeds=np.array([1, 2]), progress=lambda *_: None),
        strict=True,
    ):
        assert (before[:50] == after[:50]).all()


def test_they_learn_and_are_models() -> None:
    rng = np.random.default_rng(2)
    schema = loan_schema(3)
    X = np.column_stack(
        [
            rng.uniform(0, 100, 200),
            rng.uniform(0, 100, 200),
            rng.integers(0, 7, (200, 2)),
            rng.integers(18, 90, 200),
            np.where(rng.random(200) < 0.3, np.nan, 0.0),
            rng.integers(0, [3, 4, 2], (200, 3)),
        ]
    )
    data = Dataset(schema, X, X[:, 6].astype(np.int64))
    model = NetworkTrainer(hidden=(16,), epochs=30, batch_size=16, learning_rate=0.01)(data, seed=3)
    assert isinstance(model, Model)
    assert isinstance(TRAINER, TrainsTogether)
    assert accuracy(model, data) == 1.0
    assert model.predict_proba(X).sum(axis=1) == pytest.approx(1)


def test_an_overfitted_network_gives_its_members_away_on_labels_that_are_noise() -> None:
    members, others = pool_of(200).split(test_fraction=0.5, seed=0)
    trainer = NetworkTrainer(hidden=(64,), epochs=80, batch_size=16, learning_rate=0.01)
    seen: list[tuple[int, int]] = []
    test = prepare_membership(
        trainer(members, seed=7),
        members=members,
        non_members=others,
        trainer=trainer,
        n_shadows=16,
        rng=np.random.default_rng(0),
        progress=lambda *done: seen.append(done),
    )
    results = test.run_all()
    table = membership_table(results).set_index("attack")
    assert (table["advantage_low"] > 0).all()
    assert table.loc[LIRA.name, "advantage"] > 0.25
    assert seen == sorted(seen)
    assert seen[-1] == (16, 16)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"hidden": ()}, "hidden layers"),
        ({"hidden": (0,)}, "hidden layers"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batches"),
        ({"learning_rate": 0.0}, "learning rate"),
        ({"learning_rate": float("nan")}, "learning rate"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        NetworkTrainer(**options)  # type: ignore[arg-type]


def test_no_rows_and_a_negative_seed_are_refused() -> None:
    with pytest.raises(DataError, match="rows to train"):
        TRAINER(pool_of().take([]), seed=0)
    with pytest.raises(UsageError, match="a seed from 0"):
        TRAINER(pool_of(), seed=-1)


def test_without_pytorch_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "holdfast.attacks.privacy.network_stack", raising=False)
    monkeypatch.delattr(privacy, "network_stack", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnsupportedError, match="needs PyTorch") as caught:
        train_shadows(pool_of(), trainer=TRAINER, n_shadows=4, rng=np.random.default_rng(0))
    assert caught.value.hint == INSTALL_TORCH
