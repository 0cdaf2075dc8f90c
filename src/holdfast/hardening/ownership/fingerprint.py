"""A fingerprint: the inputs on which a model shows which of many possible draws of records and seed it came from.

The owner draws training records and seed at random and in secret, as any split into training and test rows does, and
trains *twins* on other draws of the same records in the same way. A model that owes nothing to the owner's cannot know
which of the draws was used: to it, the owner's model is one more twin. So whatever the suspect is, and even if it was
trained on the same public records, its likeness to the owner's model has a rank among its likenesses to all of them
that is uniform or lower, and

    p = (twins that the suspect is as like, or liker) + 1, over (twins + 1)

is exact: a randomisation test over the draw. Ranking the suspect among independent models, as is common, is not:
those that one can train, on one's spare records, resemble one another more than they do a stranger's
(benches/ownership.py shows how many innocent models are claimed that way). Nor is a binomial p-value over the inputs:
whether a model agrees on two of them is not independent.

The inputs are those that the models disagree on most, and an agreement counts as much as it is rare among them. This
is the idea of inputs that only copies agree on (conferrable inputs: Lukas et al. 2021; IPGuard: Cao et al. 2021), with
dataset inference's that the owner's secret is the records (Maini et al. 2021).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NoReturn

import numpy as np

from holdfast.arguments import check_kind, is_number, is_whole
from holdfast.attacks import check_subject
from holdfast.data import Dataset, Labels, Matrix
from holdfast.errors import DataError, UsageError
from holdfast.hardening.ownership.between import rows_between
from holdfast.hardening.ownership.commitment import check_commitment, commitment_of, packed
from holdfast.hardening.ownership.result import OwnershipResult, check_level
from holdfast.hardening.ownership.suspect import Classify, Queries, ask, check_classes, classify, kept
from holdfast.models import Model, Trainer

_SALT_BYTES: Final = 32
_CANDIDATES_FOR_EACH: Final = 4
_SEEDS: Final = 2**31


@dataclass(frozen=True, kw_only=True, eq=False)
class Fingerprint:
    """Secret inputs, and the answers of the owner's model and of its twins. Made by `choose_fingerprint`.

    Args:
        queries: (n, …) the inputs.
        answers: (1 + twins, n) the classes that the models give; the owner's first.
        classes: of the model.
        salt: 32 bytes, so that the commitment tells nothing.
    """

    queries: Queries = field(repr=False)
    answers: Labels = field(repr=False)
    classes: int
    salt: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what does not fit together, or was never kept so."""
        queries, answers = kept(self.queries), np.asarray(self.answers)
        if answers.ndim != 2 or len(answers) < 2 or answers.shape[1] != len(queries) or answers.dtype.kind not in "iu":
            raise UsageError(
                f"expected the classes that two models or more give {len(queries)} queries, got {answers.shape}"
            )
        check_classes(self.classes)
        if not 0 <= answers.min() <= answers.max() < self.classes:
            raise UsageError(f"expected answers from 0 to {self.classes - 1}, got others")
        if not isinstance(self.salt, bytes) or len(self.salt) != _SALT_BYTES:
            raise UsageError(f"expected a salt of {_SALT_BYTES} bytes, got another")
        object.__setattr__(self, "queries", queries)
        object.__setattr__(self, "answers", answers.astype(np.int64))

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: the secret would leave with it."""
        raise UsageError("a fingerprint holds a secret and is not pickled", hint="keep it in a file by save_key")

    @cached_property
    def commitment(self) -> str:
        """What to publish, dated, before any suspect is known."""
        return commitment_of(self.to_json())

    @cached_property
    def weights(self) -> Matrix:
        """(1 + twins, n) what an agreement with each answer counts: minus the log of its share among the models."""
        same = self.answers[:, None, :] == self.answers[None, :, :]
        return -np.asarray(np.log(same.mean(axis=1)))

    def likeness(self, said: Labels) -> Matrix:
        """(1 + twins,) how like each of the models someone is who gives the queries these classes (n,)."""
        return np.asarray(((self.answers == said) * self.weights).sum(axis=1) / self.weights.sum(axis=1).clip(1e-12))

    def verify(self, suspect: Classify, *, commitment: str, alpha: float = 0.01) -> OwnershipResult:
        """Ask a suspect the secret queries, and rank its likeness to the owner's model.

        Args:
            suspect: the model, only asked.
            commitment: what was published.
            alpha: the largest p-value at which a claim is made; no p-value is below 1 / (1 + twins).

        Raises:
            IntegrityError: the commitment is to something else.
            UnsupportedError: the suspect's answers are no classes.
            UsageError: the level is none.
        """
        check_commitment(commitment, self.commitment)
        check_level(alpha)
        said = ask(suspect, self.queries, self.classes)
        alike = self.likeness(said)
        twins = len(alike) - 1
        return OwnershipResult(
            method="fingerprint",
            commitment=commitment,
            queries=len(self.queries),
            matches=int(np.sum(said == self.answers[0])),
            p_value=float(np.sum(alike >= alike[0]) / (1 + twins)),
            alpha=alpha,
            null=f"to it, the owner's model is one more of {twins} twins, made by other draws of records and seed",
        )

    def to_json(self) -> dict[str, Any]:
        """The secret as JSON, for its key file."""
        return {
            "kind": "fingerprint",
            "classes": self.classes,
            "queries": packed(self.queries),
            "answers": self.answers.tolist(),
            "salt": self.salt.hex(),
        }


def choose_fingerprint(
    model: Classify, twins: Sequence[Classify], candidates: Queries, *, classes: int, queries: int = 1_000
) -> Fingerprint:
    """Choose the inputs that the owner's model and its twins disagree on most; for tables and pictures alike.

    The p-values are exact if owner's model and twins are made in the same way, each by a random draw of its own, and
    the candidates do not depend on which is the owner's.

    Args:
        model: the owner's.
        twins: 99 allow p = 0.01.
        candidates: (m, …) inputs to choose from, such as `pictures_between` and `rows_between` give.
        classes: of the model.
        queries: chosen.

    Raises:
        UsageError: an argument of another kind, no twin, or fewer candidates than queries.
        UnsupportedError: the answers of one of them are no classes.
    """
    if not twins:
        raise UsageError("expected at least one twin to compare the model with, got none")
    check_classes(classes)
    candidates = kept(candidates)
    if not is_whole(queries) or not 1 <= queries <= len(candidates):
        raise UsageError(f"expected 1 to {len(candidates)} queries, as many as candidates, got {queries!r}")
    answers = np.array([ask(each, candidates, classes) for each in (model, *twins)])
    given = np.array([(answers == label).mean(axis=0) for label in range(classes)])
    chosen = np.argsort((given**2).sum(axis=0), kind="stable")[:queries]  # the chance that two of them agree
    return Fingerprint(
        queries=candidates[chosen], answers=answers[:, chosen], classes=classes, salt=secrets.token_bytes(_SALT_BYTES)
    )


def fingerprint_model(
    model: Model,
    records: Dataset,
    *,
    trainer: Trainer,
    test_fraction: float,
    rng: np.random.Generator,
    twins: int = 99,
    queries: int = 1_000,
    progress: Callable[[int, int], None] | None = None,
) -> Fingerprint:
    """Fingerprint a model of tables that was trained on one side of a secret split of the records.

    The model must have been made as its twins are: `trainer(records.split(test_fraction=…, seed=…)[0], seed=…)` with
    seeds that nobody else knows. A published split, or seed 0 where others would take it too, proves nothing.

    Args:
        model: the owner's.
        records: that were split, all of them.
        trainer: how the model was trained.
        test_fraction: of the split.
        rng: draws the twins' splits and seeds, and the candidates; another one than drew the model's.
        twins: how many; 99 allow p = 0.01.
        queries: chosen.
        progress: called with (twins trained, twins).

    Raises:
        DataError: the records do not fit the model, or are of one class.
        UsageError: an argument of another kind, no twin, or no query.
    """
    check_kind("records", records, Dataset, example="load(frame, schema)")
    check_kind("rng", rng, np.random.Generator, example="np.random.default_rng()")
    if not callable(trainer):
        raise UsageError(f"expected a trainer, called as trainer(data, seed=…), got {type(trainer).__name__}")
    if not is_number(test_fraction) or not 0 < test_fraction < 1:
        raise UsageError(f"expected test_fraction between 0 and 1, got {test_fraction!r}")
    if not is_whole(twins) or twins < 1:
        raise UsageError(f"expected at least one twin to compare the model with, got {twins!r}")
    if not is_whole(queries) or queries < 1:
        raise UsageError(f"expected at least one query, got {queries!r}")
    check_subject(model, records, at_least=4)
    if len(np.unique(records.y)) < 2:
        raise DataError("expected records of two classes or more to fingerprint a model with, got one class")
    made: list[Classify] = []
    for number in range(twins):
        learned, _ = records.split(test_fraction=test_fraction, seed=int(rng.integers(_SEEDS)))
        made.append(classify(trainer(learned, seed=int(rng.integers(_SEEDS)))))
        if progress is not None:
            progress(number + 1, twins)
    candidates = rows_between(records, n=_CANDIDATES_FOR_EACH * queries, rng=rng)
    return choose_fingerprint(classify(model), made, candidates, classes=len(model.schema.classes), queries=queries)
