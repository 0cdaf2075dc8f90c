from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from tests.serving.service_kit import Kit

from holdfast import limits
from holdfast.attacks import synthetic_rows
from holdfast.attacks.synthetic import levelled_rows
from holdfast.data import Dataset, Feature, Matrix, Schema, check_features
from holdfast.detection import Bet
from holdfast.errors import DataError, InputError, UsageError, WireError
from holdfast.limits import MAX_WATCH_BYTES, MAX_WATCH_WIDTH, MAX_WATCHED_CLIENTS
from holdfast.models import Encoding
from holdfast.serving import Watch, WatchProfile, calibrate, try_watch
from holdfast.serving.private_tally import PrivateTally
from holdfast.serving.watch import Alert


def ask_one_by_one(watch: Watch, client: str, X: Matrix) -> tuple[int, Alert] | None:
    for number, row in enumerate(X, start=1):
        alert = watch.observe(client, row[None])
        if alert:
            return number, alert
    return None


@pytest.mark.parametrize("made_up", [synthetic_rows, levelled_rows])
def test_an_extraction_attack_is_flagged_within_fifty_queries(kit: Kit, made_up: Callable[..., Matrix]) -> None:
    watch = Watch(kit.profile, schema=kit.model.schema)
    for seed in range(30):
        X = made_up(kit.model.schema, 50, np.random.default_rng(seed))
        found = ask_one_by_one(watch, "attacker", X)
        assert found is not None
        assert found[1].kind == "far rows"


def test_an_attacker_who_hides_among_real_rows_is_flagged(kit: Kit) -> None:
    """A hundred real rows first, then every other row made up: thirty of them do not get through."""
    watch = Watch(kit.profile, schema=kit.model.schema)
    rng = np.random.default_rng(3)
    assert ask_one_by_one(watch, "x", kit.fresh.X[:100]) is None
    real, made_up = kit.fresh.X[100:130], synthetic_rows(kit.model.schema, 30, rng)
    mixed = np.stack([real, made_up], axis=1).reshape(60, -1)
    assert ask_one_by_one(watch, "x", mixed) is not None


def made_up_in_one_room(schema: Schema, n: int, rng: np.random.Generator, *, centre: float, width: float) -> Matrix:
    """Uniform in a middle part of each range, with the relations mended by swapping."""
    low, high = (np.array([getattr(feature, end) for feature in schema.features]) for end in ("low", "high"))
    X = low + (high - low) * (centre + width * (rng.random((n, len(low))) - 0.5))
    for _ in schema.relations:  # a swap may break another relation
        for relation in schema.relations:
            smaller, larger = schema.index(relation.left), schema.index(relation.right)
            pair = X[:, [smaller, larger]]
            X[:, smaller], X[:, larger] = pair.min(axis=1), pair.max(axis=1)
    check_features(X, schema)
    return X


@pytest.mark.parametrize("split", [(0.4, 0), (0.4, 1), (0.2, 1), (0.25, 3), (0.3, 2)])
def test_made_up_rows_find_no_room_to_hide_in(tumour: Dataset, split: tuple[float, int]) -> None:
    """A class of few rows, one of them odd, must not open a room in which a made-up row is not far."""
    held_out = tumour.split(test_fraction=split[0], seed=split[1])[1]
    seen, fresh = held_out.split(test_fraction=0.4, seed=101)
    watch = Watch(calibrate(seen, rng=np.random.default_rng(0)), schema=seen.schema)
    rng = np.random.default_rng(9)
    for centre in (0.15, 0.2, 0.3, 0.4, 0.5, 0.6):
        for width in (0.1, 0.2):
            X = made_up_in_one_room(seen.schema, 31, rng, centre=centre, width=width)
            assert ask_one_by_one(watch, f"{centre} {width}", X) is not None
    assert all(watch.observe(f"{i}", fresh.X[rng.permutation(len(fresh))]) is None for i in range(50))


def test_the_far_rate_holds_on_rows_that_had_no_part_in_the_calibration() -> None:
    """Nearly as many columns as rows: fitted rows lie much closer to their centre than fresh ones do."""
    rng, width = np.random.default_rng(0), 40
    schema = Schema(
        features=tuple(Feature(name=f"f{i}", kind="real", low=-90, high=90) for i in range(width)),
        target="y",
        classes=("0", "1"),
    )
    scales = np.logspace(-1, 1, width)
    seen, fresh = (rng.normal(size=(n, width)) * scales for n in (60, 2_000))
    profile = calibrate(Dataset(schema, seen, np.arange(60) % 2), rng=rng)
    region, distance = profile.distances(Encoding(schema).encode(fresh))
    for centre, rate in enumerate(profile.far_rates):
        assert np.mean(distance[region == centre] > profile.far) <= rate


