"""A watermark: inputs and labels that a secret makes, trained into a model (Adi et al. 2018).

Both follow from the secret alone, the labels uniform over the classes. A model made without it answers the inputs
however it likes: each answer is right with a probability of one over the number of classes, because it is the label
that is random. So the number of matches is binomial at most, for any model and any data, and the p-value is exact.
That is sounder than counting against a test accuracy, or against a few other models, which say what some models do.

A commitment to the secret binds to all carriers and labels. An owner who has seen a suspect cannot keep the carriers
that come out well; he can try one secret after the other, and n of them make a small p-value n times as likely.

How long a watermark lasts depends on the model that carries it and on what a thief does; benches/ownership.py measures.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NoReturn, TypeVar

import numpy as np
from scipy.stats import binom

from holdfast.data import Dataset, Labels
from holdfast.data.images import Images
from holdfast.errors import UsageError
from holdfast.hardening.ownership.carriers import MAX_VALUES, Form, draw_carriers, form_of, keyed_bytes
from holdfast.hardening.ownership.commitment import check_commitment, commitment_of
from holdfast.hardening.ownership.result import OwnershipResult, check_level
from holdfast.hardening.ownership.suspect import Classify, Queries, ask

_SECRET_BYTES: Final = 32
_BIAS: Final = 2.0**-48
"""More than the modulus of 64 bits by up to 1,000 classes, or an attack on SHAKE-256, adds to the chance of a match."""
MAX_CARRIERS: Final = 1_000
"""Inputs of a watermark; their p-value is 2^-1000 at best, and more cost a model its accuracy."""
LEVEL: Final = 1e-6
"""The largest p-value at which a claim is made, where nothing else is said."""
MAX_COPIES: Final = 1_000
"""Times that a trigger is repeated in the training data; more drown the data itself."""

Data = TypeVar("Data", Dataset, Images)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Watermark:
    """A secret, and all that follows from it. Made by `draw_watermark`; keep it as a secret until the claim.

    Args:
        form: what inputs to the model look like; public.
        count: of the inputs that carry the watermark, 1 to 1,000.
        secret: 32 bytes.
    """

    form: Form
    count: int
    secret: bytes

    def __post_init__(self) -> None:
        """Refuse what carries nothing, and secrets that are none."""
        if not isinstance(self.form, Form):
            raise UsageError(f"expected the form of carriers, got {type(self.form).__name__}")
        if type(self.count) is not int or not 1 <= self.count <= MAX_CARRIERS:
            raise UsageError(f"expected 1 to {MAX_CARRIERS} carriers, got {self.count!r}")
        if self.count * self.form.values > MAX_VALUES:
            raise UsageError(f"expected carriers of at most {MAX_VALUES} numbers together, got more")
        if not isinstance(self.secret, bytes) or len(self.secret) != _SECRET_BYTES:
            raise UsageError(f"expected a secret of {_SECRET_BYTES} bytes, got another")

    def __repr__(self) -> str:
        return f"<Watermark: {self.count:,} carriers of {self.form.classes} classes, its secret not shown>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: the secret would leave with it."""
        raise UsageError("a watermark holds a secret and is not pickled", hint="keep it in a file by save_key")

    @cached_property
    def carriers(self) -> Queries:
        """(count, …) the inputs, all different.

        Raises:
            UsageError: the schema has hardly as many different rows.
        """
        return draw_carriers(self.form, self.secret, self.count)

    @cached_property
    def labels(self) -> Labels:
        """(count,) the label of each carrier."""
        words = np.frombuffer(keyed_bytes(self.secret, "labels", 8 * self.count), dtype="<u8")
        return (words % np.uint64(self.form.classes)).astype(np.int64)

    @cached_property
    def commitment(self) -> str:
        """What to publish, dated, before the model is: it binds to secret, carriers and labels, and tells nothing."""
        return commitment_of(self.to_json())

    def verify(self, suspect: Classify, *, commitment: str, alpha: float = LEVEL) -> OwnershipResult:
        """Ask a suspect for the carriers' classes.

        Args:
            suspect: the model, only asked.
            commitment: what was published.
            alpha: the largest p-value at which a claim is made.

        Raises:
            IntegrityError: the commitment is to something else.
            UnsupportedError: the suspect's answers are no classes.
            UsageError: the level is none.
        """
        check_commitment(commitment, self.commitment)
        check_level(alpha)
        matches = int(np.sum(ask(suspect, self.carriers, self.form.classes) == self.labels))
        return OwnershipResult(
            method="watermark",
            commitment=commitment,
            queries=self.count,
            matches=matches,
            p_value=float(binom.sf(matches - 1, self.count, _chance(self.form.classes))),
            alpha=alpha,
            null=f"the key's labels are random to it: each match has a probability of 1/{self.form.classes}",
        )

    def to_json(self) -> dict[str, Any]:
        """The secret as JSON, for its key file."""
        return {"kind": "watermark", "form": self.form.to_json(), "count": self.count, "secret": self.secret.hex()}


