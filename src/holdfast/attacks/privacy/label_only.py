"""Membership of records in a model that answers with labels alone, such as a service that shows no probabilities.

Choquette-Choo, Tramèr, Carlini, Papernot: Label-Only Membership Inference Attacks, ICML 2021. Training pushes the
decision boundary away from the records, so a member keeps its label under more noise; a record that is labelled
wrongly counts as lying on the boundary. The attacker pays for each question, and may be refused at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from holdfast.attacks.privacy.attack import best_threshold
from holdfast.attacks.privacy.labels import AskLabels, CountedLabels, add_noise, labels_of
from holdfast.attacks.privacy.membership_result import MembershipResult, membership_result
from holdfast.attacks.privacy.shadows import MIN_SHADOWS, Flags, shadow_split
from holdfast.data import Dataset, Labels, Matrix
from holdfast.errors import AccessError, DataError, SystemFault, UsageError
from holdfast.models import Trainer

_STRENGTHS: Final = (0.02, 0.05, 0.1, 0.2, 0.4)
"""See `add_noise`. They span what moves hardly a row over the boundary, and what moves most."""
_TOGETHER: Final = 20
"""Records asked about at a time: fewer make more round trips, more are lost when a service refuses."""
_CALIBRATION_RECORDS: Final = 500
"""Records, of each model of the attacker's own, that the threshold is chosen on."""
_SEEDS: Final = 2**31


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelOnlyResult:
    """What labels alone gave away.

    Args:
        membership: of the records reached, members first; None where not one of each kind was.
        rows: (records reached,) where they are in members followed by non-members.
        queries: rows that were asked about.
        stopped: what ended the attack early, in the words of who did; "" where nothing did.
    """

    membership: MembershipResult | None
    rows: Labels = field(repr=False)
    queries: int
    stopped: str


def label_only(
    ask: AskLabels,
    *,
    members: Dataset,
    non_members: Dataset,
    trainer: Trainer | None = None,
    max_queries: int,
    copies: int = 10,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None = None,
) -> LabelOnlyResult:
    """Tell members by how much noise their labels withstand.

    Each record is asked about once, and where its label is right, in noisy copies of five strengths. Members and
    non-members come mixed, so that an attack that is stopped has seen both.

    Args:
        ask: the target: `labels_of` a model, or `named_labels` of a service.
        members: records that it was trained on.
        non_members: records of the same population that it was not trained on.
        trainer: the way it was trained: four models of the attacker's own give the threshold, at no query to the
            target. Without it every record that is labelled rightly is called a member (the gap attack).
        max_queries: rows that may be asked about in all.
        copies: of a record at each strength, at least 1.
        rng: for the noise, the order of the records, and the attacker's models.
        progress: called with (records reached, records).

    Raises:
        DataError: different schemas, no record on a side, or, with a trainer, a class with a single record.
        UsageError: a number that means nothing.
        UnsupportedError: an answer is not one class for each row.
    """
    if max_queries < 1 or copies < 1:
        raise UsageError(f"expected max_queries and copies of 1 or more, got {max_queries} and {copies}")
    if members.schema != non_members.schema:
        raise DataError("members and non-members have different schemas", hint="load both with the model's schema")
    if not (len(members) and len(non_members)):
        raise DataError("expected members and non-members, got one kind only")
    pool = Dataset(members.schema, np.vstack([members.X, non_members.X]), np.concatenate([members.y, non_members.y]))
    threshold = 0.0 if trainer is None else _own_threshold(pool, trainer, copies, rng)
    order = rng.permutation(len(pool))
    counted = CountedLabels(ask, pool.schema)
    scores, stopped = _ask_all(counted, pool.take(order), max_queries, copies, rng, progress)
    reached = order[: len(scores)]
    front = np.argsort(reached, kind="stable")
    rows = reached[front]
    return LabelOnlyResult(
        membership=_membership(scores[front], rows < len(members), threshold, trainer),
        rows=rows,
        queries=counted.queries,
        stopped=stopped,
    )


def _ask_all(
    ask: CountedLabels,
    data: Dataset,
    max_queries: int,
    copies: int,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None,
) -> tuple[Matrix, str]:
    """Scores of the records that were reached, and what stopped it."""
    most, scores = 1 + copies * len(_STRENGTHS), [np.empty(0)]
    start = 0
    while start < len(data):
        together = min(_TOGETHER, (max_queries - ask.queries) // most)
        if together == 0:
            return np.concatenate(
                scores
            ), f"the next record may take {most} of {max_queries} queries, and fewer are left"
        part = data.take(np.arange(start, min(start + together, len(data))))
        try:
            scores.append(_endurance(ask, part, copies, rng))
        except (AccessError, SystemFault) as error:
            return np.concatenate(scores), str(error)
        start += len(part)
        if progress is not None:
            progress(start, len(data))
    return np.concatenate(scores), ""


def _endurance(ask: AskLabels, data: Dataset, copies: int, rng: np.random.Generator) -> Matrix:
    """(records,) the share of answers that are the record's class; 0 where the first one is not."""
    right = ask(data.X) == data.y
    scores = np.zeros(len(data))
    if right.any():
        kept = data.take(right)
        noisy = [
            add_noise(np.repeat(kept.X, copies, axis=0), data.schema, strength=strength, rng=rng)
            for strength in _STRENGTHS
        ]
        answers = ask(np.vstack(noisy)).reshape(len(_STRENGTHS), len(kept), copies)
        same = (answers == kept.y[None, :, None]).sum(axis=(0, 2))
        scores[right] = (1 + same) / (1 + copies * len(_STRENGTHS))
    return scores


def _own_threshold(pool: Dataset, trainer: Trainer, copies: int, rng: np.random.Generator) -> float:
    """The threshold that tells the members of a few models of the attacker's own best."""
    scores: list[Matrix] = []
    flags: list[Flags] = []
    for members in shadow_split(pool.y, MIN_SHADOWS, share=0.5, rng=rng):
        model = trainer(pool.take(members), seed=int(rng.integers(_SEEDS)))
        asked = rng.permutation(len(pool))[:_CALIBRATION_RECORDS]
        scores.append(_endurance(labels_of(model), pool.take(asked), copies, rng))
        flags.append(members[asked])
    return best_threshold(np.concatenate(scores), np.concatenate(flags))


def _membership(scores: Matrix, member: Flags, threshold: float, trainer: Trainer | None) -> MembershipResult | None:
    if member.all() or not member.any():
        return None
    return membership_result(
        scores,
        member,
        attack="noise on labels alone",
        unit="",
        threshold=threshold,
        n_shadows=0 if trainer is None else MIN_SHADOWS,
    )
