"""The public half of a plan: what the client computes with, and the statements about security and leakage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import DataError, UsageError, WireError
from holdfast.evidence import canonical_json, digest_bytes
from holdfast.he import EXACT_8192, flooding_bits
from holdfast.limits import MAX_CLASSES, MAX_NAME_CHARS
from holdfast.private_inference.layout import Layout

PUBLIC_FORMAT: Final = "holdfast-private-plan-public-1"

MIN_FLOODING_BITS: Final = 40
"""Statistical security of one answer, the customary figure; a plan below it is refused."""
MIN_ERROR_BITS, MAX_ERROR_BITS = 10, 20
"""A score is exact to 2^-20; large weights may cost precision, down to 2^-10."""
MAX_SCORE: Final = EXACT_8192.plaintext_modulus // 2
"""Largest fixed-point score; a larger one would wrap around."""

_LEAKAGE: Final = (
    "The client learns, for each row it asks about, the {n_scores} exact linear score(s) to 2^-{error_bits}, and before"
    " that the number of features, the classes, and the fixed-point precisions, which tell the sum of the weights'"
    " absolute values to within a factor of two. Scores are linear in the row: n_features + 1 rows solve for a score's"
    " weights, and fewer do for a client that packs several features into the precision of one answer. Each score"
    " returned tells at most {bits} bits about the weights, also to a client that breaks the protocol. Only a query"
    " budget bounds this; encryption does not.\n"
    "The server learns the number of rows, the size and the time of a query, and which key it is under; nothing about"
    " the rows or the scores, as long as ring-LWE is hard and the client keeps to itself whether an answer decrypts.\n"
    "Neither is authenticated: a server can answer with another model; who asks is established outside (TLS, token)."
)


@dataclass(frozen=True, kw_only=True)
class PublicPlan:
    """What a client needs to ask a linear model privately; it holds no weight.

    Args:
        n_features: length m of an encoded row.
        classes: names of the classes; two have one score, more have one each.
        feature_bits: an encoded feature x in [-1, 1] is sent as the integer nearest to `x·2^feature_bits`.
        weight_bits: the same for weights.
        error_bits: a score differs from its float64 value by at most `2^-error_bits`.
        commitment: SHA-256 of the salted secret half, which makes the plan that of one model.

    Raises:
        UsageError: a field is out of bounds, or the answers could not be flooded well enough.
    """

    n_features: int
    classes: tuple[str, ...]
    feature_bits: int
    weight_bits: int
    error_bits: int
    commitment: str

    def __post_init__(self) -> None:
        """Refuse what cannot be evaluated, or not securely."""
        _check_int("n_features", self.n_features, 1, EXACT_8192.degree)
        _check_int("error_bits", self.error_bits, MIN_ERROR_BITS, MAX_ERROR_BITS)
        _check_int("feature_bits", self.feature_bits, self.error_bits, 50)
        _check_int("weight_bits", self.weight_bits, self.error_bits, 50)
        if not 2 <= len(self.classes) <= MAX_CLASSES or len(set(self.classes)) != len(self.classes):
            raise UsageError(f"expected 2 to {MAX_CLASSES} different classes, got {len(self.classes)}")
        if not all(isinstance(name, str) and 0 < len(name) <= MAX_NAME_CHARS for name in self.classes):
            raise UsageError(f"expected class names of 1 to {MAX_NAME_CHARS} characters")
        if not isinstance(self.commitment, str) or not _is_digest(self.commitment):
            raise UsageError("expected a commitment sha256:…")
        if self.layout.max_rows == 0:
            raise UsageError(f"{self.n_scores} scores of {self.n_features} features do not fit into one answer")
        if self.flooding_bits < MIN_FLOODING_BITS:
            raise UsageError(f"expected flooding of {MIN_FLOODING_BITS} bits, got {self.flooding_bits}")

    @property
    def n_scores(self) -> int:
        """Scores per row: one for two classes, else one for each."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    @property
    def layout(self) -> Layout:
        """How rows and scores are packed."""
        return Layout(n_features=self.n_features, n_scores=self.n_scores)

    @property
    def max_rows(self) -> int:
        """Rows that one query may hold."""
        return self.layout.max_rows

    @property
    def flooding_bits(self) -> int:
        """The statistical distance of an answer from one that depends on the scores alone is at most 2^-flooding_bits.

        It holds for every model with this public half: no score wraps around, so its weights add up to at most
        `MAX_SCORE / 2^feature_bits`.
        """
        part = self.layout.scores_per_part
        weights_l1 = part * (MAX_SCORE >> self.feature_bits)
        return flooding_bits(EXACT_8192, weights_l1, n_outputs=part * self.layout.rows_per_ciphertext)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON; queries and answers carry it."""
        return digest_bytes(canonical_json(self.to_json()))

    @property
    def security(self) -> str:
        """The statement of security, in the field's terms."""
        return (
            f"{EXACT_8192.security()}; answers re-randomised, and flooded to a statistical distance of at most"
            f" 2^-{self.flooding_bits} for each ciphertext answered; against a server that follows the protocol or not"
            " for the rows, and, for the weights, against a client with a key of its own making"
        )

    @property
    def leakage(self) -> str:
        """What client and server learn, in plain words."""
        bits = math.ceil(EXACT_8192.log2_modulus) - EXACT_8192.flood_bits
        return _LEAKAGE.format(n_scores=self.n_scores, error_bits=self.error_bits, bits=bits)

    def encode(self, E: NDArray[np.float64]) -> NDArray[np.int64]:
        """Encoded rows (rows, n_features) in [-1, 1] to fixed point.

        Raises:
            DataError: the shape is another, or a value is not finite or outside [-1, 1].
        """
        E = np.asarray(E, dtype=np.float64)
        if E.ndim != 2 or E.shape[1] != self.n_features:
            raise DataError(f"expected encoded rows of {self.n_features} features, got an array of shape {E.shape}")
        if not (np.abs(E) <= 1).all():
            raise DataError("expected encoded features between -1 and 1, got one outside, or one that is no number")
        return np.rint(E * 2.0**self.feature_bits).astype(np.int64)

    def decode(self, integers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Fixed-point scores to float64."""
        return integers / 2.0 ** (self.feature_bits + self.weight_bits)

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON; `from_json` is its inverse."""
        out: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        return out | {"format": PUBLIC_FORMAT, "classes": list(self.classes)}

    @classmethod
    def from_json(cls, document: object) -> PublicPlan:
        """Read a public half back.

        Raises:
            WireError: it is not one, in the format that this version knows.
        """
        values = read_document(document, PUBLIC_FORMAT, {item.name for item in fields(cls)})
        if not isinstance(values["classes"], list):
            raise WireError("expected a list of classes in the public plan")
        try:
            return cls(**values | {"classes": tuple(values["classes"])})
        except (UsageError, TypeError) as error:
            raise WireError(f"the public plan is malformed: {error}") from None


def read_document(document: object, expected: str, names: set[str]) -> dict[str, Any]:
    """The named fields of a JSON document in a format, no more and no fewer.

    Raises:
        WireError: the format is another, or the fields are.
    """
    if not isinstance(document, Mapping) or document.get("format") != expected:
        got = document.get("format") if isinstance(document, Mapping) else type(document).__name__
        raise WireError(f"expected a plan in the format {expected}, got {got!r}")
    if set(document) != names | {"format"}:
        raise WireError(
            f"expected the fields {', '.join(sorted(names))} in the plan, got {', '.join(map(str, document))}"
        )
    return {name: document[name] for name in names}


def _check_int(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(f"expected {name} between {low} and {high}, got {value!r}")


def _is_digest(text: str) -> bool:
    return text.startswith("sha256:") and len(text) == 71 and set(text[7:]) <= set("0123456789abcdef")