def test_normal_clients_are_not_flagged(kit: Kit) -> None:
    """200 clients with rows that had no part in the calibration, each in a random order of its own."""
    watch, rng = Watch(kit.profile, schema=kit.model.schema), np.random.default_rng(5)
    flagged = [watch.observe(f"{i}", kit.fresh.X[rng.permutation(len(kit.fresh))]) for i in range(200)]
    assert sum(alert is not None for alert in flagged) <= 2  # .001 of each was asked for; 3 of 200 have P < 2e-3


def test_a_client_with_one_kind_of_patient_is_normal(kit: Kit) -> None:
    watch = Watch(kit.profile, schema=kit.model.schema)
    for label in (0, 1):
        assert watch.observe(f"only {label}", kit.fresh.X[kit.fresh.y == label]) is None
    for order in (np.argsort(kit.fresh.y), np.argsort(-kit.fresh.y)):
        assert watch.observe(f"by class {order[0]}", kit.fresh.X[order]) is None


def test_probing_a_decision_boundary_is_flagged(kit: Kit) -> None:
    """Real rows, and between two of them a search for the place where the answer changes."""
    watch = Watch(kit.profile, schema=kit.model.schema)
    benign, malignant = (kit.fresh.X[kit.fresh.y == label][0] for label in (1, 0))
    low, high, queries = 0.0, 1.0, []
    for _ in range(30):
        middle = (low + high) / 2
        row = benign + middle * (malignant - benign)
        queries.append(row)
        flipped = kit.model.predict_proba(row[None]).argmax() != kit.model.predict_proba(benign[None]).argmax()
        low, high = (low, middle) if flipped else (middle, high)
    found = ask_one_by_one(watch, "prober", np.array(queries))
    assert found is not None
    assert found[1].kind == "near rows"
    assert "decision boundary" in found[1].reason


def test_asking_the_same_row_again_teaches_nothing_and_is_not_flagged(kit: Kit) -> None:
    watch = Watch(kit.profile, schema=kit.model.schema)
    odd = synthetic_rows(kit.model.schema, 1, np.random.default_rng(0))
    assert watch.observe("x", np.repeat(odd, 500, axis=0)) is None
    assert all(watch.observe("y", odd) is None for _ in range(100))


def test_rows_in_one_request_and_one_by_one_are_judged_alike(kit: Kit) -> None:
    rng = np.random.default_rng(7)
    X = np.vstack([kit.fresh.X[:40], synthetic_rows(kit.model.schema, 3, rng), kit.fresh.X[40:]])
    one, many = Watch(kit.profile, schema=kit.model.schema), Watch(kit.profile, schema=kit.model.schema)
    assert ask_one_by_one(one, "x", X) is None
    assert many.observe("x", X) is None
    assert one._traffic["x"].far.wealth == pytest.approx(many._traffic["x"].far.wealth)
    assert one._traffic["x"].near.wealth == pytest.approx(many._traffic["x"].near.wealth)
    assert np.array_equal(one._traffic["x"].rows, many._traffic["x"].rows)


def test_an_alert_names_features_and_no_values(kit: Kit) -> None:
    X = synthetic_rows(kit.model.schema, 50, np.random.default_rng(0))
    alert = Watch(kit.profile, schema=kit.model.schema).observe("attacker", X)
    assert alert is not None
    assert any(repr(name) in alert.reason for name in kit.model.schema.names)
    assert not any(f"{value:.3g}" in alert.reason for value in X[:20].ravel() if value > 100)


def test_one_client_does_not_pay_for_another(kit: Kit) -> None:
    watch = Watch(kit.profile, schema=kit.model.schema)
    X = synthetic_rows(kit.model.schema, 40, np.random.default_rng(0))
    assert all(watch.observe(f"client {i}", row[None]) is None for i, row in enumerate(X))


def test_a_flagged_client_starts_anew(kit: Kit) -> None:
    watch = Watch(kit.profile, schema=kit.model.schema)
    assert watch.observe("x", synthetic_rows(kit.model.schema, 50, np.random.default_rng(0))) is not None
    assert watch.observe("x", kit.fresh.X) is None


def test_memory_is_bounded(kit: Kit) -> None:
    watch = Watch(kit.profile, schema=kit.model.schema)
    for i in range(MAX_WATCHED_CLIENTS + 10):
        watch.observe(f"client {i}", kit.fresh.X[:1])
    assert len(watch._traffic) == MAX_WATCHED_CLIENTS
    for _ in range(3):
        watch.observe("x", kit.fresh.X)
    assert watch._traffic["x"].rows.nbytes <= MAX_WATCH_BYTES


