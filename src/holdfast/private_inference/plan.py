"""The plan of a linear model: the public half that the client has, and the secret half that the server keeps."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import IntegrityError, UnsupportedError, WireError
from holdfast.evidence import canonical_json
from holdfast.he import SEED_BYTES
from holdfast.private_inference.public_plan import MAX_SCORE, PublicPlan, read_document

SECRET_FORMAT: Final = "holdfast-private-plan-secret-1"


@dataclass(frozen=True, eq=False, kw_only=True)
class SecretWeights:
    """The secret half: fixed-point weights and intercepts, and the salt of the public half's commitment.

    Args:
        weights: (n_scores, n_features) integers, `weight_bits` after the binary point.
        intercept: (n_scores,) integers, `feature_bits + weight_bits` after the binary point.
        salt: 32 bytes, without which the commitment could be used to test a guess of the weights.
    """

    weights: NDArray[np.int64] = field(repr=False)
    intercept: NDArray[np.int64] = field(repr=False)
    salt: bytes = field(repr=False)

    @property
    def commitment(self) -> str:
        """Salted SHA-256 of the weights and intercepts."""
        return "sha256:" + hashlib.sha256(self.salt + canonical_json(self._numbers())).hexdigest()

    def _numbers(self) -> dict[str, Any]:
        return {"weights": self.weights.tolist(), "intercept": self.intercept.tolist()}

    def to_json(self) -> dict[str, Any]:
        """The secret half as JSON, in the clear; `from_json` is its inverse."""
        return {"format": SECRET_FORMAT, "salt": self.salt.hex(), **self._numbers()}

    @classmethod
    def from_json(cls, document: object) -> SecretWeights:
        """Read a secret half back.

        Raises:
            WireError: it is not one, in the format that this version knows.
        """
        values = read_document(document, SECRET_FORMAT, {"salt", "weights", "intercept"})
        try:
            salt = bytes.fromhex(values["salt"])
            weights, intercept = _integers(values["weights"], ndim=2), _integers(values["intercept"], ndim=1)
        except (TypeError, ValueError, OverflowError):
            raise WireError("expected integer weights and a hexadecimal salt in the secret plan") from None
        if len(salt) != SEED_BYTES:
            raise WireError(f"expected a salt of {SEED_BYTES} bytes in the secret plan, got {len(salt)}")
        return cls(weights=weights, intercept=intercept, salt=salt)


@dataclass(frozen=True, eq=False, kw_only=True)
class LinearPlan:
    """Both halves of one model's plan, checked against each other.

    Raises:
        IntegrityError: the halves are not of one model.
        UnsupportedError: a score could wrap around the plaintext modulus.
    """

    public: PublicPlan
    secret: SecretWeights

    def __post_init__(self) -> None:
        """Refuse halves that do not belong together, and scores that could overflow."""
        shape = (self.public.n_scores, self.public.n_features)
        if self.secret.weights.shape != shape or self.secret.intercept.shape != shape[:1]:
            raise IntegrityError(f"expected secret weights of shape {shape}, got {self.secret.weights.shape}")
        if self.secret.commitment != self.public.commitment:
            raise IntegrityError("the public and the secret half of the plan are of different models")
        if largest_score(self.secret, feature_bits=self.public.feature_bits) > MAX_SCORE:
            raise UnsupportedError("a score of this plan could overflow the plaintext modulus")

    def clear_scores(self, E: NDArray[np.float64]) -> NDArray[np.int64]:
        """The exact fixed-point scores (rows, n_scores) that the private path gives, bit for bit.

        Raises:
            DataError: the rows are not encoded rows.
        """
        return self.public.encode(E) @ self.secret.weights.T + self.secret.intercept


def largest_score(secret: SecretWeights, *, feature_bits: int) -> int:
    """The largest absolute fixed-point score of any row in [-1, 1], as an exact integer."""
    scores = zip(secret.weights.tolist(), secret.intercept.tolist(), strict=True)
    return max((sum(abs(int(w)) for w in row) << feature_bits) + abs(int(offset)) for row, offset in scores)


def _integers(value: object, *, ndim: int) -> NDArray[np.int64]:
    array = np.array(value)
    if array.dtype != np.int64 or array.ndim != ndim or array.size == 0:
        raise ValueError("not integers of that shape")
    return array
