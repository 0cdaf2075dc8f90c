"""The server of private inference: it computes on ciphertexts and sees neither rows nor scores."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from holdfast.errors import WireError
from holdfast.evidence import digest_bytes
from holdfast.he import EXACT_8192, Answer, Ciphertext, PublicKey, answer, prepare_plaintext
from holdfast.private_inference import wire
from holdfast.private_inference.plan import LinearPlan


@dataclass(frozen=True, eq=False, kw_only=True)
class ClientKey:
    """A client's public key, checked and made ready; about 1.2 MB, for as long as the server cares to hold it."""

    digest: str
    public: PublicKey = field(repr=False)


class Evaluator:
    """Answers private queries to one linear model. It holds no state of a query and may be shared by threads."""

    def __init__(self, plan: LinearPlan) -> None:
        self.plan = plan
        layout, weights = plan.public.layout, plan.secret.weights
        self._parts = [layout.scores_of(part) for part in range(layout.n_parts)]
        self._plaintexts = [prepare_plaintext(EXACT_8192, layout.plaintext(weights[part])) for part in self._parts]
        self._digest = plan.public.digest

    def load_key(self, data: bytes) -> ClientKey:
        """Check a client's public key.

        Raises:
            WireError: the bytes are not exactly one public key.
        """
        message = wire.decode_key(data)
        public = PublicKey(parameters=EXACT_8192, seed=message.seed, body=message.body)
        return ClientKey(digest=digest_bytes(data), public=public)

    def read_header(self, query: bytes) -> wire.QueryHeader:
        """Which key a query is under and how many rows it holds, before anything is computed.

        Raises:
            WireError: the bytes do not begin like a query, it is for another plan, or not of so many rows.
        """
        header = wire.decode_query_header(query)
        if header.plan_digest != self._digest:
            raise WireError(
                f"expected a query for the plan {self._digest[:15]}…, got one for {header.plan_digest[:15]}…",
                hint="fetch the model's public plan again",
            )
        wire.check_size(query, header, self.plan.public.layout)
        return header

    def answer(self, query: bytes, *, key: ClientKey) -> bytes:
        """The answer to a query, for the owner of the key alone.

        Raises:
            WireError: the query is malformed, damaged, or for another plan or key.
        """
        header = self.read_header(query)
        if header.key_digest != key.digest:
            raise WireError(
                f"expected a query under the key {key.digest[:15]}…, got one under {header.key_digest[:15]}…"
            )
        layout = self.plan.public.layout
        message = wire.decode_query(query, layout)
        answers: list[Answer] = []
        for i, body in enumerate(message.bodies):
            rows = layout.rows_of(i, n_rows=header.n_rows)
            ciphertext = Ciphertext(seed=message.seed, index=i, body=body)
            answers += self._answers(ciphertext, key.public, n_rows=rows.stop - rows.start)
        reply = wire.AnswerMessage(header=header, query_checksum=wire.checksum(query), answers=tuple(answers))
        return wire.encode_answer(reply)

    def _answers(self, ciphertext: Ciphertext, key: PublicKey, *, n_rows: int) -> list[Answer]:
        """One answer for each part, which reveals the scores of the part for every row."""
        answers = []
        for part, plaintext in zip(self._parts, self._plaintexts, strict=True):
            intercept = self.plan.secret.intercept[part]
            positions = self.plan.public.layout.positions(n_rows=n_rows, n_scores=len(intercept))
            addend = np.tile(intercept, n_rows)
            answers.append(answer(ciphertext, plaintext, key=key, positions=positions, addend=addend))
        return answers
