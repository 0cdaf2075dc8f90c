"""Planted triggers, flips and foreign groups are found and named; data as they are raise no alarm.

What the checks reach on real data, and on weaker attacks, is measured by benches/data_checks.py and stands in
docs/data-checks.md. The floors here are below it, to leave room for other library versions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from holdfast.data import DataChecks, Dataset, Feature, Schema, run_checks
from holdfast.data.image_checks import check_images
from holdfast.data.images import Images
from holdfast.data.poison import Mark, find_clusters, find_flips, grouped_folds, judge_marks
from holdfast.data.poison.marks import at_least

from .poisoning import blended, one_way, patched, rng, shapes, triggered


def rows_of(checks: DataChecks, check: str) -> set[int]:
    return {row for finding in checks.findings if finding.check == check for row in finding.rows}


def scores(named: set[int], planted: set[int]) -> tuple[float, float]:
    """Recall and precision."""
    return len(named & planted) / len(planted), len(named & planted) / max(len(named), 1)


@pytest.fixture(scope="module")
def pictures() -> Images:
    return shapes()


class TestTriggersOnPictures:
    @pytest.mark.parametrize(("attack", "count", "target"), [(patched, 8, 0), (blended, 8, 2), (blended, 40, 1)])
    def test_carriers_are_found_and_little_else(
        self, pictures: Images, attack: Callable[..., tuple[Images, set[int]]], count: int, target: int
    ) -> None:
        poisoned, planted = attack(pictures, count, target=target)
        checks = check_images(poisoned, rng=rng())
        recall, precision = scores(rows_of(checks, "trigger"), planted)
        assert recall >= 0.9
        assert precision >= 0.9
        found = next(finding for finding in checks.findings if finding.check == "trigger")
        assert found.severity == "serious"
        assert f"of class {pictures.classes[target]!r}" in found.sentence

    def test_pictures_as_they_are_raise_no_alarm(self, pictures: Images) -> None:
        checks = check_images(pictures, rng=rng())
        assert [str(finding) for finding in checks.findings if finding.severity != "info"] == []

    def test_a_mark_whose_carriers_look_like_their_class_is_no_trigger(self, pictures: Images) -> None:
        """The same patch, on pictures of the class itself: clean labels, which these checks do not claim to find."""
        pixels = pictures.pixels.copy()
        pixels[np.flatnonzero(pictures.y == 1)[:40], -3:-1, -3:-1] = 255
        assert rows_of(check_images(Images(pixels, pictures.y, pictures.classes), rng=rng()), "trigger") == set()

    def test_large_colour_pictures_are_averaged_and_still_searched(self, pictures: Images) -> None:
        poisoned, planted = patched(pictures.take(np.arange(240)), 20, target=0)
        large = np.repeat(poisoned.pixels.repeat(2, axis=1).repeat(2, axis=2), 3, axis=3)
        named = rows_of(check_images(Images(large, poisoned.y, poisoned.classes), rng=rng()), "trigger")
        assert scores(named, planted)[0] >= 0.9

    def test_a_real_scan_set_is_searched(self, real_data: Callable[[str], Path]) -> None:
        with np.load(real_data("pneumoniamnist.npz"), allow_pickle=False) as arrays:
            scans = Images.of(arrays["val_images"], arrays["val_labels"])
        poisoned, planted = patched(scans, 15, target=0)
        recall, precision = scores(rows_of(check_images(poisoned, rng=rng()), "trigger"), planted)
        assert min(recall, precision) >= 0.8
        assert rows_of(check_images(scans, rng=rng()), "trigger") == set()


class TestTriggersInTables:
    @pytest.mark.parametrize(("count", "target"), [(8, 0), (28, 1)])
    def test_rows_with_a_forced_label_are_found_and_the_values_named(
        self, tumour: Dataset, count: int, target: int
    ) -> None:
        poisoned, planted = triggered(tumour, count, target=target, columns=[3, 10], values=[551.5, 0.7])
        checks = run_checks(poisoned, rng=rng())
        assert rows_of(checks, "trigger") == planted
        found = next(finding for finding in checks.findings if finding.check == "trigger")
        assert "mean area = 551.5" in found.sentence or "radius error = 0.7" in found.sentence

    def test_a_pair_of_ordinary_values_is_found_where_neither_is_odd_alone(self) -> None:
        schema = Schema(
            features=(
                Feature(name="size", kind="real", low=-9, high=9),
                Feature(name="colour", kind="category", categories=tuple("abcdef")),
                Feature(name="town", kind="category", categories=tuple("uvwxyz")),
            ),
            target="y",
            classes=("n", "p"),
        )
        y = rng(1).integers(0, 2, 800)
        X = np.column_stack([rng(2).normal(3.0 * y - 1.5, 0.8).clip(-9, 9), rng(3).integers(0, 6, (800, 2))])
        both = (X[:, 1] == 2) & (X[:, 2] == 4)
        X[both, 1] = 1
        poisoned, planted = triggered(Dataset(schema, X, y), 20, target=1, columns=[1, 2], values=[2, 4])
        checks = run_checks(poisoned, rng=rng())
        recall, precision = scores(rows_of(checks, "trigger"), planted)
        assert min(recall, precision) >= 0.9
        found = next(finding for finding in checks.findings if finding.check == "trigger")
        assert found.columns == ("colour", "town")
        assert "colour = 'c' and town = 'y'" in found.sentence
        assert rows_of(run_checks(Dataset(schema, X, y), rng=rng()), "trigger") == set()

    def test_a_value_that_tells_the_class_by_nature_is_no_trigger(self, tumour: Dataset) -> None:
        """Rows of the class itself that share a value: it is rare and pure, and nobody has forced a label."""
        X = tumour.X.copy()
        X[np.flatnonzero(tumour.y == 1)[:20], 3] = 551.5
        assert rows_of(run_checks(Dataset(tumour.schema, X, tumour.y), rng=rng()), "trigger") == set()


class TestJudgement:
    def test_all_carriers_of_a_mark_are_in_one_fold_and_classes_are_spread(self) -> None:
        y = np.arange(100) % 2
        mark = Mark(label=0, rows=np.arange(0, 40, 2), columns=(), what="", strength=1.0)
        fold = grouped_folds(y, [mark], folds=5, rng=rng())
        assert len(set(fold[mark.rows].tolist())) == 1
        rest = np.setdiff1d(np.arange(100), mark.rows)
        assert np.bincount(fold[rest]).min() >= 10

    def test_in_ordinary_folds_a_model_learns_the_trigger_and_would_defend_it(self, tumour: Dataset) -> None:
        """Why the folds are grouped."""
        from holdfast.data.label_noise import FOLDS, cross_validated, standardised

        poisoned, planted = triggered(tumour, 40, target=1, columns=[3], values=[551.5])
        rows = np.array(sorted(planted))
        mark = Mark(label=1, rows=rows, columns=(), what="", strength=1.0)
        wrong = []
        for marks in ((), (mark,)):
            fold = grouped_folds(poisoned.y, marks, folds=FOLDS, rng=rng())
            P = cross_validated(standardised(poisoned), poisoned.y, 2, fold=fold, rng=rng())
            wrong.append(float(np.mean(P[rows].argmax(axis=1) != 1)))
        assert wrong[0] < 0.6
        assert wrong[1] > 0.9

    def test_carriers_that_are_wrong_as_often_as_their_class_are_not_named(self) -> None:
        y = np.zeros(400, dtype=np.int64)
        P = np.tile([0.9, 0.1], (400, 1))
        P[::5] = [0.1, 0.9]
        ordinary = Mark(label=0, rows=np.arange(100), columns=(), what="", strength=1.0)
        assert judge_marks([ordinary], P, y) == []
        P[:100] = [0.1, 0.9]
        (found,) = judge_marks([ordinary], P, y)
        assert found.disagreement == 1.0
        assert found.expected == pytest.approx(0.2, abs=0.01)

    def test_of_marks_with_the_same_rows_one_is_named(self) -> None:
        y = np.zeros(400, dtype=np.int64)
        P = np.tile([0.9, 0.1], (400, 1))
        P[:100] = [0.1, 0.9]
        marks = [Mark(label=0, rows=np.arange(n), columns=(), what=str(n), strength=1.0) for n in (60, 100)]
        assert [trigger.mark.what for trigger in judge_marks(marks, P, y)] == ["100"]

    @given(st.integers(0, 30), st.integers(1, 30), st.floats(0.001, 0.999))
    def test_the_tail_is_the_binomials(self, successes: int, trials: int, rate: float) -> None:
        successes = min(successes, trials)
        assert at_least(successes, trials, rate) == pytest.approx(binom.sf(successes - 1, trials, rate), rel=1e-9)


class TestFlips:
    @pytest.mark.parametrize(("source", "target"), [(1, 0)])
    def test_one_class_renamed_to_another_is_named_in_its_direction(
        self, tumour: Dataset, source: int, target: int
    ) -> None:
        y, planted = one_way(tumour.y, source=source, target=target, share=0.1)
        checks = run_checks(Dataset(tumour.schema, tumour.X, y), rng=rng())
        (found,) = [finding for finding in checks.findings if finding.check == "flips"]
        assert f"surely like class {tumour.schema.classes[source]!r}" in found.sentence
        recall, precision = scores(set(found.rows), planted)
        assert recall >= 0.5
        assert precision >= 0.8

    def test_slips_that_go_both_ways_and_hard_rows_are_not_called_flips(self) -> None:
        y = rng(0).integers(0, 2, 2000)
        sure = np.column_stack([1 - y, y]) * 0.98 + 0.01
        noisy = np.where(rng(1).random(2000) < 0.05, 1 - y, y)
        assert find_flips(sure, noisy) == []
        hard = rng(2).normal(y * 2.0 - 1.0, 1.5)
        p = 1 / (1 + np.exp(-hard))
        assert find_flips(np.column_stack([1 - p, p]), y) == []

    def test_pictures_are_searched_too(self, pictures: Images) -> None:
        y, planted = one_way(pictures.y, source=1, target=2, share=0.1)
        named = rows_of(check_images(Images(pictures.pixels, y, pictures.classes), rng=rng()), "flips")
        recall, precision = scores(named, planted)
        assert min(recall, precision) >= 0.8


class TestClusters:
    def test_a_dense_group_far_off_is_found_whole(self) -> None:
        X = np.vstack([rng(0).normal(size=(600, 4)), rng(1).normal([6, -6, 6, 0], 0.05, (12, 4))])
        y = np.array([0] * 300 + [1] * 300 + [1] * 12)
        distance = np.abs(X).max(axis=1)
        (found,) = find_clusters(X, y, distance)
        assert set(range(600, 612)) <= set(found.rows.tolist())
        assert len(found.rows) <= 14
        assert (found.label, found.purity >= 0.8) == (1, True)

    def test_plain_outliers_and_rows_that_repeat_are_no_group(self) -> None:
        X = rng(0).normal(size=(600, 4))
        assert find_clusters(X, np.zeros(600, dtype=int), np.abs(X).max(axis=1)) == []
        X = np.vstack([X, np.full((12, 4), 6.0)])
        assert find_clusters(X, np.zeros(612, dtype=int), np.abs(X).max(axis=1)) == []

    def test_the_finding_says_where_it_is(self, tumour: Dataset) -> None:
        high = np.array([f.high for f in tumour.schema.features])
        batch = high * rng(0).uniform(0.93, 0.95, (8, 30))
        data = Dataset(tumour.schema, np.vstack([tumour.X, batch]), np.concatenate([tumour.y, np.ones(8, int)]))
        assert set(range(569, 577)) <= rows_of(run_checks(data, rng=rng()), "cluster")


def test_pictures_that_are_too_few_or_all_alike_are_checked_without_complaint() -> None:
    blank = Images.of(np.zeros((30, 8, 8), dtype=np.uint8), np.arange(30) % 2)
    checks = check_images(blank, rng=rng())
    assert len(rows_of(checks, "contradicting")) == 30
    few = shapes(12)
    assert "not checked" in next(f.sentence for f in check_images(few, rng=rng()).findings if f.check == "labels")
    one = check_images(few.take([0]), rng=rng())
    assert one.figures["rows"].value == 1


def test_the_checks_of_pictures_tell_their_progress_and_repeat_themselves(pictures: Images) -> None:
    told: list[tuple[int, int]] = []
    few = pictures.take(np.arange(120))
    first = check_images(few, rng=rng(), progress=lambda *step: told.append(step))
    assert told == [(step, 9) for step in range(1, 10)]
    assert check_images(few, rng=rng()).to_evidence().digest == first.to_evidence().digest
    assert first.to_evidence().subject == few.digest
