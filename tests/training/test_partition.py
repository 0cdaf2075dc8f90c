"""Deep partition aggregation: no poison within a certificate changes an answer, and some just beyond it does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from holdfast.data import Dataset, Feature, Labels, Matrix, Schema
from holdfast.data.images import Images
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.evidence import Evidence
from holdfast.models import Model, fit_estimator, predict
from holdfast.training.partitions.certificate import PoisonCertificate, certify, certify_pictures
from holdfast.training.partitions.train import (
    PartitionedModel,
    certified_radius,
    deal,
    train_partitioned,
    train_partitioned_pictures,
)

DIGITS = Schema(
    features=(Feature(name="a", kind="integer", low=0, high=99),), target="y", classes=("red", "green", "blue")
)


@dataclass(frozen=True)
class Nearest:
    """One nearest neighbour: as easily poisoned as a model can be."""

    data: Dataset

    @property
    def schema(self) -> Schema:
        return self.data.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        distances = np.abs(X[:, None, 0] - self.data.X[None, :, 0])
        return np.eye(len(self.schema.classes))[self.data.y[distances.argmin(axis=1)]]


def nearest(data: Dataset, *, seed: int) -> Model:
    del seed
    return Nearest(data)


def table(values: list[int], labels: list[int]) -> Dataset:
    return Dataset(DIGITS, np.array(values, dtype=np.float64)[:, None], np.array(labels, dtype=np.int64))


def poisoned(data: Dataset, records: int) -> Iterator[Dataset]:
    """Every way to remove, relabel or add up to so many records, the values added being a few."""
    actions = [("remove", row, 0) for row in range(len(data))]
    actions += [("relabel", row, label) for row in range(len(data)) for label in range(3) if label != data.y[row]]
    actions += [("add", value, label) for value in (5, 50, 95) for label in range(3)]
    for chosen in combinations(actions, records):
        rows = {action[1] for action in chosen if action[0] != "add"}
        if len(rows) < sum(action[0] != "add" for action in chosen):
            continue  # one record cannot be removed and relabelled
        y = data.y.copy()
        for kind, row, label in chosen:
            if kind == "relabel":
                y[row] = label
        kept = [row for row in range(len(data)) if ("remove", row, 0) not in chosen]
        added = [(value, label) for kind, value, label in chosen if kind == "add"]
        values = [*data.X[kept, 0].astype(int).tolist(), *(value for value, _ in added)]
        yield table(values, [*y[kept].tolist(), *(label for _, label in added)])


@pytest.mark.parametrize(
    ("partitions", "rows", "width", "records", "seed"), [(5, 14, 34, 1, 0), (7, 14, 34, 1, 1), (5, 20, 50, 2, 2)]
)
def test_no_poison_within_the_certificate_changes_an_answer(
    partitions: int, rows: int, width: int, records: int, seed: int
) -> None:
    """Every choice of that many records is tried."""
    rng = np.random.default_rng(seed)
    values = rng.choice(100, rows, replace=False)
    data = table(values.tolist(), (values // width).tolist())
    asked = np.arange(0, 100, 5, dtype=np.float64)[:, None]
    labels, radii = certified_radius(train_partitioned(data, nearest, partitions=partitions, seed=seed).votes(asked))
    safe = radii >= records
    assert safe.any(), "or nothing would be tested"
    changed = np.zeros(len(asked), dtype=bool)
    tried = 0
    for other in poisoned(data, records):
        model = train_partitioned(other, nearest, partitions=partitions, seed=seed)
        changed |= predict(model, asked) != labels
        tried += 1
    assert tried > 40
    assert not (changed & safe).any()
    assert (changed & ~safe).any(), "the attack does change answers that are not certified"


@settings(max_examples=200)
@given(st.lists(st.lists(st.integers(0, 6), min_size=3, max_size=4), min_size=1, max_size=1))
def test_the_radius_is_the_most_votes_that_can_move_without_another_winner(rows: list[list[int]]) -> None:
    votes = np.array(rows, dtype=np.int64)
    labels, radii = certified_radius(votes)
    winner = int(labels[0])

    def beaten(moved: int) -> bool:
        for rival in range(votes.shape[1]):
            after = votes[0].copy()
            taken = min(moved, int(after[winner])) if rival != winner else 0
            after[winner] -= taken
            after[rival] += taken
            if after.argmax() != winner:
                return True
        return False

    if votes[0].sum() > 0 and beaten(int(votes[0, winner])):
        assert not beaten(int(radii[0]))
        assert beaten(int(radii[0]) + 1)


def test_one_record_beyond_the_certificate_is_enough() -> None:
    """Partitions of one record each, all red: the certificate is tight."""
    partitions, seed = 5, 0
    by_partition = deal(table(list(range(100)), [0] * 100), partitions=partitions, seed=seed)
    values = [int(rows[0]) for rows in by_partition]
    data = table(values, [0] * 5)
    asked = np.array([[50.0]])
    labels, radii = certified_radius(train_partitioned(data, nearest, partitions=partitions, seed=seed).votes(asked))
    assert (labels.tolist(), radii.tolist()) == ([0], [2])
    for count, answer in ((2, 0), (3, 1)):
        relabelled = table(values, [1] * count + [0] * (5 - count))
        model = train_partitioned(relabelled, nearest, partitions=partitions, seed=seed)
        assert predict(model, asked)[0] == answer


class TestDealing:
    def test_a_record_that_joins_or_leaves_moves_no_other(self, tumour: Dataset) -> None:
        def where(data: Dataset) -> dict[bytes, int]:
            parts = deal(data, partitions=20, seed=3)
            return {data.X[row].tobytes(): number for number, rows in enumerate(parts) for row in rows}

        whole = where(tumour)
        fewer = where(tumour.take(np.arange(100, 569)))
        assert all(whole[key] == number for key, number in fewer.items())

    def test_a_label_has_no_part_in_it(self, tumour: Dataset) -> None:
        flipped = Dataset(tumour.schema, tumour.X, 1 - tumour.y)
        for before, after in zip(deal(tumour, partitions=9, seed=0), deal(flipped, partitions=9, seed=0), strict=True):
            assert before.tolist() == after.tolist()

    def test_the_order_of_the_table_does_not_matter(self, tumour: Dataset) -> None:
        mixed = tumour.take(np.random.default_rng(0).permutation(569))
        for a, b in zip(deal(tumour, partitions=9, seed=0), deal(mixed, partitions=9, seed=0), strict=True):
            assert tumour.X[a].tobytes() == mixed.X[b].tobytes()

    def test_every_record_is_dealt_once_and_evenly(self, tumour: Dataset) -> None:
        parts = deal(tumour, partitions=10, seed=1)
        assert sorted(np.concatenate(parts).tolist()) == list(range(569))
        assert max(map(len, parts)) < 90, "56.9 on average, and the deviation of a binomial is 7"

    def test_another_seed_deals_otherwise(self, tumour: Dataset) -> None:
        one, two = (deal(tumour, partitions=2, seed=seed)[0].tolist() for seed in (0, 1))
        assert set(one) != set(two)


@pytest.fixture(scope="module")
def parts(tumour: Dataset) -> tuple[Dataset, Dataset]:
    return tumour.split(test_fraction=0.3, seed=0)


@pytest.fixture(scope="module")
def ensemble(parts: tuple[Dataset, Dataset]) -> PartitionedModel:
    return train_partitioned(parts[0], logistic, partitions=15, seed=0)


def logistic(data: Dataset, *, seed: int) -> Model:
    del seed
    return fit_estimator(LogisticRegression(max_iter=500), data)


class TestEnsemble:
    def test_it_keeps_the_contract_of_a_model(self, ensemble: PartitionedModel, parts: tuple[Dataset, Dataset]) -> None:
        X = parts[1].X
        P = ensemble.predict_proba(X)
        assert isinstance(ensemble, Model)
        assert P.dtype == np.float64
        assert np.abs(P.sum(axis=1) - 1).max() < 1e-12
        assert (ensemble.predict_proba(X) == P).all()
        assert (ensemble.predict_proba(X[::-1]) == P[::-1]).all()
        assert ensemble.predict_proba(X[:0]).shape == (0, 2)

    def test_it_is_certified_at_little_cost(self, ensemble: PartitionedModel, parts: tuple[Dataset, Dataset]) -> None:
        certificate = certify(ensemble, parts[1], plain=logistic(parts[0], seed=0))
        assert certificate.plain_accuracy is not None
        assert certificate.certified_accuracy(0).value > certificate.plain_accuracy - 0.1
        assert certificate.certified_accuracy(3).value > 0.8
        assert certificate.median_radius >= 6
        curve = certificate.curve()
        assert curve[0] == (0, certificate.certified_accuracy(0).value)
        assert curve[-1][1] == 0.0
        assert [share for _, share in curve] == sorted((share for _, share in curve), reverse=True)

    def test_real_poison_within_the_certificate_changes_no_answer(
        self, ensemble: PartitionedModel, parts: tuple[Dataset, Dataset]
    ) -> None:
        train, test = parts
        labels, radii = certified_radius(ensemble.votes(test.X))
        y = train.y.copy()
        y[np.random.default_rng(0).choice(len(y), 5, replace=False)] ^= 1
        again = train_partitioned(Dataset(train.schema, train.X, y), logistic, partitions=15, seed=0)
        assert (predict(again, test.X) == labels)[radii >= 5].all()

    def test_evidence_says_what_is_bought_and_what_it_costs(
        self, ensemble: PartitionedModel, parts: tuple[Dataset, Dataset]
    ) -> None:
        item = certify(ensemble, parts[1], plain=logistic(parts[0], seed=0)).to_evidence("sha256:" + "0" * 64)
        assert item.kind == "poison-certificate"
        assert item.figures["certified_accuracy_one_record"].bound == "lower"
        assert item.figures["cost"].value == pytest.approx(
            item.figures["accuracy_of_one_model"].value - item.figures["accuracy"].value
        )
        assert Evidence.from_json(json.loads(json.dumps(item.to_json()))).digest == item.digest

    def test_progress_is_told(self) -> None:
        told: list[tuple[int, int]] = []
        train_partitioned(
            table([1, 2, 3], [0, 1, 2]), nearest, partitions=3, seed=0, progress=lambda *step: told.append(step)
        )
        assert told == [(1, 3), (2, 3), (3, 3)]


def test_partitions_that_are_empty_or_of_one_class_vote_without_being_trained() -> None:
    def refuses(data: Dataset, *, seed: int) -> Model:
        raise AssertionError(f"called with {len(data)} rows, seed {seed}")

    model = train_partitioned(table([1], [2]), refuses, partitions=4, seed=0)
    assert sorted(model.votes(np.array([[0.0]]))[0].tolist()) == [0, 1, 3]


def test_a_trainer_sees_only_classes_that_have_rows() -> None:
    seen: list[tuple[str, ...]] = []

    def watch(data: Dataset, *, seed: int) -> Model:
        seen.append(data.schema.classes)
        return nearest(data, seed=seed)

    data = table([1, 2, 40, 50], [0, 2, 0, 2])
    model = train_partitioned(data, watch, partitions=1, seed=0)
    assert seen == [("red", "blue")]
    assert predict(model, data.X).tolist() == [0, 2, 0, 2]


@pytest.mark.parametrize("partitions", [0, -1, 10_001])
def test_a_number_of_partitions_that_means_nothing_is_refused(partitions: int) -> None:
    with pytest.raises(UsageError, match="expected 1 to 10000 partitions"):
        train_partitioned(table([1, 2], [0, 1]), nearest, partitions=partitions, seed=0)


def test_a_negative_number_of_records_is_refused() -> None:
    zeros: Labels = np.zeros(2, dtype=np.int64)
    with pytest.raises(UsageError, match="poisoned records from 0, got -1"):
        PoisonCertificate(partitions=1, y=zeros, labels=zeros, radii=zeros).certified_accuracy(-1)


def test_pictures_are_certified_and_poison_within_the_certificate_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    pixels = rng.integers(0, 120, (120, 4, 4, 1)) + 100 * y[:, None, None, None]
    images = Images.of(pixels.astype(np.uint8), y)

    def brightness(data: Images, *, seed: int) -> object:
        del seed
        means = data.pixels.reshape(len(data), -1).mean(axis=1)
        threshold = (means[data.y == 0].mean() + means[data.y == 1].mean()) / 2
        return lambda asked: (asked.reshape(len(asked), -1).mean(axis=1) > threshold).astype(np.int64)

    model = train_partitioned_pictures(images, brightness, partitions=9, seed=0)
    certificate = certify_pictures(model, images, plain=brightness(images, seed=0))
    assert certificate.certified_accuracy(2).value > 0.9
    labels, radii = certified_radius(model.votes(images.pixels))
    for rows in product(range(0, 120, 40), range(1, 120, 40)):
        flipped = images.y.copy()
        flipped[list(rows)] ^= 1
        again = train_partitioned_pictures(
            Images(images.pixels, flipped, images.classes), brightness, partitions=9, seed=0
        )
        assert (again.predict_proba(images.pixels).argmax(axis=1) == labels)[radii >= 2].all()


def test_a_trainer_that_fails_is_named_with_its_partition() -> None:
    def failing(data: Dataset, *, seed: int) -> Model:
        raise ValueError("too few rows")

    with pytest.raises(UnsupportedError, match="failed at partition 1 of 1: too few rows"):
        train_partitioned(table([1, 2], [0, 1]), failing, partitions=1, seed=0)


def test_no_row_to_certify_is_refused() -> None:
    data = table([1, 2], [0, 1])
    model = train_partitioned(data, nearest, partitions=1, seed=0)
    with pytest.raises(DataError, match="at least one row"):
        certify(model, data.take(np.arange(0)), plain=nearest(data, seed=0))


@pytest.mark.parametrize(
    ("radius", "says"),
    [(2, "whatever 2 training records are"), (1, "whatever one training record is"), (0, "Fewer than half")],
)
def test_the_title_says_how_many_records_half_of_the_answers_withstand(radius: int, says: str) -> None:
    zeros: Labels = np.zeros(2, dtype=np.int64)
    certificate = PoisonCertificate(partitions=9, y=zeros, labels=zeros, radii=zeros + radius)
    assert says in certificate.to_evidence("sha256:" + "0" * 64).title