def test_encrypted_rows_are_counted_and_told_once() -> None:
    tally = PrivateTally(enough=31)
    assert tally.observe("x", rows=30) is None
    assert tally.observe("y", rows=30) is None
    alert = tally.observe("x", rows=5)
    assert alert is not None
    assert alert.kind == "private rows"
    assert "35 encrypted rows were asked; the exact scores of 31 can carry all weights" in alert.reason
    assert tally.observe("x", rows=100) is None


def test_clients_whose_encrypted_rows_are_counted_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_WATCHED_CLIENTS", 3)
    tally = PrivateTally(enough=31)
    for i in range(10):
        tally.observe(f"client {i}", rows=1)
    assert list(tally._asked) == ["client 7", "client 8", "client 9"]


def test_the_chance_of_a_false_alarm_keeps_its_bound_when_the_rate_is_exact() -> None:
    """Ville's inequality on the bet itself: 4,000 clients, 500 rows each, hits exactly at the rate."""
    rng, rate, threshold = np.random.default_rng(1), 0.1, 20.0
    crossed = 0
    for _ in range(4_000):
        bet = Bet()
        for hit in rng.random(500) < rate:
            bet.see(hit=bool(hit), rate=rate)
            if bet.wealth >= threshold:
                crossed += 1
                break
    assert 0 < crossed <= 4_000 / threshold  # the bound is .05; the share found is well below and not zero


def test_a_late_attack_is_found_soon_after_it_begins() -> None:
    bet = Bet()
    for row in range(10_000):
        bet.see(hit=row % 20 == 0, rate=0.1)
    rows = 0
    while bet.wealth < 2_000:
        bet.see(hit=True, rate=0.1)
        rows += 1
    assert rows <= 20


def test_a_profile_survives_json(kit: Kit) -> None:
    document = json.loads(json.dumps(kit.profile.to_json()))
    again = WatchProfile.from_json(document)
    assert again.to_json() == kit.profile.to_json()


def test_a_profile_holds_no_row(kit: Kit) -> None:
    """Neither a row in its own units nor an encoded one can be found among the profile's numbers."""
    numbers = np.hstack([kit.profile.centres.ravel(), kit.profile.precision_root.ravel(), kit.profile.spread])
    E = Encoding(kit.seen.schema).encode(kit.seen.X)
    for row in (*kit.seen.X, *E):
        telling = row[(row != 0) & (np.abs(row) != 1)]
        assert np.isin(np.round(telling, 9), np.round(numbers, 9)).sum() <= 3


@pytest.mark.parametrize(
    "change",
    [
        {"format": "holdfast-watch-2"},
        {"centres": []},
        {"centres": [[1, 2], [3]]},
        {"centres": None},
        {"far": [1.0, 2.0]},
        {"far": [1.0]},
        {"far": None},
        {"near": [1.0]},
        {"far_rates": [0.0, 0.1]},
        {"far_rates": [0.1]},
        {"spread": "x"},
        {"near": float("nan")},
        {"near": "near"},
        {"memory_rows": 0},
        {"memory_rows": 10**9},
        {"memory_rows": 2.5},
        {"surprise": 1},
    ],
)
def test_a_malformed_profile_is_refused(kit: Kit, change: dict[str, object]) -> None:
    with pytest.raises(WireError, match="watch profile"):
        WatchProfile.from_json(kit.profile.to_json() | change)


@pytest.mark.parametrize("document", [None, [], "x", {}])
def test_what_is_no_profile_is_refused(document: object) -> None:
    with pytest.raises(WireError, match="holdfast-watch-1"):
        WatchProfile.from_json(document)


def test_a_profile_of_another_schema_is_refused(kit: Kit) -> None:
    schema = Schema(features=kit.model.schema.features[:3], target="y", classes=("a", "b"))
    with pytest.raises(InputError, match="another schema"):
        Watch(kit.profile, schema=schema)


def test_too_few_rows_to_calibrate_are_refused(kit: Kit) -> None:
    with pytest.raises(DataError, match="at least 40 held-out rows to calibrate the watch, got 39"):
        calibrate(kit.seen.take(range(39)), rng=np.random.default_rng(0))


