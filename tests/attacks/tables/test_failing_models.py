"""Models that raise, hang, or say nothing of use: one sentence, nothing lost, and doubts where figures flatter."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.attacks.attack_cases import Constant, noise_data, numbers_schema, own_labels, random_linear
from tests.attacks.tables.table_cases import Hidden

from holdfast.attacks import EvasionResult, FeasibleChange, evasion
from holdfast.attacks.oracle import Oracle
from holdfast.data import Dataset, Feature, Matrix, Schema
from holdfast.errors import DataError, UnsupportedError, UsageError, WireError
from holdfast.models import LinearModel

THREAT = FeasibleChange(budget=0.2)


@pytest.fixture
def linear() -> LinearModel:
    return random_linear(numbers_schema(4), np.random.default_rng(0))


@pytest.fixture
def data(linear: LinearModel, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.setattr("holdfast.attacks.tables.evasion._CHUNK_ROWS", 10)
    return own_labels(linear, np.random.default_rng(1).uniform(0, 10, (40, 4)))


def attack(model: Hidden, data: Dataset, **options: object) -> EvasionResult:
    return evasion(model, data, threat=THREAT, rng=np.random.default_rng(2), max_queries=40, **options)  # type: ignore[arg-type]


class Fragile(Hidden):
    """Fails from its n-th call on."""

    calls, after = 0, 1_000_000

    def predict_proba(self, X: Matrix) -> Matrix:
        self.calls += 1
        if self.calls > self.after:
            raise RuntimeError("out of memory")
        return super().predict_proba(X)


def test_a_model_that_raises_for_one_row_is_said_with_the_row(linear: LinearModel, data: Dataset) -> None:
    def refuse(X: Matrix) -> None:
        if (X[:, 0] == data.X[17, 0]).any():
            raise KeyError("no such customer")

    with pytest.raises(UnsupportedError, match="got KeyError for row 17 of the 40 asked: 'no such customer'"):
        Oracle(Hidden(linear, refuse)).predict_proba(data.X)


def test_a_model_that_raises_for_many_rows_only_is_said_too(linear: LinearModel, data: Dataset) -> None:
    def refuse(X: Matrix) -> None:
        if len(X) > 1:
            raise MemoryError

    with pytest.raises(UnsupportedError, match="MemoryError for 40 rows, and on none of them alone"):
        Oracle(Hidden(linear, refuse)).predict_proba(data.X)


@pytest.fixture
def forever() -> Iterator[threading.Event]:
    """What a hanging model waits for; set at the end, so that its thread ends with the test."""
    event = threading.Event()
    yield event
    event.set()


def test_a_model_that_hangs_is_left(linear: LinearModel, data: Dataset, forever: threading.Event) -> None:
    with pytest.raises(UnsupportedError, match=r"within 0\.05 s, got none"):
        attack(Hidden(linear, lambda X: forever.wait()), data, timeout_s=0.05)


def test_a_timeout_of_the_models_own_is_not_taken_for_ours(linear: LinearModel) -> None:
    def time_out(X: Matrix) -> None:
        raise TimeoutError("the service is busy")

    with pytest.raises(UnsupportedError, match="TimeoutError for row 0 of the 2 asked: the service is busy"):
        Oracle(Hidden(linear, time_out), timeout_s=30.0).predict_proba(np.ones((2, 4)))


@pytest.mark.parametrize("timeout_s", [0, -1.0, float("nan")])
def test_a_timeout_that_means_nothing_is_refused(linear: LinearModel, timeout_s: float) -> None:
    with pytest.raises(UsageError, match="timeout_s"):
        Oracle(linear, timeout_s=timeout_s)


def test_an_evasion_that_broke_off_goes_on_and_ends_as_it_would_have(
    linear: LinearModel, data: Dataset, tmp_path: Path
) -> None:
    file, whole = tmp_path / "evasion.npz", Fragile(linear)
    expected = attack(whole, data)
    fragile = Fragile(linear)
    fragile.after = whole.calls // 2
    with pytest.raises(UnsupportedError, match=r"out of memory, while rows \d+ to \d+ of those attacked .* 10 of 40"):
        attack(fragile, data, resume=file)
    again = Fragile(linear)
    result = attack(again, data, resume=file)
    np.testing.assert_array_equal(result.adversarial, expected.adversarial)
    np.testing.assert_array_equal(result.distance, expected.distance)
    assert again.calls < whole.calls
    done = Fragile(linear)
    attack(done, data, resume=file)
    assert done.calls == 4  # twice to see that it repeats itself, and before and after


def test_a_file_of_another_evasion_or_of_nothing_is_refused(linear: LinearModel, data: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "evasion.npz"
    attack(Hidden(linear), data, resume=file)
    kept = file.read_bytes()
    with pytest.raises(DataError, match="another model, other data, another threat"):
        attack(Hidden(linear), data.take(np.arange(20)), resume=file)
    with pytest.raises(DataError, match="another model, other data, another threat"):
        attack(Hidden(random_linear(linear.schema, np.random.default_rng(9))), data, resume=file)
    for damaged in (b"", b"not an archive", kept[: len(kept) // 2]):
        file.write_bytes(damaged)
        with pytest.raises(WireError, match="holds no kept evasion"):
            attack(Hidden(linear), data, resume=file)
        assert file.read_bytes() == damaged
    with np.load(io.BytesIO(kept)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    for change in (
        {"seed": np.array(-1)},
        {"distance": arrays["distance"] * np.nan},
        {"queries": -arrays["queries"] - 1},
    ):
        with file.open("wb") as out:
            np.savez(out, **(arrays | change))
        with pytest.raises(WireError, match="holds no kept evasion: its"):
            attack(Hidden(linear), data, resume=file)


def test_a_model_that_gives_nan_is_refused(linear: LinearModel, data: Dataset) -> None:
    model = Constant(linear.schema, (float("nan"), float("nan")))
    with pytest.raises(UnsupportedError, match="expected probabilities"):
        Oracle(model).predict_proba(data.X)


def test_a_constant_model_is_not_called_robust_without_a_word() -> None:
    data = noise_data(20, np.random.default_rng(0))
    result = evasion(Constant(data.schema), data, threat=THREAT, rng=np.random.default_rng(0), max_queries=20)
    assert result.robust_accuracy.value == result.accuracy.value == 0.5
    assert result.unreliable == ("the model gives every row the same answer",)
    assert any("unreliable" in caveat for caveat in result.to_evidence("sha256:" + "0" * 64).caveats)


def test_a_threat_that_leaves_nothing_to_change_is_said() -> None:
    features = tuple(Feature(name=f"a{i}", kind="real", low=0, high=10, mutability="fixed") for i in range(4))
    schema = Schema(features=features, target="y", classes=("no", "yes"))
    model = random_linear(schema, np.random.default_rng(0))
    data = own_labels(model, np.random.default_rng(0).uniform(0, 10, (9, 4)))
    result = evasion(model, data, threat=THREAT, rng=np.random.default_rng(0))
    assert result.robust_accuracy.value == 1
    assert result.unreliable == ("the threat leaves no row anything to change",)


def test_data_that_breaks_its_schema_is_refused_before_the_model_is_asked(linear: LinearModel) -> None:
    schema = numbers_schema(4, relations=("a0 + a1 <= a2",))
    model = Hidden(random_linear(schema, np.random.default_rng(0)), lambda X: pytest.fail("asked"))
    data = Dataset(schema, np.array([[1.0, 1.0, 2.0, 0.0], [1.0, 1.5, 2.0, 0.0]]), np.array([0, 1]))
    with pytest.raises(DataError, match="row 1 breaks the relation"):
        attack(model, data)


def test_labels_out_of_range_are_refused() -> None:
    with pytest.raises(DataError, match="labels from 0 to 1"):
        Dataset(numbers_schema(4), np.ones((2, 4)), np.array([0, 2]))


def test_one_row_is_enough(linear: LinearModel, data: Dataset) -> None:
    result = attack(Hidden(linear), data.take([3]))
    assert len(result.rows) == 1
    assert result.auc is None


def test_a_model_without_a_schema_is_refused_with_a_way_round(data: Dataset) -> None:
    with pytest.raises(UsageError, match="expected a model with a schema and predict_proba, got object") as refused:
        evasion(object(), data, threat=THREAT, rng=np.random.default_rng(0))  # type: ignore[arg-type]
    assert "fit_estimator" in str(refused.value.hint)
