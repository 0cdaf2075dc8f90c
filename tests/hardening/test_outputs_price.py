"""The price of a defence: what it costs and what it buys, against attackers who know it."""

from __future__ import annotations

import numpy as np
import pytest
from tests.attacks.attack_cases import Memory, noise_data, numbers_schema, random_linear

from holdfast.attacks import extraction, synthetic_rows
from holdfast.attacks.stealing.adaptive import Averaged, LabelsAlone, Sharpened
from holdfast.data import Dataset
from holdfast.errors import DataError, UsageError
from holdfast.evidence import Evidence
from holdfast.hardening.outputs import HardenedOutput, OutputDefence
from holdfast.hardening.outputs_price import OutputPrice, calibration_error, price
from holdfast.models import LinearModel

DIGEST = "sha256:" + "0" * 64
KEY = bytes(range(32))


@pytest.fixture(scope="module")
def model() -> LinearModel:
    return random_linear(numbers_schema(4), np.random.default_rng(7))


@pytest.fixture(scope="module")
def halves(model: LinearModel) -> tuple[Dataset, Dataset]:
    rng = np.random.default_rng(8)
    X = synthetic_rows(model.schema, 400, rng)
    y = (rng.random(400) < model.predict_proba(X)[:, 1]).astype(np.int64)
    data = Dataset(model.schema, X, y)
    return data.take(np.arange(200)), data.take(np.arange(200, 400))


def priced(model: LinearModel, halves: tuple[Dataset, Dataset], defence: OutputDefence) -> OutputPrice:
    members, others = halves
    hardened = HardenedOutput(model, defence, KEY)
    rng = np.random.default_rng(0)
    return price(model, hardened, members=members, non_members=others, queries=40, rng=rng)


def test_labels_alone_cost_calibration_and_slow_a_thief_down(
    model: LinearModel, halves: tuple[Dataset, Dataset]
) -> None:
    result = priced(model, halves, OutputDefence(top=1))
    assert result.after.accuracy == result.before.accuracy
    assert result.after.log_loss > result.before.log_loss
    assert result.before.fidelity.value == 1.0
    assert result.after.fidelity.value < 1.0
    evidence = result.to_evidence(DIGEST)
    assert evidence.figures["fidelity_after"].bound == "lower"
    assert Evidence.from_json(evidence.to_json()).digest == evidence.digest


def test_a_temperature_buys_nothing_from_a_thief_who_knows_it(
    model: LinearModel, halves: tuple[Dataset, Dataset]
) -> None:
    result = priced(model, halves, OutputDefence(temperature=4.0))
    undone = result.after.by_attacker["temperature undone"]
    assert undone.fidelity.value == 1.0
    assert undone.gaps.max() < 1e-6
    assert result.after.by_attacker["answers as they are"].gaps.mean() > 0.05
    assert result.after.membership_auc.value == pytest.approx(result.before.membership_auc.value, abs=1e-9)


def test_what_a_model_remembers_is_worth_less_behind_labels() -> None:
    data = noise_data(200, np.random.default_rng(0))
    members, others = data.take(np.arange(200) < 100), data.take(np.arange(200) >= 100)
    memory = Memory(members)
    hardened = HardenedOutput(memory, OutputDefence(top=1), KEY)
    rng = np.random.default_rng(0)
    result = price(memory, hardened, members=members, non_members=others, queries=40, rng=rng)
    assert result.before.membership_auc.value == 1.0
    # Members are answered rightly and others half of the time: labels still tell that much.
    assert 0.6 < result.after.membership_auc.value < 0.9


def test_calibration_error_is_the_gap_between_being_sure_and_being_right() -> None:
    P = np.tile([0.2, 0.8], (10, 1))
    assert calibration_error(P, np.array([1] * 8 + [0] * 2)) == pytest.approx(0.0)
    assert calibration_error(P, np.zeros(10, dtype=np.int64)) == pytest.approx(0.8)
    assert calibration_error(np.array([[1.0, 0.0]]), np.array([0])) == 0.0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "defence",
    [OutputDefence(top=1), OutputDefence(decimals=1), OutputDefence(noise=1.0)],
    ids=["top", "digit", "noise"],
)
def test_no_defence_that_keeps_the_class_keeps_a_linear_model(defence: OutputDefence, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = random_linear(numbers_schema(4), rng)
    X = synthetic_rows(model.schema, 500, rng)
    reference = Dataset(model.schema, X, model.predict_proba(X).argmax(axis=1))
    oracle = LabelsAlone(oracle=HardenedOutput(model, defence, KEY))
    result = extraction(oracle, reference=reference, queries=600, rng=rng, model=model, method="boundary")
    copy = result.copy
    assert isinstance(copy, LinearModel)
    stolen, true = (np.append(m.coef, m.intercept) / np.linalg.norm(m.coef) for m in (copy, model))
    assert np.abs(stolen - true).max() < 1e-6
    assert result.fidelity.value == 1.0


def test_fresh_noise_is_averaged_away() -> None:
    model = random_linear(numbers_schema(2), np.random.default_rng(0))
    noise = np.random.default_rng(1)

    class Noisy:
        schema = model.schema

        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            P = np.clip(model.predict_proba(X)[:, 1] + noise.uniform(-0.01, 0.01, len(X)), 0, 1)
            return np.column_stack([1 - P, P])

    X = synthetic_rows(model.schema, 100, np.random.default_rng(2))
    averaged = Averaged(oracle=Noisy(), times=100, spread=0.0, rng=np.random.default_rng(3))
    once, often = (np.abs(m.predict_proba(X) - model.predict_proba(X)).mean() for m in (Noisy(), averaged))
    assert often < once / 5  # a tenth is expected


def test_a_temperature_is_undone_exactly() -> None:
    model = random_linear(numbers_schema(3, classes=3), np.random.default_rng(0))
    X = synthetic_rows(model.schema, 50, np.random.default_rng(1))
    soft = HardenedOutput(model, OutputDefence(temperature=7.0), KEY)
    undone = Sharpened(oracle=soft, temperature=7.0).predict_proba(X)
    np.testing.assert_allclose(undone, model.predict_proba(X), atol=1e-9)


def test_bad_input_is_refused_in_a_sentence(model: LinearModel, halves: tuple[Dataset, Dataset]) -> None:
    members, others = halves
    rng = np.random.default_rng(0)
    hardened = HardenedOutput(model, OutputDefence(top=1), KEY)
    stranger = random_linear(model.schema, rng)
    with pytest.raises(UsageError, match="that of another one"):
        price(stranger, hardened, members=members, non_members=others, queries=40, rng=rng)
    with pytest.raises(UsageError, match="at least 5 queries"):
        price(model, hardened, members=members, non_members=others, queries=4, rng=rng)
    with pytest.raises(DataError, match="at least 1 row"):
        price(model, hardened, members=members.take([]), non_members=others, queries=40, rng=rng)
    with pytest.raises(UsageError, match="1 or more answers"):
        Averaged(oracle=model, times=0, spread=0.1, rng=rng)
