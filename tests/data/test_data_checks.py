"""The first checks find what was planted, and say honestly what they cannot tell.

Measured with 5 % of the labels of the tumour data flipped, over 5 seeds: recall 0.84 (worst 0.75), precision 0.90
(worst 0.83); without flips 1 of 569 labels is doubted. The floors below leave room for other library versions.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import evidence
from holdfast.data import (
    DataChecks,
    Dataset,
    Feature,
    Schema,
    inspect_table,
    load,
    read_table,
    run_checks,
    tumour_frame,
)
from holdfast.data.label_noise import FOLDS, find_label_noise
from holdfast.data.rows import find_outliers, find_repetitions, outlier_scores
from holdfast.errors import DataError

from .data_strategies import datasets


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def flip(data: Dataset, *, share: float, seed: int) -> tuple[Dataset, set[int]]:
    """The data set with a share of its labels changed, and which."""
    rows = rng(seed).choice(len(data), round(share * len(data)), replace=False)
    y = data.y.copy()
    y[rows] = (y[rows] + 1) % len(data.schema.classes)
    return Dataset(data.schema, data.X, y), set(rows.tolist())


def append(data: Dataset, X: np.ndarray, y: list[int]) -> Dataset:
    return Dataset(data.schema, np.vstack([data.X, X]), np.concatenate([data.y, y]))


def finding(checks: DataChecks, check: str) -> object:
    found = [item for item in checks.findings if item.check == check]
    return found[0] if found else None


class TestLabelNoise:
    @pytest.mark.parametrize("seed", range(3))
    def test_planted_flips_are_found_and_little_else(self, tumour: Dataset, seed: int) -> None:
        noisy, planted = flip(tumour, share=0.05, seed=seed)
        noise = find_label_noise(noisy, rng=rng(seed))
        assert noise is not None
        found = set(noise.suspects.tolist())
        assert len(found & planted) / len(planted) >= 0.6
        assert len(found & planted) / len(found) >= 0.65
        hits = [row in planted for row in noise.suspects]
        assert np.mean(hits[:10]) >= 0.8, "the most doubtful should be the surest"
        right = [tumour.y[row] == label for row, label in zip(noise.suspects, noise.suggested, strict=True)]
        assert np.mean(right) >= 0.65

    def test_the_estimated_rate_rises_with_the_planted_one(self, tumour: Dataset) -> None:
        rates = []
        for share in (0.0, 0.05, 0.15):
            noise = find_label_noise(flip(tumour, share=share, seed=0)[0], rng=rng())
            assert noise is not None
            assert noise.rate.low is not None
            rates.append(noise.rate)
        assert rates[0].value < 0.02 < rates[1].value < 0.09 < rates[2].value < 0.2
        assert rates[1].low <= 0.05 <= rates[1].high

    def test_untouched_labels_are_hardly_doubted(self, tumour: Dataset) -> None:
        noise = find_label_noise(tumour, rng=rng())
        assert noise is not None
        assert len(noise.suspects) <= 0.02 * len(tumour)
        assert noise.accuracy > 0.95

    def test_probabilities_come_from_models_that_did_not_see_the_row(self) -> None:
        """On labels that are pure chance, a model that had seen them would know them."""
        schema = Schema(features=(Feature(name="a", kind="real", low=0, high=1),), target="y", classes=("n", "p"))
        data = Dataset(schema, rng(1).random((600, 1)), rng(2).integers(0, 2, 600))
        noise = find_label_noise(data, rng=rng())
        assert noise is not None
        assert 0.4 < noise.accuracy < 0.6

    def test_missing_values_categories_and_three_classes_are_taken(self) -> None:
        schema = Schema(
            features=(
                Feature(name="a", kind="real", low=-9, high=9, nullable=True),
                Feature(name="c", kind="category", categories=("r", "g", "b"), nullable=True),
                Feature(name="gone", kind="real", low=0, high=1, nullable=True),
            ),
            target="y",
            classes=("0", "1", "2"),
        )
        y = rng(0).integers(0, 3, 300)
        X = np.column_stack([rng(1).normal(3.0 * y - 3, 0.5).clip(-9, 9), y.astype(float), np.full(300, np.nan)])
        X[::7, 0], X[::5, 1] = np.nan, np.nan
        noisy, planted = flip(Dataset(schema, X, y), share=0.05, seed=3)
        noise = find_label_noise(noisy, rng=rng())
        assert noise is not None
        assert len(planted & set(noise.suspects.tolist())) >= 0.6 * len(planted)

    def test_a_class_with_fewer_rows_than_folds_cannot_be_checked_and_is_said_so(self, tumour: Dataset) -> None:
        few = tumour.take([*np.flatnonzero(tumour.y == 0)[:50], *np.flatnonzero(tumour.y == 1)[: FOLDS - 1]])
        assert find_label_noise(few, rng=rng()) is None
        checks = run_checks(few, rng=rng())
        assert "not checked" in finding(checks, "labels").sentence
        assert "label_noise" not in checks.figures

    def test_overlapping_classes_are_not_called_serious(self) -> None:
        schema = Schema(features=(Feature(name="a", kind="real", low=-9, high=9),), target="y", classes=("n", "p"))
        y = rng(0).integers(0, 2, 800)
        checks = run_checks(Dataset(schema, rng(1).normal(y * 1.0, 1.0)[:, None].clip(-9, 9), y), rng=rng())
        found = finding(checks, "labels")
        assert found.severity == "warning"
        assert "may be hard rows" in found.sentence

    def test_only_a_sample_is_learned_from_where_rows_are_many_and_the_finding_says_so(
        self, tumour: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in ("label_noise", "findings"):
            monkeypatch.setattr(f"holdfast.data.{module}.MAX_TRAINED_ROWS", 200)
        checks = run_checks(flip(tumour, share=0.1, seed=0)[0], rng=rng())
        assert "learned from 200 rows drawn at random" in finding(checks, "labels").sentence
        assert len(checks.samples["self_confidence"]) == len(tumour)


class TestRepetitions:
    def test_repeated_rows_are_named_and_the_first_is_not(self, tumour: Dataset) -> None:
        data = append(tumour, tumour.X[[3, 3, 7]], tumour.y[[3, 3, 7]].tolist())
        found = find_repetitions(data, rng=rng())
        assert found.repeated.tolist() == [569, 570, 571]
        assert found.contradicting.tolist() == []
        assert found.near.tolist() == []

    def test_contradicting_rows_are_all_named(self, tumour: Dataset) -> None:
        data = append(tumour, tumour.X[[3, 7]], (1 - tumour.y[[3, 7]]).tolist())
        found = find_repetitions(data, rng=rng())
        assert found.contradicting.tolist() == [3, 7, 569, 570]
        assert found.repeated.tolist() == []

    def test_a_copy_with_one_altered_value_or_a_little_noise_is_nearly_equal(self, tumour: Dataset) -> None:
        copies = tumour.X[[10, 20, 30]].copy()
        copies[0, 5] += 0.2
        copies[1] *= 1 + 1e-7
        copies[2, :2] += 3.0
        found = find_repetitions(append(tumour, copies, tumour.y[[10, 20, 30]].tolist()), rng=rng())
        assert found.near.tolist() == [569, 570], "two altered values are not nearly equal"

    @settings(deadline=None)
    @given(datasets(max_rows=8), st.data())
    def test_repetitions_agree_with_comparing_all_pairs(self, data: Dataset, draw: st.DataObject) -> None:
        again = draw.draw(st.lists(st.integers(0, len(data) - 1), max_size=4))
        rows = [*range(len(data)), *again]
        labels = draw.draw(st.lists(st.integers(0, 1), min_size=len(rows), max_size=len(rows)))
        data = Dataset(data.schema, data.X[rows], np.array(labels))
        found = find_repetitions(data, rng=rng())
        same = [[np.array_equal(a, b, equal_nan=True) for b in data.X] for a in data.X]
        y, n = data.y, range(len(data))
        assert found.repeated.tolist() == [i for i in n if any(same[i][j] and y[i] == y[j] for j in range(i))]
        assert found.contradicting.tolist() == [i for i in n if any(same[i][j] and y[i] != y[j] for j in n)]


class TestOutliers:
    def test_an_impossible_row_comes_first(self, tumour: Dataset) -> None:
        strange = np.array([[f.high if i % 2 else f.low for i, f in enumerate(tumour.schema.features)]])
        scores = outlier_scores(append(tumour, strange, [0]), rng=rng())
        assert find_outliers(scores)[0] == 569

    def test_the_share_listed_is_fixed_and_said_to_be(self, tumour: Dataset) -> None:
        found = finding(run_checks(tumour, rng=rng()), "outliers")
        assert len(found.rows) == 6
        assert found.severity == "info"
        assert "1%, by construction" in found.sentence


@pytest.fixture(scope="module")
def checks(tumour: Dataset) -> DataChecks:
    return run_checks(tumour, rng=rng(), frame=tumour_frame())


class TestWhole:
    def test_clean_data_has_no_serious_finding(self, checks: DataChecks) -> None:
        assert [str(item) for item in checks.findings if item.severity == "serious"] == []

    def test_the_same_seed_gives_the_same_result(self, checks: DataChecks, tumour: Dataset) -> None:
        assert run_checks(tumour, rng=rng(), frame=tumour_frame()).to_evidence() == checks.to_evidence()

    def test_evidence_is_about_the_data_set_and_survives_json(self, checks: DataChecks, tumour: Dataset) -> None:
        item = checks.to_evidence()
        assert (item.kind, item.subject, item.subject_kind) == ("data-checks", tumour.digest, "dataset")
        assert evidence.Evidence.from_json(json.loads(json.dumps(item.to_json()))).digest == item.digest
        assert len(item.samples["outlier_score"]) == len(item.samples["self_confidence"]) == len(tumour)
        assert any("construction" in caveat for caveat in item.caveats)

    def test_progress_is_told_from_first_to_last(self, tumour: Dataset) -> None:
        told: list[tuple[int, int]] = []
        run_checks(tumour, rng=rng(), progress=lambda done, total: told.append((done, total)))
        assert told == [(done, 8) for done in range(1, 9)]

    def test_the_gravest_finding_comes_first(self, tumour: Dataset) -> None:
        data = append(tumour, tumour.X[[3, 7]], [int(1 - tumour.y[3]), int(tumour.y[7])])
        severities = [item.severity for item in run_checks(data, rng=rng()).findings]
        assert severities == sorted(severities, key=["serious", "warning", "info"].index)
        assert severities[0] == "serious"


def test_personal_data_is_found_in_columns_that_the_schema_leaves_out(tumour: Dataset) -> None:
    frame = tumour_frame().assign(contact=[f"p{i}@example.org" for i in range(569)])
    found = finding(run_checks(tumour, rng=rng(), frame=frame), "personal")
    assert found.columns == ("contact",)
    assert found.severity == "warning"
    assert finding(run_checks(tumour, rng=rng()), "personal") is None


def test_personal_data_that_the_model_would_see_is_serious() -> None:
    names = ("a@example.org", "b@example.org")
    schema = Schema(features=(Feature(name="c", kind="category", categories=names),), target="y", classes=("n", "p"))
    data = Dataset(schema, np.array([[i % 2] for i in range(40)], dtype=float), np.array([0, 1] * 20))
    found = finding(run_checks(data, rng=rng()), "personal")
    assert (found.severity, found.columns) == ("serious", ("c",))


def test_rare_classes_and_missing_values_are_named() -> None:
    schema = Schema(
        features=(Feature(name="a", kind="real", low=0, high=1, nullable=True),), target="y", classes=("n", "p")
    )
    X = rng(0).random((1000, 1))
    X[:300] = np.nan
    for count, severity in ((30, "warning"), (7, "serious")):
        checks = run_checks(Dataset(schema, X, np.arange(1000) >= 1000 - count), rng=rng())
        assert finding(checks, "balance").severity == severity
        assert f"class 'p' has {count} of 1000 rows" in finding(checks, "balance").sentence
        assert finding(checks, "missing").columns == ("a",)
        assert checks.figures["missing_share"].value == pytest.approx(0.3)


@settings(deadline=None, max_examples=6)
@given(datasets(max_rows=20))
def test_any_data_set_can_be_checked(data: Dataset) -> None:
    checks = run_checks(data, rng=rng())
    assert checks.to_evidence().subject == data.digest
    assert all(0 <= row < len(data) for item in checks.findings for row in item.rows)


def test_thousands_of_real_rows_are_checked(real_data: Callable[[str], Path]) -> None:
    frame = read_table(real_data("uci_default_credit_card.csv.gz")).head(2_500)
    schema = inspect_table(frame, target="default.payment.next.month").schema
    checks = run_checks(load(frame, schema), rng=rng(), frame=frame)
    assert checks.figures["repeated_rows"].value == int(frame.drop(columns="ID").duplicated().sum())
    columns = frame.drop(columns=["ID", "default.payment.next.month"])
    twins = frame.groupby(list(columns.columns))["default.payment.next.month"].transform("nunique")
    assert checks.figures["contradicting_rows"].value == int((twins > 1).sum())


def test_no_row_is_nothing_to_check() -> None:
    none = load(tumour_frame(), inspect_table(tumour_frame(), target="diagnosis").schema).take(np.arange(0))
    with pytest.raises(DataError, match="rows to check, got none"):
        run_checks(none, rng=np.random.default_rng(0))
