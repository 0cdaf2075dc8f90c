"""Learning that withstands poisoned records, with a certificate for each answer: deep partition aggregation.

Levine and Feizi 2021, "Deep Partition Aggregation: Provable Defense against General Poisoning Attacks", ICLR,
https://arxiv.org/abs/2006.14768. The records are dealt into partitions by a hash of their own content, one model learns
from each partition alone, and the models vote. A record that is added, removed or given another label touches the one
partition that it is in, so it changes one vote at most. Where the winner is ahead by enough votes, no choice of so many
records changes the answer: theorem 1, for every attacker and every way to train.

We hash the values of a record and not its label. So a label that is altered moves nothing and costs the attacker one
record of the certificate, as in the paper's variant for label flips, and not two. A record whose values are
altered counts twice: it leaves one partition and enters another.

The price is accuracy: each model sees a small part of the records. `certify` shows it beside what it buys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from holdfast import limits
from holdfast.data import Dataset, Labels, Matrix, Schema
from holdfast.data.images import Images, Pixels
from holdfast.errors import HoldfastError, UnsupportedError, UsageError
from holdfast.models import Model, Trainer, predict

Data = TypeVar("Data", Dataset, Images)
PictureModel = Callable[[Pixels], Labels]
"""Pictures (n, height, width, channels) to the position of the class of each; it must be deterministic."""


class PictureTrainer(Protocol):
    """How a classifier of pictures is made: `Trainer`, for pictures."""

    def __call__(self, data: Images, *, seed: int) -> PictureModel:
        """Train on pictures in which every class has one. The seed decides all that is random."""
        ...


@dataclass(frozen=True)
class _Voter:
    """One partition's model: how it labels rows of any data, in the classes that its partition has."""

    present: Labels
    labels: Callable[[npt.NDArray[np.generic]], Labels] | None

    def votes(self, rows: npt.NDArray[np.generic]) -> Labels:
        """(rows,) the class that it votes for; of a partition with one class, that; of an empty one, the first."""
        if self.labels is None:
            return np.full(len(rows), self.present[0] if len(self.present) else 0, dtype=np.int64)
        return self.present[self.labels(rows)]


@dataclass(frozen=True, eq=False)
class PartitionedModel:
    """A vote of models that learned from one part of the rows each. Its probabilities are shares of the votes.

    Make one with `train_partitioned`. It keeps the contract of `holdfast.models.Model`.
    """

    schema: Schema
    voters: tuple[_Voter, ...]

    def votes(self, X: Matrix) -> Labels:
        """(rows, classes) how many models vote for each class."""
        return _count_votes(self.voters, X, len(self.schema.classes))

    def predict_proba(self, X: Matrix) -> Matrix:
        """(rows, features) in the schema's units to (rows, classes) shares of the votes."""
        return self.votes(X) / len(self.voters)


@dataclass(frozen=True, eq=False)
class PartitionedPictureModel:
    """The same for pictures. Make one with `train_partitioned_pictures`."""

    classes: tuple[str, ...]
    voters: tuple[_Voter, ...]

    def votes(self, pixels: Pixels) -> Labels:
        """(pictures, classes) how many models vote for each class."""
        return _count_votes(self.voters, pixels, len(self.classes))

    def predict_proba(self, pixels: Pixels) -> Matrix:
        """(n, height, width, channels) uint8 to (n, classes) shares of the votes."""
        return self.votes(pixels) / len(self.voters)


