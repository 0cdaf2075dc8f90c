"""Membership inference by likelihood ratio: can someone tell who was in the training data?

LiRA (Carlini, Chien, Nasr, Song, Terzis, Tramèr: Membership Inference Attacks From First Principles, IEEE S&P 2022,
algorithm 1, online). Shadow models are trained with and without each record; the target's confidence in the record's
true class is then compared under the two Gaussians that the shadows show. The attacker is strong: it knows the
records, their labels and the way of training, but of the target it only sees the probabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.attacks import references
from holdfast.attacks.oracle import Oracle, check_subject
from holdfast.attacks.stats import auc, difference, tpr_at_fpr, worst_difference
from holdfast.data import Dataset, Labels, Matrix
from holdfast.errors import DataError, UsageError
from holdfast.evidence import Evidence, Figure
from holdfast.models import Model, Trainer

_MIN_SHADOWS: Final = 4
_PER_RECORD_FROM: Final = 64
"""Shadows on either side from which each record has a variance of its own (Carlini et al. 2022, section VI.B)."""
_LEAST_PROBABILITY: Final = 1e-12
_LEAST_VARIANCE: Final = 1e-6
_SEEDS: Final = 2**31


@dataclass(frozen=True, kw_only=True, eq=False)
class MembershipResult:
    """How well membership could be told.

    Args:
        scores: (members + non-members,) log-likelihood ratio of each record, in nats; above 0 the attack says member.
        member: (members + non-members,) whether the record was one.
        n_shadows: shadow models trained.
        advantage: TPR - FPR at the threshold 0, fixed beforehand, hence without selection.
        auc: chance that a member scores above a non-member.
        tpr_at_1pct_fpr, tpr_at_01pct_fpr: share of members found at 1 % and 0.1 % false positives.
        worst_advantage: TPR - FPR at the best threshold in hindsight; flatters the attacker.

    All but the last are lower bounds on what an attacker can do: there may be better attacks.
    """

    scores: Matrix
    member: npt.NDArray[np.bool_]
    n_shadows: int
    advantage: Figure
    auc: Figure
    tpr_at_1pct_fpr: Figure
    tpr_at_01pct_fpr: Figure
    worst_advantage: Figure

    def riskiest(self, count: int = 10) -> Labels:
        """(count,) positions of the members that give themselves away most, the worst first."""
        members = np.flatnonzero(self.member)
        return members[np.argsort(-self.scores[members], kind="stable")[:count]]

    def to_evidence(self, model_digest: str) -> Evidence:
        """The result as evidence about the model with this digest."""
        members = int(self.member.sum())
        return Evidence(
            kind="membership-inference",
            subject=model_digest,
            subject_kind="model",
            title=_title(self.advantage),
            figures={
                "advantage": self.advantage,
                "auc": self.auc,
                "tpr_at_1pct_fpr": self.tpr_at_1pct_fpr,
                "tpr_at_01pct_fpr": self.tpr_at_01pct_fpr,
                "worst_advantage": self.worst_advantage,
                "max_score": Figure(value=float(self.scores[self.member].max()), unit="nats"),
            },
            samples={"score": self.scores.tolist(), "member": self.member.tolist()},
            context={
                "attack": "LiRA, online",
                "n_shadows": self.n_shadows,
                "members": members,
                "non_members": len(self.member) - members,
                "riskiest_members": self.riskiest().tolist(),
            },
            references=references.MEMBERSHIP,
            caveats=(
                "An attack shows what can be inferred at least; a better attack may infer more.",
                "The worst advantage takes the best threshold in hindsight and so flatters the attacker.",
                "Shadow models were trained on the records, so no privacy guarantee covers these figures.",
            ),
        )


def _title(advantage: Figure) -> str:
    measured = f"an advantage of {advantage.value:.1%}"
    if advantage.low is not None and advantage.low > 0:
        return f"Someone who guesses membership of a record by LiRA does better than chance: {measured}"
    return f"LiRA was not seen to guess membership of a record better than chance: {measured}"


def membership_inference(
    model: Model,
    *,
    members: Dataset,
    non_members: Dataset,
    trainer: Trainer,
    n_shadows: int = 32,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None = None,
) -> MembershipResult:
    """Try to tell the records that a model was trained on from those it was not.

    Args:
        model: the target, asked for probabilities only.
        members: the records it was trained on.
        non_members: records of the same population that it was not trained on.
        trainer: the way it was trained, for the shadow models.
        n_shadows: at least 4; with more the attack is stronger.
        rng: decides which records each shadow sees, and the shadows' seeds.
        progress: called with (shadows trained, shadows) after each.

    Raises:
        DataError: fewer than two records on a side, a single record of a class, or another schema.
        UsageError: fewer than 4 shadows.
        UnsupportedError: the answers are not probabilities, or differ from one time to the next.
    """
    if n_shadows < _MIN_SHADOWS:
        raise UsageError(f"membership inference needs at least {_MIN_SHADOWS} shadow models, got {n_shadows}")
    for part in (members, non_members):
        check_subject(model, part, at_least=2)
    pool = Dataset(members.schema, np.vstack([members.X, non_members.X]), np.concatenate([members.y, non_members.y]))
    member = np.arange(len(pool)) < len(members)
    target = Oracle(model)
    target.check_repeatable(pool.X)
    inside = shadow_split(pool.y, n_shadows, share=len(members) / len(pool), rng=rng)
    confidence = np.empty((n_shadows, len(pool)))
    for shadow in range(n_shadows):
        trained = trainer(pool.take(inside[shadow]), seed=int(rng.integers(_SEEDS)))
        confidence[shadow] = _true_class_logit(Oracle(trained), pool)
        if progress is not None:
            progress(shadow + 1, n_shadows)
    scores = likelihood_ratios(_true_class_logit(target, pool), confidence, inside)
    return _result(scores, member, n_shadows)


def shadow_split(y: Labels, n_shadows: int, *, share: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """(shadows, records) which records each shadow is trained on, for records with these labels.

    Every record is in the same number of shadows: `share` of them, so that shadows are about as large as the target's
    training set, but never less than a quarter or more than three quarters, so that both Gaussians rest on enough.
    Every shadow has a record of every class, without which it could not be trained: a few records of each class, drawn
    at random, share the shadows out among them. Those of a class with two or three records are in more shadows for it.

    Raises:
        DataError: a class with one record, which cannot be both in every shadow and outside of some.
    """
    count = round(min(max(share, 0.25), 0.75) * n_shadows)
    inside = rng.random((n_shadows, len(y))).argsort(axis=0) < count
    for label in np.unique(y):
        records = rng.permutation(np.flatnonzero(y == label))
        if len(records) < 2:
            raise DataError("expected 2 or more records of each class to tell members by, got 1 of a class")
        each = max(count, -(-n_shadows // len(records)))
        few = records[: -(-n_shadows // each)]
        turn = rng.permutation(n_shadows)[:, None] - each * np.arange(len(few))
        inside[:, few] = turn % n_shadows < each
    return inside


def likelihood_ratios(target: Matrix, shadows: Matrix, inside: npt.NDArray[np.bool_]) -> Matrix:
    """The log of p(confidence | member) / p(confidence | not a member), per record, in nats.

    Args:
        target: (records,) logit-scaled confidence of the target in the true class.
        shadows: (shadows, records) the same of each shadow.
        inside: (shadows, records) whether the shadow was trained on the record.
    """
    return _log_density(target, shadows, inside) - _log_density(target, shadows, ~inside)


def _log_density(target: Matrix, shadows: Matrix, chosen: npt.NDArray[np.bool_]) -> Matrix:
    """The log density of the target's confidence under the Gaussian of the chosen shadows, up to a constant."""
    count = chosen.sum(axis=0)
    mean = np.where(chosen, shadows, 0.0).sum(axis=0) / count
    squares = np.where(chosen, (shadows - mean) ** 2, 0.0).sum(axis=0)
    variance = squares / (count - 1)
    if count.min() < _PER_RECORD_FROM:
        variance = np.full(len(target), squares.sum() / (count - 1).sum())
    variance = np.maximum(variance, _LEAST_VARIANCE)
    return np.asarray(-0.5 * np.log(variance) - (target - mean) ** 2 / (2 * variance), dtype=np.float64)


def _true_class_logit(oracle: Oracle, data: Dataset) -> Matrix:
    """log(p / (1 - p)) of the true class's probability; 1 - p as the sum of the others, which keeps its digits."""
    P = oracle.predict_proba(data.X)
    rows = np.arange(len(data))
    own = P[rows, data.y].copy()
    P[rows, data.y] = 0.0
    own, others = np.maximum(own, _LEAST_PROBABILITY), np.maximum(P.sum(axis=1), _LEAST_PROBABILITY)
    return np.asarray(np.log(own) - np.log(others), dtype=np.float64)


def _result(scores: Matrix, member: npt.NDArray[np.bool_], n_shadows: int) -> MembershipResult:
    ins, outs = scores[member], scores[~member]
    return MembershipResult(
        scores=scores,
        member=member,
        n_shadows=n_shadows,
        advantage=difference(ins > 0, outs > 0, bound="lower"),
        auc=auc(ins, outs, bound="lower"),
        tpr_at_1pct_fpr=tpr_at_fpr(ins, outs, fpr=0.01, bound="lower"),
        tpr_at_01pct_fpr=tpr_at_fpr(ins, outs, fpr=0.001, bound="lower"),
        worst_advantage=Figure(value=worst_difference(ins, outs)),
    )
