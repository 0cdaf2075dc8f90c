"""A hardened output keeps the class, hides what it says it hides, and tells nothing new to who asks again."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.attacks.attack_cases import numbers_schema, random_linear

from holdfast.attacks import synthetic_rows
from holdfast.attacks.stealing.adaptive import Averaged
from holdfast.data import Matrix, Schema
from holdfast.errors import UsageError
from holdfast.hardening.outputs import HardenedOutput, OutputDefence, calibrated_noise
from holdfast.models import Model, predict

KEY = bytes(range(32))
DEFENCES = {
    "nothing": OutputDefence(),
    "soft": OutputDefence(temperature=5.0),
    "softest": OutputDefence(temperature=100.0),
    "sharp": OutputDefence(temperature=0.2),
    "noise": OutputDefence(noise=0.5),
    "loud": OutputDefence(noise=10.0),
    "labels": OutputDefence(top=1),
    "two": OutputDefence(top=2),
    "one digit": OutputDefence(decimals=1),
    "all digits": OutputDefence(decimals=15),
    "all": OutputDefence(temperature=2.0, noise=0.3, top=2, decimals=2),
}


@dataclass
class Said:
    """Answers with the rows of a matrix, by the number in the row."""

    answers: Matrix

    @property
    def schema(self) -> Schema:
        return numbers_schema(1, classes=self.answers.shape[1])

    def predict_proba(self, X: Matrix) -> Matrix:
        return self.answers[X[:, 0].astype(int)]


@st.composite
def answers(draw: st.DrawFn) -> Matrix:
    """Probabilities of two or three classes: ties, zeros, certainty, and anything between."""
    classes, rows = draw(st.integers(2, 3)), draw(st.integers(1, 8))
    weights = st.sampled_from([0.0, 1e-300, 1e-12, 0.5, 1.0, 1.0 + 2**-52]) | st.floats(1e-6, 1.0)
    W = draw(arrays.arrays(np.float64, (rows, classes), elements=weights))
    W[:, 0] += W.sum(axis=1) == 0
    return np.asarray(W / W.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("defence", DEFENCES.values(), ids=DEFENCES)
@settings(max_examples=30)
@given(answers())
def test_answers_stay_probabilities_with_the_same_class(defence: OutputDefence, P: Matrix) -> None:
    model = Said(P)
    hardened = HardenedOutput(model, defence, KEY)
    X = np.arange(len(P), dtype=np.float64)[:, None]
    out = hardened.predict_proba(X)
    assert isinstance(hardened, Model)
    assert out.shape == P.shape
    assert (out >= 0).all()
    assert np.abs(out.sum(axis=1) - 1).max() < 1e-12
    assert (out.argmax(axis=1) == P.argmax(axis=1)).all()
    assert (hardened.predict_proba(X) == out).all()
    assert (hardened.predict_proba(X[::-1]) == out[::-1]).all()
    if defence.decimals is not None:
        assert (out == np.rint(out * 10**defence.decimals) / 10**defence.decimals).all()
    if defence.top is not None:
        assert ((out > 0).sum(axis=1) <= defence.top).all()


def test_no_defence_changes_nothing() -> None:
    model = random_linear(numbers_schema(3, classes=3), np.random.default_rng(0))
    X = synthetic_rows(model.schema, 50, np.random.default_rng(1))
    assert (HardenedOutput(model, OutputDefence(), KEY).predict_proba(X) == model.predict_proba(X)).all()


def test_rounding_moves_a_probability_by_less_than_one_unit() -> None:
    P = np.random.default_rng(0).dirichlet([1, 1, 1, 1], 500)
    model = Said(P)
    out = HardenedOutput(model, OutputDefence(decimals=2), KEY).predict_proba(np.arange(500.0)[:, None])
    # Largest remainder: each is rounded up or down; a tie with the winner may move one unit more.
    assert np.abs(out - P).max() < 0.02
    assert (np.abs(out - P) < 0.01).mean() > 0.99


class TestNoise:
    model = random_linear(numbers_schema(5), np.random.default_rng(0))
    hardened = HardenedOutput(model, OutputDefence(noise=0.5), KEY)
    X = synthetic_rows(model.schema, 400, np.random.default_rng(1))

    def log_odds(self, P: Matrix) -> Matrix:
        return np.asarray(np.log(P[:, 1] / P[:, 0]))

    def test_the_key_decides_it(self) -> None:
        same = HardenedOutput(self.model, OutputDefence(noise=0.5), KEY)
        other = HardenedOutput(self.model, OutputDefence(noise=0.5), bytes(32))
        assert (same.predict_proba(self.X) == self.hardened.predict_proba(self.X)).all()
        assert (other.predict_proba(self.X) != self.hardened.predict_proba(self.X)).mean() > 0.9
        fresh = [HardenedOutput(self.model, OutputDefence(noise=0.5)).key for _ in range(2)]
        assert fresh[0] != fresh[1]

    def test_near_duplicates_get_the_same_answer_to_the_last_bit(self) -> None:
        near = self.X + 1e-6
        same = (self.hardened.predict_proba(near) == self.hardened.predict_proba(self.X)).all(axis=1)
        # A row changes cells where its scores move over an edge: those move by about 1e-6, cells are 1 wide.
        assert same.mean() > 0.99
        assert (self.model.predict_proba(near) != self.model.predict_proba(self.X)).any(axis=1).mean() > 0.99

    def test_averaging_over_near_duplicates_takes_nothing_off(self) -> None:
        clean = self.log_odds(self.model.predict_proba(self.X))
        once = np.abs(self.log_odds(self.hardened.predict_proba(self.X)) - clean)
        averaged = Averaged(oracle=self.hardened, times=50, spread=1e-3, rng=np.random.default_rng(2))
        often = np.abs(self.log_odds(averaged.predict_proba(self.X)) - clean)
        # Fresh noise would fall to a seventh of it, 1 / sqrt(50); a few rows lie at an edge of their cell.
        assert np.median(often) > 0.95 * np.median(once)

    def test_differences_do_not_give_the_gradient_away(self) -> None:
        row = self.X[:1]
        steps = np.vstack([row, row + 1e-7 * np.eye(5)])
        assert np.ptp(self.hardened.predict_proba(steps), axis=0).max() == 0
        assert np.ptp(self.model.predict_proba(steps), axis=0).max() > 0

    def test_it_is_as_large_as_it_says(self) -> None:
        quiet = HardenedOutput(self.model, OutputDefence(noise=0.01), KEY)
        clean = self.log_odds(self.model.predict_proba(self.X))
        error = self.log_odds(quiet.predict_proba(self.X)) - clean
        # On a difference of two classes: noise of 0.01 twice, and a place in a cell 0.04 wide.
        expected = np.sqrt(2 * 0.01**2 + 0.04**2 / 12)
        # The spread of 400 normal numbers is known to 3.5 % (one deviation); few rows share a cell.
        assert 0.8 * expected < error.std() < 1.2 * expected
        assert abs(error.mean()) < 0.2 * expected

    def test_it_can_be_calibrated_to_a_price(self) -> None:
        clean = self.model.predict_proba(self.X)
        found = [calibrated_noise(self.model, self.X, max_gap=gap, key=KEY) for gap in (0.01, 0.05, 0.2)]
        assert 0 < found[0] < found[1] < found[2]
        for noise, gap in zip(found, (0.01, 0.05, 0.2), strict=True):
            P = HardenedOutput(self.model, OutputDefence(noise=noise), KEY).predict_proba(self.X)
            assert np.abs(P - clean)[np.arange(len(P)), clean.argmax(axis=1)].mean() <= gap
        with pytest.raises(UsageError, match="between 0 and 1 and rows"):
            calibrated_noise(self.model, self.X[:0], max_gap=0.1, key=KEY)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"temperature": 0.0}, "a temperature from 0.01 to 100, got 0"),
        ({"temperature": float("nan")}, "a temperature"),
        ({"noise": -0.1}, "noise from 0 to 10"),
        ({"noise": float("inf")}, "noise from 0 to 10"),
        ({"top": 0}, "1 or more, got 0"),
        ({"decimals": 0}, "1 to 15 decimals, got 0"),
        ({"decimals": 16}, "1 to 15 decimals"),
        ({"decimals": 2.5}, "1 to 15 decimals"),
        ({"top": 1.5}, "1 or more, got 1.5"),
        ({"top": True}, "1 or more, got True"),
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, float], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        OutputDefence(**wrong)  # type: ignore[arg-type]


def test_the_key_is_a_secret() -> None:
    hardened = HardenedOutput(Said(np.array([[0.4, 0.6]])), OutputDefence(noise=1.0), KEY)
    assert KEY.hex() not in repr(hardened)
    assert len(repr(hardened)) < 150
    assert repr(KEY) not in repr(hardened)
    with pytest.raises(UsageError, match="not pickled"):
        pickle.dumps(hardened)
    with pytest.raises(UsageError, match="32 bytes, got str"):
        HardenedOutput(hardened.model, OutputDefence(noise=1.0), "x" * 32)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="32 bytes, got 3"):
        HardenedOutput(hardened.model, hardened.defence, b"abc")


def test_a_model_behind_a_defence_predicts_the_same_classes() -> None:
    model = random_linear(numbers_schema(4, classes=3), np.random.default_rng(3))
    X = synthetic_rows(model.schema, 300, np.random.default_rng(4))
    for defence in DEFENCES.values():
        assert (predict(HardenedOutput(model, defence, KEY), X) == predict(model, X)).all()