def train_partitioned(
    data: Dataset,
    trainer: Trainer,
    *,
    partitions: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> PartitionedModel:
    """Train one model on each partition of a table.

    The certificate holds if the trainer is deterministic: the same rows and seed, the same model. Rows reach it in an
    order that depends on nothing but themselves, and only with the classes that its partition has.

    Args:
        data: the records.
        trainer: makes each model. It is not called for a partition with fewer than two classes.
        partitions: more withstand more poison, and each model learns from less.
        seed: keys the hash that deals the records, and is the trainer's.
        progress: called with the models trained and the models in all.

    Raises:
        UsageError: `partitions` is not 1 to `limits.MAX_PARTITIONS`.
        UnsupportedError: the trainer failed; the sentence says at which partition.
    """

    def fit(part: Dataset) -> Callable[[npt.NDArray[np.generic]], Labels]:
        model: Model = trainer(part, seed=seed)
        return lambda rows: predict(model, np.asarray(rows, dtype=np.float64))

    voters = _train(data, fit, _of_present_rows, partitions=partitions, seed=seed, progress=progress)
    return PartitionedModel(data.schema, voters)


def train_partitioned_pictures(
    data: Images,
    trainer: PictureTrainer,
    *,
    partitions: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> PartitionedPictureModel:
    """The same for pictures, with a trainer whose model labels pixels.

    Raises:
        UsageError, UnsupportedError: as `train_partitioned`.
    """

    def fit(part: Images) -> Callable[[npt.NDArray[np.generic]], Labels]:
        model = trainer(part, seed=seed)
        return lambda rows: np.asarray(model(np.asarray(rows, dtype=np.uint8)), dtype=np.int64)

    voters = _train(data, fit, _of_present_pictures, partitions=partitions, seed=seed, progress=progress)
    return PartitionedPictureModel(data.classes, voters)


def _train(
    data: Data,
    fit: Callable[[Data], Callable[[npt.NDArray[np.generic]], Labels]],
    restrict: Callable[[Data, Labels], Data],
    *,
    partitions: int,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[_Voter, ...]:
    if not 1 <= partitions <= limits.MAX_PARTITIONS:
        raise UsageError(f"expected 1 to {limits.MAX_PARTITIONS} partitions, got {partitions}")
    voters = []
    for done, rows in enumerate(deal(data, partitions=partitions, seed=seed), start=1):
        part = data.take(rows)
        present = np.unique(part.y)
        try:
            voters.append(_Voter(present, fit(restrict(part, present)) if len(present) > 1 else None))
        except HoldfastError:
            raise
        except Exception as error:  # a trainer may raise anything
            sentence = f"the trainer failed at partition {done} of {partitions}: {str(error) or type(error).__name__}"
            raise UnsupportedError(sentence, hint="it gets (data, seed=…), and has to do with few rows") from error
        if progress is not None:
            progress(done, partitions)
    return tuple(voters)


def deal(data: Dataset | Images, *, partitions: int, seed: int) -> list[Labels]:
    """The rows of each partition, in an order that depends on the rows' own content and on nothing else.

    A row is dealt by a keyed hash of its values; its label has no part in it.
    """
    values = data.X.astype("<f8") if isinstance(data, Dataset) else data.pixels
    flat = np.ascontiguousarray(values).reshape(len(data), -1).view(np.uint8).reshape(len(data), -1)
    key = hashlib.sha256(f"partition {seed}".encode()).digest()
    digests = np.frombuffer(
        b"".join(hashlib.blake2b(row.data, digest_size=16, key=key).digest() for row in flat), dtype="<u8"
    ).reshape(-1, 2)
    order = np.lexsort((data.y, digests[:, 1], digests[:, 0]))
    partition = (digests[order, 0] % np.uint64(partitions)).astype(np.int64)
    return [order[partition == number] for number in range(partitions)]


def certified_radius(votes: Labels) -> tuple[Labels, Labels]:
    """(rows,) the winner of each vote, and how many records no one can choose so that another wins.

    Votes (rows, classes); of classes with equally many votes the first wins. So a class before the winner has to be
    beaten by one vote more, which it is asked for as if it had it: theorem 1, floor((n_c - n_c' - [c' < c]) / 2) for
    the strongest c'.
    """
    labels = votes.argmax(axis=1)
    rows, classes = np.arange(len(votes)), np.arange(votes.shape[1])
    rivals = votes + (classes[None, :] < labels[:, None])
    rivals[rows, labels] = -1
    radius = (votes[rows, labels] - rivals.max(axis=1)) // 2
    return labels.astype(np.int64), np.maximum(radius, 0).astype(np.int64)


def _count_votes(voters: Sequence[_Voter], rows: npt.NDArray[np.generic], classes: int) -> Labels:
    votes = np.zeros((len(rows), classes), dtype=np.int64)
    for voter in voters:
        votes[np.arange(len(rows)), voter.votes(rows)] += 1
    return votes


def _of_present_rows(data: Dataset, present: Labels) -> Dataset:
    """The same rows under a schema that knows only the classes that they have."""
    classes = tuple(data.schema.classes[label] for label in present)
    return Dataset(replace(data.schema, classes=classes), data.X, np.searchsorted(present, data.y))


def _of_present_pictures(data: Images, present: Labels) -> Images:
    classes = tuple(data.classes[label] for label in present)
    return Images(data.pixels, np.searchsorted(present, data.y), classes)