@pytest.mark.parametrize("rate", [0, 1, -1, float("nan")])
def test_a_false_alarm_rate_that_is_none_is_refused(kit: Kit, rate: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        calibrate(kit.seen, rng=np.random.default_rng(0), false_alarm_rate=rate)


def odd_table(kind: str, rng: np.random.Generator) -> Dataset:
    """Tables that break assumptions: categories only, a constant column, missing values, a tiny class, many columns."""
    n = 120
    y = np.arange(n) % 2
    if kind == "categories":
        features = [Feature(name=f"f{i}", kind="category", categories=("a", "b", "c")) for i in range(4)]
        X = rng.integers(0, 3, (n, 4)).astype(float)
    elif kind == "constant":
        features = [Feature(name=f"f{i}", kind="real", low=0, high=1) for i in range(3)]
        X = np.full((n, 3), 0.5)
    elif kind == "missing":
        features = [Feature(name=f"f{i}", kind="real", low=-9, high=9, nullable=True) for i in range(5)]
        X = rng.normal(size=(n, 5)).clip(-9, 9)
        X[rng.random(X.shape) < 0.3] = np.nan
    elif kind == "tiny class":
        features = [Feature(name=f"f{i}", kind="integer", low=0, high=1000) for i in range(3)]
        X, y = rng.integers(400, 600, (n, 3)).astype(float), (np.arange(n) == 0).astype(int)
    else:
        width = MAX_WATCH_WIDTH + 1
        features = [Feature(name=f"f{i}", kind="real", low=-9, high=9) for i in range(width)]
        X = rng.normal(size=(n, width)).clip(-9, 9)
    return Dataset(Schema(features=tuple(features), target="y", classes=("0", "1")), X, y)


@pytest.mark.parametrize("kind", ["categories", "constant", "missing", "tiny class", "wide"])
def test_odd_tables_can_be_watched_and_are_normal_to_themselves(kind: str) -> None:
    data = odd_table(kind, np.random.default_rng(4))
    profile = WatchProfile.from_json(calibrate(data, rng=np.random.default_rng(0)).to_json())
    watch, rng = Watch(profile, schema=data.schema), np.random.default_rng(6)
    assert [watch.observe(f"{i}", data.X[rng.permutation(len(data))]) for i in range(10)] == [None] * 10


def test_a_trial_measures_both_errors_and_says_so(kit: Kit) -> None:
    rng = np.random.default_rng(8)
    attack = {"uniform": synthetic_rows(kit.model.schema, 500, rng), "real": kit.fresh.X[:100]}
    trial = try_watch(kit.profile, clean=kit.fresh, attack=attack, rng=rng, clients=50, attackers=10)
    assert trial.flagged <= 1
    assert all(0 < rows <= 50 for rows in trial.queries_until_flagged["uniform"])
    assert trial.queries_until_flagged["real"] == (0,) * 10
    evidence = trial.to_evidence(kit.model.digest)
    assert evidence.kind == "service-watch"
    assert 0 < (evidence.figures["false_alarm_rate"].high or 0) < 0.15
    assert {kind: rate.value for kind, rate in trial.detection_rates.items()} == {"uniform": 1, "real": 0}
    assert {kind: told["detection_rate"] for kind, told in evidence.context["attacks"].items()} == {
        "uniform": 1,
        "real": 0,
    }


def test_the_worst_kind_of_attack_is_the_figure_and_is_named(kit: Kit) -> None:
    rng = np.random.default_rng(8)
    attack = {"uniform": synthetic_rows(kit.model.schema, 100, rng), "real": kit.fresh.X[:100]}
    trial = try_watch(kit.profile, clean=kit.fresh, attack=attack, rng=rng, clients=5, attackers=5)
    evidence = trial.to_evidence(kit.model.digest)
    assert evidence.figures["detection_rate"].value == 0
    assert evidence.context["worst_attack"] == "real"
    assert "flags 0% of the kind that it misses most" in evidence.title
    assert any("Not every attacker was flagged" in told and "real" in told for told in evidence.caveats)
    only = try_watch(
        kit.profile, clean=kit.fresh, attack={"uniform": attack["uniform"]}, rng=rng, clients=5, attackers=5
    )
    assert only.to_evidence(kit.model.digest).figures["detection_rate"].value == 1


def test_a_trial_needs_a_row_for_each_attacker(kit: Kit) -> None:
    with pytest.raises(UsageError, match="at least 20 'odd' rows"):
        try_watch(kit.profile, clean=kit.fresh, attack={"odd": kit.fresh.X[:3]}, rng=np.random.default_rng(0))
    with pytest.raises(UsageError, match="at least one kind of attack"):
        try_watch(kit.profile, clean=kit.fresh, attack={}, rng=np.random.default_rng(0))
