"""The client of private inference: it alone sees the rows and the scores."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import IntegrityError, UsageError
from holdfast.evidence import digest_bytes
from holdfast.he import EXACT_8192, PublicKey, SecretKey, decrypt, encrypt, fresh_seed
from holdfast.limits import MAX_PENDING_QUERIES
from holdfast.private_inference import wire
from holdfast.private_inference.public_plan import PublicPlan


@dataclass(frozen=True, eq=False, kw_only=True)
class PrivateScores:
    """The scores of a private answer.

    Args:
        integers: (rows, n_scores) exact fixed-point scores.
        values: the same as float64, within 2^-error_bits of the model's own.
    """

    integers: NDArray[np.int64] = field(repr=False)
    values: NDArray[np.float64]


class PrivateSession:
    """One client's keys for one plan, and the queries that wait for an answer.

    An error of `decrypt` must stay with the client: a server that learns which answers fail learns about the key.

    Args:
        plan: the public half of the model's plan.
        secret_key: a key kept from an earlier session; without it, a new one is made.
    """

    def __init__(self, plan: PublicPlan, *, secret_key: SecretKey | None = None) -> None:
        self.plan = plan
        self._secret = secret_key or SecretKey.generate(EXACT_8192)
        key = PublicKey.of(self._secret)
        self._key_bytes = wire.encode_key(wire.KeyMessage(seed=key.seed, body=key.canonical_body()))
        self._pending: dict[str, wire.QueryHeader] = {}

    def public_key_bytes(self) -> bytes:
        """The public key, to be uploaded once; the server refers to it by `key_digest`."""
        return self._key_bytes

    @property
    def key_digest(self) -> str:
        """SHA-256 of the public key's bytes."""
        return digest_bytes(self._key_bytes)

    def encrypt(self, E: NDArray[np.float64]) -> bytes:
        """A query for encoded rows (rows, n_features) in [-1, 1].

        Raises:
            DataError: the rows are not encoded rows.
            UsageError: there are none, or more than one query holds.
        """
        rows = self.plan.encode(E)
        if not 1 <= len(rows) <= self.plan.max_rows:
            raise UsageError(
                f"expected 1 to {self.plan.max_rows} rows for one private query, got {len(rows)}",
                hint="ask in several queries",
            )
        layout, seed = self.plan.layout, fresh_seed()
        messages = [
            layout.message(rows[layout.rows_of(i, n_rows=len(rows))]) for i in range(layout.n_ciphertexts(len(rows)))
        ]
        bodies = tuple(encrypt(self._secret, m, seed=seed, index=i).body for i, m in enumerate(messages))
        header = wire.QueryHeader(plan_digest=self.plan.digest, key_digest=self.key_digest, n_rows=len(rows))
        query = wire.encode_query(wire.QueryMessage(header=header, seed=seed, bodies=bodies))
        self._remember(wire.checksum(query), header)
        return query

    def decrypt(self, answer: bytes) -> PrivateScores:
        """The scores of an answer to a query of this session; each query is answered once.

        Raises:
            WireError: the bytes are damaged, or are no answer.
            IntegrityError: the answer is to another query, plan or key, or does not decrypt.
        """
        query_checksum = wire.decode_answer_query_checksum(answer)
        header = self._pending.get(query_checksum)
        if header is None:
            raise IntegrityError("expected an answer to a query of this session, got one to another query")
        layout = self.plan.layout
        message = wire.decode_answer(answer, layout, n_rows=header.n_rows)
        if message.header != header:
            raise IntegrityError("expected an answer under this session's plan and key, got one under others")
        integers = np.empty((header.n_rows, self.plan.n_scores), dtype=np.int64)
        answers = iter(message.answers)
        for i in range(layout.n_ciphertexts(header.n_rows)):
            rows = layout.rows_of(i, n_rows=header.n_rows)
            for scores in map(layout.scores_of, range(layout.n_parts)):
                block = integers[rows, scores]
                positions = layout.positions(n_rows=len(block), n_scores=block.shape[1])
                block[:] = decrypt(self._secret, next(answers), positions=positions).reshape(block.shape)
        del self._pending[query_checksum]
        return PrivateScores(integers=integers, values=self.plan.decode(integers))

    def _remember(self, query_checksum: str, header: wire.QueryHeader) -> None:
        while len(self._pending) >= MAX_PENDING_QUERIES:
            del self._pending[next(iter(self._pending))]
        self._pending[query_checksum] = header

    def __repr__(self) -> str:
        return f"PrivateSession(key {self.key_digest[:15]}…, <secret>)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a private session holds a secret key and cannot be pickled")
