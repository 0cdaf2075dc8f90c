"""A client and a server in one process, on the real engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from holdfast.he import (
    Ciphertext,
    Encoder,
    EvaluationKeys,
    PublicKey,
    SecretKey,
    encrypt,
    fresh_seed,
    read,
    reveal,
    slots_bound,
)
from holdfast.private_inference.slots import NetworkCircuit, SlotLayout, TreeCircuit


@dataclass(frozen=True)
class SlotSession:
    """Keys for one layout."""

    layout: SlotLayout
    secret: SecretKey
    public: PublicKey
    keys: EvaluationKeys

    @classmethod
    def of(cls, layout: SlotLayout) -> SlotSession:
        secret = SecretKey.generate(layout.parameters)
        public = PublicKey.generate(secret, level=layout.answer_level)
        return cls(layout, secret, public, EvaluationKeys.generate(secret, layout.key_request))

    def encrypt(self, values: NDArray[np.float64]) -> list[Ciphertext]:
        """A query of encoded rows, as the server has it."""
        layout, parameters, seed = self.layout, self.layout.parameters, fresh_seed()
        encoder, query = Encoder(parameters), []
        for index, slots in enumerate(layout.arrange(values)):
            numbers = slots if parameters.rows == 1 else slots.astype(np.int64).reshape(2, -1)
            plaintext = encoder.encode(numbers, level=layout.query_level, scale=layout.scale)
            query.append(encrypt(self.secret, plaintext, seed=seed, index=index))
        if parameters.rows == 1:
            bound = slots_bound(parameters, magnitude=layout.magnitude, scale=layout.scale)
            query = [replace(ciphertext, message=bound) for ciphertext in query]
        return query

    def scores(self, circuit: TreeCircuit | NetworkCircuit, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scores of encoded rows, asked under encryption."""
        layout, n_rows = self.layout, len(values)
        results = circuit.evaluate(self.encrypt(values), self.keys, n_rows=n_rows)
        revealed = []
        for i, result in enumerate(results):
            positions = layout.positions(i, n_rows=n_rows)
            answer = reveal(
                result,
                positions,
                public=self.public,
                flood_bits=layout.flood_bits,
                answer_bits=layout.answer_bits,
                addend=circuit.addends(i, n_rows=n_rows),
            )
            scale, magnitude = layout.answer_scale, layout.answer_magnitude
            revealed.append(read(self.secret, answer, positions, scale=scale, magnitude=magnitude))
        return layout.scores(revealed, n_rows=n_rows)
