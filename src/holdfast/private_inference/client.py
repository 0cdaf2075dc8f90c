"""The client of private inference: it alone sees the rows and the scores."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import IntegrityError, UsageError
from holdfast.evidence import canonical_json
from holdfast.he import SEED_BYTES, Ciphertext, Encoder, EvaluationKeys, PublicKey, SecretKey, encrypt, fresh_seed, read
from holdfast.limits import MAX_PENDING_QUERIES
from holdfast.models.links import prediction
from holdfast.private_inference import key_wire, wire
from holdfast.private_inference.key_wire import KeySet
from holdfast.private_inference.public_plan import PublicPlan


@dataclass(frozen=True, eq=False, kw_only=True)
class PrivateScores:
    """What a private answer says.

    Args:
        scores: (rows, outputs) as the model has them before its link, within the plan's stated error.
        values: (rows, classes) probabilities, or shares; of a regression (rows, outputs) its predictions; of a model
            that only decides, its scores.
    """

    scores: NDArray[np.float64]
    values: NDArray[np.float64] = field(repr=False)


class PrivateSession:
    """One client's keys for one plan, and the queries that wait for an answer.

        session = PrivateSession(plan.public)
        for part in plan.public.split(len(X)):
            keys = session.keys(part.layout)                    # upload keys.manifest and keys.parts, once
            query = session.encrypt(X[part.rows], layout=part.layout)
            scores = session.decrypt(service.answer(query))

    An error of `decrypt` must stay with the client: a server that learns which answers fail learns about the key.

    Args:
        plan: the public half of the model's plan.
        secret: 32 bytes kept from an earlier session (`secret_bytes`); without them, new ones are made.
        key_digests: by layout, the digests of key sets that were uploaded in an earlier session with this secret.

    Raises:
        UsageError: the secret is not 32 bytes.
    """

    def __init__(
        self, plan: PublicPlan, *, secret: bytes | None = None, key_digests: Mapping[str, str] | None = None
    ) -> None:
        self.plan = plan
        self.__seed = fresh_seed() if secret is None else secret
        if len(self.__seed) != SEED_BYTES:
            raise UsageError(f"expected the secret of a session in {SEED_BYTES} bytes, got {len(self.__seed)}")
        self._secrets: dict[str, SecretKey] = {}
        self._keys: dict[str, KeySet] = {}
        self._digests = dict(key_digests or {})
        self._pending: dict[str, wire.QueryHeader] = {}

    def secret_bytes(self) -> bytes:
        """The secret in the clear, 32 bytes; whoever has them reads every query. Keep them encrypted."""
        return self.__seed

    def keys(self, layout: str) -> KeySet:
        """The evaluation keys of a layout, to be uploaded once; made when first asked for, some MB.

        Raises:
            UsageError: the plan has no such layout.
        """
        if layout not in self._keys:
            chosen = self.plan.layout(layout)
            secret = self._secret(layout)
            public = PublicKey.generate(secret, level=chosen.answer_level)
            evaluation = EvaluationKeys.generate(secret, chosen.key_request)
            self._keys[layout] = key_wire.encode_keys(layout, chosen, public, evaluation)
            self._digests[layout] = self._keys[layout].digest
        return self._keys[layout]

    def forget_keys(self, layout: str) -> None:
        """Let go of a key set's bytes once it is uploaded; its digest stays, and `keys` would make a new one."""
        self._keys.pop(layout, None)

    def key_digest(self, layout: str) -> str:
        """The digest by which queries of a layout name their key set; makes the keys if there are none yet."""
        return self._digests[layout] if layout in self._digests else self.keys(layout).digest

    def encrypt(self, X: NDArray[np.float64], *, layout: str = "row") -> bytes:
        """A query for rows (rows, n_features) as users have them.

        Raises:
            DataError: a row is not what the plan's encoding takes.
            UsageError: there are none, or more than one query holds; see `PublicPlan.split`.
        """
        chosen = self.plan.layout(layout)
        values = self.plan.encoding.encode(X)
        n_rows = len(values)
        if not wire.least_rows(chosen) <= n_rows <= chosen.max_rows:
            raise UsageError(
                f"expected {wire.least_rows(chosen)} to {chosen.max_rows} rows for one private query, got {n_rows}",
                hint="ask in the queries that the plan's split gives",
            )
        seed = fresh_seed()
        ciphertexts = self._encrypted(chosen.arrange(values), layout, seed=seed)
        header = wire.QueryHeader(
            plan_digest=self.plan.digest, key_digest=self.key_digest(layout), layout=layout, n_rows=n_rows
        )
        query = wire.encode_query(header, ciphertexts, seed=seed, layout=chosen)
        self._remember(wire.checksum(query), header)
        return query

    def decrypt(self, answer: bytes) -> PrivateScores:
        """The scores of an answer to a query of this session; each query is answered once.

        Raises:
            WireError: the bytes are damaged, or are no answer.
            IntegrityError: the answer is to another query, plan or key, or does not decrypt.
        """
        query_checksum = wire.answered_query(answer)
        header = self._pending.get(query_checksum)
        if header is None:
            raise IntegrityError("expected an answer to a query of this session, got one to another query")
        layout = self.plan.layout(header.layout)
        message = wire.decode_answer(answer, layout, n_rows=header.n_rows)
        if message.header != header:
            raise IntegrityError("expected an answer under this session's plan and key, got one under others")
        secret = self._secret(header.layout)
        revealed = [
            read(
                secret,
                part,
                layout.positions(i, n_rows=header.n_rows),
                scale=layout.answer_scale,
                magnitude=layout.answer_magnitude,
            ).astype(np.float64)
            for i, part in enumerate(message.answers)
        ]
        scores = layout.scores(revealed, n_rows=header.n_rows)
        del self._pending[query_checksum]
        return PrivateScores(scores=scores, values=prediction(scores, self.plan.link, classes=len(self.plan.classes)))

    def _encrypted(self, arranged: NDArray[np.float64], layout: str, *, seed: bytes) -> list[Ciphertext]:
        """Each ciphertext of a query."""
        chosen, secret = self.plan.layout(layout), self._secret(layout)
        encoder = Encoder(chosen.parameters)
        encode = encoder.encode if chosen.packing == "slots" else encoder.encode_coefficients
        numbers: NDArray[np.generic] = arranged
        if chosen.parameters.plaintext_modulus is not None:
            numbers = arranged.astype(np.int64).reshape(len(arranged), chosen.parameters.rows, -1)
        plaintexts = (encode(each, level=chosen.query_level, scale=chosen.scale) for each in numbers)
        return [encrypt(secret, plaintext, seed=seed, index=i) for i, plaintext in enumerate(plaintexts)]

    def _secret(self, layout: str) -> SecretKey:
        """The layout's secret key: a secret of its own for each ring, grown from the session's."""
        if layout not in self._secrets:
            parameters = self.plan.layout(layout).parameters
            label = b"holdfast private session 2\0" + canonical_json(parameters.to_json()) + b"\0"
            seed = hashlib.sha256(label + self.__seed).digest()
            self._secrets[layout] = SecretKey.from_secret_bytes(parameters, seed)
        return self._secrets[layout]

    def _remember(self, query_checksum: str, header: wire.QueryHeader) -> None:
        while len(self._pending) >= MAX_PENDING_QUERIES:
            del self._pending[next(iter(self._pending))]
        self._pending[query_checksum] = header

    def __repr__(self) -> str:
        return f"PrivateSession(plan {self.plan.digest[:15]}…, <secret>)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a private session holds a secret key and cannot be pickled")
