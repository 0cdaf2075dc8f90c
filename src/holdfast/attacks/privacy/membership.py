"""Membership inference: can someone tell who was in the training data?

    members, non-members ── train_shadows ──> Shadows ─┐
    target ── asked about all of them ──> logits ──────┴─> MembershipTest ── run(attack) ──> MembershipResult

The attacker is strong: it knows the records, their classes and the way of training, but of the target it only sees
the probabilities. Shadows are the costly part, so one set of them serves every attack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from holdfast.attacks.oracle import Oracle, check_subject
from holdfast.attacks.privacy.attack import Attack
from holdfast.attacks.privacy.lira import LIRA, LIRA_OFFLINE
from holdfast.attacks.privacy.loss_attack import LOSS
from holdfast.attacks.privacy.membership_result import MembershipResult, membership_result
from holdfast.attacks.privacy.rmia import RMIA, RMIA_OFFLINE
from holdfast.attacks.privacy.scores import own_class_logit
from holdfast.attacks.privacy.shadow_training import train_shadows
from holdfast.attacks.privacy.shadows import Flags, Shadows
from holdfast.data import Dataset, Matrix
from holdfast.errors import DataError, UsageError
from holdfast.models import Model, Trainer

ATTACKS: Final = (LIRA, LIRA_OFFLINE, RMIA, RMIA_OFFLINE, LOSS)
"""What `MembershipTest.run` can be given; the offline ones look at no shadow that was trained on the record."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MembershipTest:
    """All that attacks on membership need of one target: its answers, the truth, and the shadows.

    Made by `prepare_membership`, or by hand for models of anything: images, text.

    Args:
        logits: (records,) the target's log-odds of each record's own class (`own_class_logit`).
        member: (records,) whether the target was trained on the record.
        shadows: of the same records.
        shared: non-members that repeat a member, value by value.
    """

    logits: Matrix = field(repr=False)
    member: Flags = field(repr=False)
    shadows: Shadows
    shared: int = 0

    def __post_init__(self) -> None:
        """Refuse parts that do not fit each other."""
        shape = (self.shadows.inside.shape[1],)
        if self.logits.shape != shape or self.member.shape != shape or self.member.dtype != np.bool_:
            raise UsageError(
                f"expected a logit and a flag for each of the {shape[0]} records of the shadows, "
                f"got {self.logits.shape} and {self.member.shape} of {self.member.dtype}"
            )
        if not np.isfinite(self.logits).all():
            raise DataError("expected finite logits of the target, got some that are not")
        if self.member.all() or not self.member.any():
            raise DataError("expected members and non-members, got one kind only")

    def run(self, attack: Attack) -> MembershipResult:
        """Attack the target once; its threshold comes from the shadows alone.

        Raises:
            UsageError: the attack does not give a finite score for each record.
        """
        scores = attack.scores(self.logits, self.shadows)
        if scores.shape != self.logits.shape or not np.isfinite(scores).all():
            raise UsageError(f"expected a finite score for each record from {attack.name}, got others")
        return membership_result(
            scores,
            self.member,
            attack=attack.name,
            unit=attack.unit,
            threshold=attack.threshold(self.shadows),
            n_shadows=len(self.shadows),
            shared=self.shared,
        )

    def run_all(self, attacks: Iterable[Attack] = ATTACKS) -> tuple[MembershipResult, ...]:
        """Each attack on the same shadows. The best of several flatters the attacker a little."""
        return tuple(self.run(attack) for attack in attacks)


def prepare_membership(
    model: Model,
    *,
    members: Dataset,
    non_members: Dataset,
    trainer: Trainer,
    n_shadows: int = 32,
    rng: np.random.Generator,
    n_jobs: int = 1,
    resume: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MembershipTest:
    """Ask the target, and train the shadows. In all that comes of it, the members are the first records.

    Args:
        model: the target, asked for probabilities only.
        members: the records it was trained on.
        non_members: records of the same population that it was not trained on. A few may repeat members, as records of
            real tables do; the result counts them in a caveat.
        trainer: the way it was trained, for the shadow models.
        n_shadows: at least 4; with more the attack is stronger.
        rng: decides which records each shadow sees, and the shadows' seeds.
        n_jobs: shadows trained at a time, see `train_shadows`.
        resume: a file that the shadows' answers are kept in, to go on after an interruption.
        progress: called with (shadows trained, shadows) after each.

    Raises:
        DataError: fewer than two records on a side, a single record of a class, or another schema; or more than half
            of either side repeats the other.
        UsageError: fewer than 4 shadows.
        UnsupportedError: the answers are not probabilities, or differ from one time to the next; or the trainer failed.
    """
    for part in (members, non_members):
        check_subject(model, part, at_least=2)
    shared = _shared(members, non_members)
    pool = Dataset(members.schema, np.vstack([members.X, non_members.X]), np.concatenate([members.y, non_members.y]))
    target = Oracle(model)
    target.check_repeatable(pool.X)
    logits = own_class_logit(target.predict_proba(pool.X), pool.y)
    share = len(members) / len(pool)
    shadows = train_shadows(
        pool,
        trainer=trainer,
        n_shadows=n_shadows,
        share=share,
        rng=rng,
        n_jobs=n_jobs,
        resume=resume,
        progress=progress,
    )
    return MembershipTest(logits=logits, member=np.arange(len(pool)) < len(members), shadows=shadows, shared=shared)


def _shared(members: Dataset, non_members: Dataset) -> int:
    """How many non-members repeat a member, label and all.

    Raises:
        DataError: more than half of either side repeats the other, so that there is no telling who is a member.
    """
    trained, others = ([row.tobytes() for row in np.column_stack([side.X, side.y])] for side in (members, non_members))
    known, unknown = set(trained), set(others)
    repeats = sum(row in known for row in others)
    if 2 * repeats > len(others) or 2 * sum(row in unknown for row in trained) > len(trained):
        raise DataError(
            f"expected non-members that the model was not trained on, but {repeats:,} of {len(others):,} repeat one "
            f"of the {len(trained):,} members",
            hint="split the table before the training: train, test = data.split(test_fraction=0.5, seed=0)",
        )
    return repeats


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
    """Try to tell the records that a model was trained on from those it was not, by LiRA.

    `prepare_membership` and `MembershipTest.run` in one, with the same arguments and errors.
    """
    test = prepare_membership(
        model,
        members=members,
        non_members=non_members,
        trainer=trainer,
        n_shadows=n_shadows,
        rng=rng,
        progress=progress,
    )
    return test.run(LIRA)


def membership_table(results: Iterable[MembershipResult]) -> pd.DataFrame:
    """Several results beside each other: a row for each, its figures and the ends of the advantage's interval."""
    return pd.DataFrame(
        {
            "attack": result.attack,
            "auc": result.auc.value,
            "advantage": result.advantage.value,
            "advantage_low": result.advantage.low,
            "advantage_high": result.advantage.high,
            "tpr_at_1pct_fpr": result.tpr_at_1pct_fpr.value,
            "tpr_at_01pct_fpr": result.tpr_at_01pct_fpr.value,
        }
        for result in results
    )