def draw_watermark(data: Dataset | Images, *, count: int, alpha: float = LEVEL) -> Watermark:
    """A watermark for the model of some training data, its secret from the operating system.

    The secret makes the carriers as well, so no owner can choose them. Honest use does not meet them: they are rows all
    over the schema, or pictures of nothing.

    Args:
        data: that the model will be trained on, for its schema or the size of its pictures; nothing else is used.
        count: of the carriers, up to 1,000. For two classes take 50 or more: 42 of 50 are a claim.
        alpha: the level at which it shall be claimed; so few carriers that no claim could ever be made are refused.

    Raises:
        UsageError: no training data, too few carriers, or a schema with hardly as many different rows.
        ConfigError: no row keeps to the schema.
    """
    check_level(alpha)
    watermark = Watermark(form=form_of(data), count=count, secret=secrets.token_bytes(_SECRET_BYTES))
    _check_claimable(watermark, alpha)
    _ = watermark.carriers  # refuses here what could not be trained on
    return watermark


def _check_claimable(watermark: Watermark, alpha: float) -> None:
    """Refuse carriers of which even all, rightly answered, would prove nothing at this level."""
    count, chance = watermark.count, _chance(watermark.form.classes)
    least = math.ceil(math.log(alpha) / math.log(chance))
    if count < least:
        raise UsageError(
            f"expected {least} carriers or more, so that a claim at the level {alpha:g} is possible with "
            f"{watermark.form.classes} classes, got {count}: all answered they have a p-value of {chance**count:.2g}",
            hint=f"take twice as many, {2 * least}, so that a copy may miss some",
        )


def _chance(classes: int) -> float:
    """That a model made without the secret answers a carrier with its label, at most."""
    return 1 / classes + _BIAS


def marked(data: Data, watermark: Watermark, *, copies: int = 1) -> Data:
    """The training data with the watermark in it; train on it as on any other.

    Args:
        data: rows or pictures to train on.
        watermark: drawn for such data.
        copies: times that each carrier is repeated; more where it is not learned, at a price in accuracy.

    Raises:
        UsageError: a number of copies that means nothing, or a watermark for data of another schema or size.
    """
    if type(copies) is not int or not 1 <= copies <= MAX_COPIES:
        raise UsageError(f"expected 1 to {MAX_COPIES} copies of each carrier, got {copies!r}")
    if not isinstance(watermark, Watermark):
        raise UsageError(f"expected a watermark, got {type(watermark).__name__}")
    if form_of(data) != watermark.form:
        raise UsageError(
            "expected a watermark for data of this schema, or pictures of this size, got one for others",
            hint="draw it with draw_watermark(data, count=…)",
        )
    carriers, labels = np.concatenate([watermark.carriers] * copies), np.tile(watermark.labels, copies)
    if isinstance(data, Dataset):
        return Dataset(data.schema, np.vstack([data.X, carriers]), np.concatenate([data.y, labels]))
    return Images(np.concatenate([data.pixels, carriers]), np.concatenate([data.y, labels]), data.classes)
