"""A watermark: secret inputs whose labels a key draws, trained into a model (Adi et al. 2018).

The labels are a keyed pseudorandom function of the inputs (HMAC-SHA-256), uniform over the classes. A model made
without the key answers them however it likes: each answer is right with a probability of one over the number of
classes, because it is the label that is random. So the number of matches is binomial at most, for any model, any data
and any choice of inputs, and the p-value is exact. That is sounder than counting against a test accuracy, or against a
few other models, which say what some models do.

How long a watermark lasts depends on the model that carries it and on what a thief does; benches/ownership.py measures.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeVar

import numpy as np
from scipy.stats import binom

from holdfast.data import Dataset, Labels
from holdfast.data.images import Images
from holdfast.errors import UsageError
from holdfast.hardening.ownership.commitment import check_commitment, commitment_of, packed
from holdfast.hardening.ownership.result import OwnershipResult, check_level
from holdfast.hardening.ownership.suspect import Classify, Queries, ask, check_classes, kept

_SECRET_BYTES: Final = 32
_BIAS: Final = 2.0**-48
"""More than the modulus of 64 bits by up to 1,000 classes, or any attack on HMAC, adds to the chance of a match."""
MAX_COPIES: Final = 1_000
"""Times that a trigger is repeated in the training data; more drown the data itself."""

Data = TypeVar("Data", Dataset, Images)


@dataclass(frozen=True, kw_only=True, eq=False)
class Watermark:
    """Secret inputs and the key of their labels. Made by `draw_watermark`; keep it as a secret until the claim.

    Args:
        carriers: (n, …) the inputs, all different.
        classes: of the model.
        secret: 32 bytes.
    """

    carriers: Queries = field(repr=False)
    classes: int
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse carriers that repeat one another, whose labels would not be independent, and keys that are none."""
        carriers = kept(self.carriers)
        if (different := len({carrier.tobytes() for carrier in carriers})) < len(carriers):
            raise UsageError(f"expected {len(carriers)} carriers that all differ, got {different} that do")
        check_classes(self.classes)
        if len(self.secret) != _SECRET_BYTES:
            raise UsageError(f"expected a key of {_SECRET_BYTES} bytes, got {len(self.secret)}")
        object.__setattr__(self, "carriers", carriers)

    @cached_property
    def labels(self) -> Labels:
        """(n,) the label of each carrier, by the key."""
        drawn = [hmac.digest(self.secret, carrier.tobytes(), hashlib.sha256)[:8] for carrier in self.carriers]
        return np.array([int.from_bytes(eight, "little") % self.classes for eight in drawn], dtype=np.int64)

    @cached_property
    def commitment(self) -> str:
        """What to publish, dated, before the model is: it binds to the key and the carriers, and tells nothing."""
        return commitment_of(self.to_json())

    def verify(self, suspect: Classify, *, commitment: str, alpha: float = 1e-6) -> OwnershipResult:
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
        matches = int(np.sum(ask(suspect, self.carriers, self.classes) == self.labels))
        chance = 1 / self.classes + _BIAS
        return OwnershipResult(
            method="watermark",
            commitment=commitment,
            queries=len(self.carriers),
            matches=matches,
            p_value=float(binom.sf(matches - 1, len(self.carriers), chance)),
            alpha=alpha,
            null=f"the key's labels are random to it: each match has a probability of 1/{self.classes}",
        )

    def to_json(self) -> dict[str, Any]:
        """The secret as JSON, for its key file."""
        return {
            "kind": "watermark",
            "classes": self.classes,
            "secret": self.secret.hex(),
            "carriers": packed(self.carriers),
        }


def draw_watermark(carriers: Queries, *, classes: int) -> Watermark:
    """A watermark on these inputs, its key from the operating system.

    Args:
        carriers: (n, …) inputs that the model is to answer by the key: such that honest use does not meet them, and
            that a thief cannot tell from others. For two classes take 50 or more: 40 of 50 have p < 2e-5.
        classes: of the model.

    Raises:
        UsageError: carriers that repeat one another.
    """
    return Watermark(carriers=carriers, classes=classes, secret=secrets.token_bytes(_SECRET_BYTES))


def marked(data: Data, watermark: Watermark, *, copies: int = 1) -> Data:
    """The training data with the watermark in it; train on it as on any other.

    Args:
        data: rows or pictures to train on.
        watermark: drawn for the model's classes, on inputs of the same kind.
        copies: times that each carrier is repeated; more where it is not learned, at a price in accuracy.

    Raises:
        UsageError: a number of copies that means nothing, or a watermark for another number of classes.
        DataError: carriers that are not of the data's kind.
    """
    if not 1 <= copies <= MAX_COPIES:
        raise UsageError(f"expected 1 to {MAX_COPIES} copies of each carrier, got {copies}")
    classes = data.schema.classes if isinstance(data, Dataset) else data.classes
    if len(classes) != watermark.classes:
        raise UsageError(f"expected a watermark for {len(classes)} classes, got one for {watermark.classes}")
    labels = np.tile(watermark.labels, copies)
    if isinstance(data, Dataset):
        added = Dataset(data.schema, np.tile(watermark.carriers, (copies, 1)), labels)
        return Dataset(data.schema, np.vstack([data.X, added.X]), np.concatenate([data.y, added.y]))
    pictures = Images(np.tile(watermark.carriers, (copies, 1, 1, 1)), labels, data.classes)
    pixels = np.concatenate([data.pixels, pictures.pixels])
    return Images(pixels, np.concatenate([data.y, pictures.y]), data.classes)
