"""The seams of a private plan: how rows become numbers, where numbers sit in ciphertexts, what is computed on them.

    row --Encoding--> numbers --Layout--> ciphertexts --Circuit--> results --reveal--> coefficients --Layout--> scores

Encodings and layouts are public and known to both sides; a circuit holds the model and stays with the server. A
`Reading` is what a front end makes of a user's model: an encoding, a program, and the model's own scores to check with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from holdfast.he import Ciphertext, EvaluationKeys, KeyRequest, Parameters
from holdfast.models.links import Link
from holdfast.private_inference.program import Program

Packing = Literal["slots", "coefficients"]
"""Whether numbers are the slots of a ciphertext or the coefficients of its polynomial."""


class Encoding(Protocol):
    """Rows as users have them to the numbers that a program takes. A class has `from_json`, and is in `registry.py`."""

    @property
    def n_features(self) -> int:
        """Features of a row as users have it."""

    @property
    def width(self) -> int:
        """Numbers that a row becomes."""

    def encode(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows (rows, n_features) to numbers (rows, width); DataError for NaN, ranges, unseen categories."""

    def to_json(self) -> dict[str, Any]:
        """The encoding, with its `kind`, for the public plan."""


class Layout(Protocol):
    """Where the numbers of rows sit in ciphertexts, and where the scores come out."""

    @property
    def parameters(self) -> Parameters:
        """The ring."""

    @property
    def key_request(self) -> KeyRequest:
        """The evaluation keys that the circuit needs."""

    @property
    def packing(self) -> Packing:
        """What `arrange` gives."""

    @property
    def scale(self) -> float:
        """Of the numbers in a query; 1 for integers."""

    @property
    def magnitude(self) -> float:
        """The largest absolute value of a number in a query."""

    @property
    def query_level(self) -> int:
        """Primes of a query's ciphertexts."""

    @property
    def answer_level(self) -> int:
        """Primes of the results before they are revealed."""

    @property
    def answer_scale(self) -> float:
        """Of the results, which the circuit must give them; 1 for integers."""

    @property
    def answer_magnitude(self) -> float | None:
        """The largest absolute value of an honest result that is not exact; None for integers."""

    @property
    def answer_bits(self) -> int:
        """Both halves of an answer are rounded to so many bits."""

    @property
    def flood_bits(self) -> int:
        """What is revealed is drowned in a uniform integer of so many bits, at `answer_level`."""

    @property
    def max_rows(self) -> int:
        """Rows of one query."""

    @property
    def width(self) -> int:
        """Numbers of a row."""

    @property
    def n_outputs(self) -> int:
        """Scores of a row."""

    def n_ciphertexts(self, n_rows: int) -> int:
        """Ciphertexts of a query of so many rows."""

    def n_answers(self, n_rows: int) -> int:
        """Answers to it."""

    def arrange(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Numbers (rows, width) to what each ciphertext holds: (ciphertexts, slots or coefficients)."""

    def positions(self, answer: int, *, n_rows: int) -> NDArray[np.int64]:
        """The coefficients that an answer reveals, row by row, output by output."""

    def scores(self, revealed: Sequence[NDArray[np.float64]], *, n_rows: int) -> NDArray[np.float64]:
        """What the answers revealed, to scores (rows, n_outputs)."""

    def to_json(self) -> dict[str, Any]:
        """The layout, with its `kind`, for the public plan."""


class Circuit(Protocol):
    """The server's half: the model as plaintexts. It keeps nothing of a query, and threads may share it.

    A class is made from `(layout, program)`, and is in `registry.py` beside its layout.
    """

    @property
    def layout(self) -> Layout:
        """Where inputs and outputs sit."""

    @property
    def memory_bytes(self) -> int:
        """What the plaintexts take in memory."""

    def evaluate(self, query: Sequence[Ciphertext], keys: EvaluationKeys, *, n_rows: int) -> list[Ciphertext]:
        """The results at `answer_level`, one for each answer, before they are re-randomised and flooded."""

    def addends(self, answer: int, *, n_rows: int) -> NDArray[np.float64]:
        """What is added to the revealed coefficients: intercepts, in the unit of the scores."""


ModelKind = Literal["linear", "additive", "trees", "network"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Reading:
    """What a front end made of a model.

    Args:
        kind: of the model, in the words of the leakage statement.
        encoding: from rows to the program's numbers.
        program: the model as arithmetic.
        link: what turns scores into a prediction.
        classes: names of the classes; none for regression.
        clear: the model's own scores (rows, outputs) of rows (rows, n_features), before the link; from the model, not
            from the program, as the plan is checked with it.
        notes: sentences for the report: what was merged, dropped or approximated, and what the encoding gives away.
    """

    kind: ModelKind
    encoding: Encoding
    program: Program
    link: Link
    classes: tuple[str, ...]
    clear: Callable[[NDArray[np.float64]], NDArray[np.float64]] = field(repr=False)
    notes: tuple[str, ...] = ()
