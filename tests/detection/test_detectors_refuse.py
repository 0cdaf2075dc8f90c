"""Nonsense is refused at every entrance, and files are not trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.detection.detector_cases import CASES, logits, pictures, probabilities, rows

from holdfast.data import Dataset, Feature, Schema
from holdfast.data.images import Images
from holdfast.detection import (
    Detector,
    Energy,
    Fingerprints,
    NearQueries,
    Neighbours,
    PictureView,
    QueryDistances,
    Squeezing,
    calibrate,
    try_detector,
    view_of,
)
from holdfast.errors import DataError, UsageError, WireError
from holdfast.evidence import Evidence

TABLE, PICTURE = view_of(rows()[0]), PictureView(8, 8, 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: NearQueries(view=TABLE, window=1),
        lambda: NearQueries(view=TABLE, window=True),
        lambda: NearQueries(view=TABLE, window=10**9),
        lambda: QueryDistances(view=TABLE, quantiles=np.arange(5.0)),
        lambda: QueryDistances(view=TABLE, quantiles=np.arange(99.0)[::-1]),
        lambda: Fingerprints(view=TABLE),  # type: ignore[arg-type]
        lambda: Fingerprints(view=PictureView(2, 2, 1)),
        lambda: Fingerprints(view=PICTURE, secret=b"short"),
        lambda: Squeezing(view=TABLE, predict=probabilities),  # type: ignore[arg-type]
        lambda: Squeezing(view=PICTURE, predict=probabilities, levels=1),
        lambda: Squeezing(view=PICTURE, predict=probabilities, blur=0),
        lambda: Neighbours(view=PICTURE, reference=np.zeros((5, 63), dtype=np.float32)),
        lambda: Neighbours(view=PICTURE, reference=np.zeros((5, 64), dtype=np.float32), k=6),
        lambda: Neighbours(view=PICTURE, reference=np.full((5, 64), np.nan, dtype=np.float32)),
        lambda: PictureView(0, 8, 1),
        lambda: PictureView(8.0, 8, 1),  # type: ignore[arg-type]
    ],
)
def test_a_statistic_that_means_nothing_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(UsageError):
        make()


def test_too_few_clean_inputs_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="at least 5 clean inputs"):
        Neighbours.of(rows()[0].take([0, 1]), rng=rng)
    with pytest.raises(DataError, match="at least 8 different"):
        QueryDistances.of(rows()[0].take([0] * 99), rng=rng)
    with pytest.raises(DataError, match="needs at least 999 clean scores"):
        calibrate(NearQueries(view=TABLE), rows()[1], false_alarm_rate=0.001, rng=rng)
    with pytest.raises(DataError, match="got none"):
        calibrate(NearQueries(view=TABLE), rows()[1].take([]), false_alarm_rate=0.1, rng=rng)


def test_clean_inputs_that_repeat_one_another_count_once() -> None:
    data = rows()[1]
    twice = Dataset(data.schema, np.vstack([data.X, data.X]), np.concatenate([data.y, data.y]))
    found = [
        calibrate(NearQueries(view=TABLE, window=2), d, false_alarm_rate=0.1, rng=np.random.default_rng(0))
        for d in (data, twice)
    ]
    assert found[0].limit == found[1].limit


def test_clean_inputs_of_another_kind_are_refused() -> None:
    for statistic, clean in ((NearQueries(view=PICTURE), rows()[1]), (NearQueries(view=TABLE), pictures()[1])):
        with pytest.raises(DataError, match="different schemas"):
            calibrate(statistic, clean, false_alarm_rate=0.1, rng=np.random.default_rng(0))
    other = Images.of(np.zeros((99, 9, 9), dtype=np.uint8), np.zeros(99, dtype=np.int64))
    with pytest.raises(DataError, match=r"\(n, 8, 8, 1\)"):
        calibrate(NearQueries(view=PICTURE), other, false_alarm_rate=0.1, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    "answer", [lambda q: np.zeros((len(q) + 1, 2)), lambda q: np.zeros(len(q)), lambda q: np.full((len(q), 2), np.nan)]
)
def test_a_model_that_answers_nonsense_is_noticed(answer: Callable[[Any], Any]) -> None:
    with pytest.raises(DataError, match="expected finite answers"):
        calibrate(
            Energy(view=PICTURE, logits=answer), pictures()[1], false_alarm_rate=0.1, rng=np.random.default_rng(0)
        )


def test_a_detector_that_asks_a_model_is_not_read_back_without() -> None:
    for name in ("energy", "squeezed pictures"):
        with pytest.raises(UsageError, match="asks the model") as caught:
            Detector.from_json(CASES[name]().detector.to_json())
        assert "model=" in caught.value.hint


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: [],
        lambda d: d | {"format": "holdfast-detector-9"},
        lambda d: d | {"more": 1},
        lambda d: d | {"statistic": 7},
        lambda d: d | {"statistic": d["statistic"] | {"kind": "unknown"}},
        lambda d: d | {"statistic": d["statistic"] | {"view": {"picture": [8, 8]}}},
        lambda d: d | {"statistic": d["statistic"] | {"view": {"schema": {"features": []}}}},
        lambda d: d | {"statistic": d["statistic"] | {"view": None}},
        lambda d: d | {"statistic": {"view": d["statistic"]["view"], "kind": d["statistic"]["kind"]}},
        lambda d: d | {"limit": None},
    ],
)
@pytest.mark.parametrize("name", ["near rows", "spread pictures", "fingerprints", "far pictures", "squeezed pictures"])
def test_a_malformed_detector_is_refused(name: str, spoil: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(WireError):
        Detector.from_json(spoil(CASES[name]().detector.to_json()), model=probabilities)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("near rows", "window", "32"),
        ("spread rows", "quantiles", ["a"]),
        ("fingerprints", "secret", "zz"),
        ("fingerprints", "secret", "00"),
        ("far pictures", "reference", "!!!"),
        ("far pictures", "reference", "AAAA"),
        ("squeezed pictures", "levels", 1e9),
        ("near rows", "window", 10**400),
        ("spread rows", "quantiles", [10**400] * 99),
        ("spread rows", "quantiles", [float("nan")] * 99),
        ("far pictures", "k", float("inf")),
    ],
)
def test_a_malformed_statistic_is_refused(name: str, field: str, value: object) -> None:
    document = CASES[name]().detector.to_json()
    document["statistic"][field] = value
    with pytest.raises(WireError, match="malformed"):
        Detector.from_json(document, model=probabilities)


def test_repeated_rows_with_a_missing_value_count_once_and_do_not_blind_a_detector() -> None:
    schema = Schema(
        features=(Feature(name="a", kind="real", low=0, high=1, nullable=True), Feature(name="b", kind="real", high=1)),
        target="y",
        classes=("no", "yes"),
    )
    rng = np.random.default_rng(0)
    X = rng.random((600, 2))
    X[::3, 0] = np.nan
    clean = Dataset(schema, np.vstack([X, X]), np.zeros(1200, dtype=np.int64))
    detector = calibrate(NearQueries(view=view_of(clean)), clean, false_alarm_rate=0.05, rng=rng)
    assert detector.limit.value < 0  # a distance of 0 among clean rows would let every search pass
    near = X[:1] + 1e-6 * rng.random((80, 2))
    assert detector.flags(near).all()


def test_a_trial_needs_a_window_of_each_and_its_evidence_survives_json() -> None:
    case = CASES["near rows"]()
    with pytest.raises(DataError, match="at least 4 attack queries"):
        try_detector(case.detector, clean=case.clean, attack=case.attack[:3])
    evidence = try_detector(case.detector, clean=case.clean, attack=case.attack).to_evidence("sha256:" + "0" * 64)
    assert Evidence.from_json(evidence.to_json()).digest == evidence.digest
    assert evidence.figures["detection_rate"].bound == "upper"
    assert evidence.figures["false_alarm_rate_bound"].bound == "upper"


def test_energy_is_lower_where_a_class_is_sure() -> None:
    energy = Energy(view=PICTURE, logits=logits)
    kept = energy.kept(pictures()[2].pixels[:50])
    np.testing.assert_allclose(kept[:, 0], -np.log(np.exp(logits(pictures()[2].pixels[:50])).sum(axis=1)))


def test_another_secret_gives_other_fingerprints() -> None:
    first, second = (Fingerprints(view=PICTURE) for _ in range(2))
    assert first.secret != second.secret
    pictures_of_digits = pictures()[2].pixels[:5]
    both = np.intersect1d(first.kept(pictures_of_digits), second.kept(pictures_of_digits))
    assert set(both) <= {-1.0}  # what stands for an absent hash; two of 500 agree by chance once in 10^4 runs
    assert first.secret.hex() not in repr(first)


def test_pictures_that_differ_in_one_place_share_most_fingerprints() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1), dtype=np.uint8)
    near, other = picture.copy(), 255 - picture
    near[0, 5:8, 5:8] = 0
    fingerprints = Fingerprints(view=PictureView(28, 28, 1), window=2)
    shared = [fingerprints.scores(fingerprints.kept(np.vstack([picture, q]))[None])[0] for q in (near, other)]
    assert shared[0] > 35  # three stretches of 20 + 2 values of 765 are touched: 9 % of the hashes on average
    assert shared[1] < 5
