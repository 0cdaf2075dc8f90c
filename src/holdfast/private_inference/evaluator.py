"""The server of private inference: it computes on ciphertexts and sees neither rows nor scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from holdfast.errors import WireError
from holdfast.he import EvaluationKeys, PublicKey, reveal
from holdfast.private_inference import key_wire, wire
from holdfast.private_inference.circuit import Circuit, Layout
from holdfast.private_inference.key_wire import KeyManifest
from holdfast.private_inference.plan import PrivatePlan
from holdfast.private_inference.registry import circuit_of


@dataclass(frozen=True, eq=False, kw_only=True)
class ClientKeys:
    """A client's key set for one layout, checked and made ready, for as long as the server cares to hold it.

    Args:
        digest: by which queries name it.
        layout: the layout's name.
        memory_bytes: what it takes in memory.
    """

    digest: str
    layout: str
    memory_bytes: int
    public: PublicKey = field(repr=False)
    evaluation: EvaluationKeys = field(repr=False)


class Evaluator:
    """Answers private queries to one model. It holds no state of a query and may be shared by threads.

    A key set comes as a manifest and its parts; each can be checked as it arrives, so that a service keeps nothing that
    is not what it should be:

        manifest = evaluator.read_manifest(data)              # sizes and digests of the parts to come
        evaluator.check_part(manifest, index, part)           # one part, before it is stored
        keys = evaluator.load_keys(data, parts)               # all of them
        answer = evaluator.answer(query, keys=keys)
    """

    def __init__(self, plan: PrivatePlan) -> None:
        self.plan = plan
        self._digest = plan.public.digest
        self._circuits: dict[str, Circuit] = {
            name: circuit_of(layout, plan.secret.program) for name, layout in plan.public.layouts.items()
        }

    @property
    def memory_bytes(self) -> int:
        """What the model's plaintexts take in memory."""
        return sum(circuit.memory_bytes for circuit in self._circuits.values())

    def read_manifest(self, data: bytes) -> KeyManifest:
        """Check the manifest of a key set: for which layout it is, and which parts are to come.

        Raises:
            WireError: the bytes are not exactly one manifest, or it is for keys that this plan does not use.
        """
        return key_wire.decode_manifest(data, self.plan.public.layouts)

    def check_part(self, manifest: KeyManifest, index: int, part: bytes) -> None:
        """Check one part of a key set, to the last residue.

        Raises:
            WireError: it is not the part that the manifest names there, or not a key for these parameters.
        """
        key_wire.check_part(manifest, index, part, self._layout(manifest))

    def load_keys(self, manifest: bytes, parts: Sequence[bytes]) -> ClientKeys:
        """A key set, checked and ready for queries.

        Raises:
            WireError: the manifest or a part is malformed, or parts are missing.
        """
        read = self.read_manifest(manifest)
        public, evaluation = key_wire.decode_keys(read, parts, self._layout(read))
        return ClientKeys(
            digest=read.digest,
            layout=read.layout,
            memory_bytes=public.memory_bytes + evaluation.memory_bytes,
            public=public,
            evaluation=evaluation,
        )

    def read_header(self, query: bytes) -> wire.QueryHeader:
        """Which key set a query is under and how many rows it holds, before anything is computed.

        Raises:
            WireError: the bytes do not begin like a query, it is for another plan, or not of so many rows.
        """
        header = wire.decode_query_header(query)
        if header.plan_digest != self._digest:
            raise WireError(
                f"expected a query for the plan {self._digest[:15]}…, got one for {header.plan_digest[:15]}…",
                hint="fetch the model's public plan again",
            )
        if header.layout not in self._circuits:
            raise WireError(f"expected a query in a layout of this plan, got one in the layout {header.layout!r}")
        wire.check_size(query, header, self.plan.public.layout(header.layout))
        return header

    def answer(self, query: bytes, *, keys: ClientKeys) -> bytes:
        """The answer to a query, for the owner of the keys alone.

        Raises:
            WireError: the query is malformed, damaged, or for another plan or key set.
        """
        header = self.read_header(query)
        if (header.key_digest, header.layout) != (keys.digest, keys.layout):
            raise WireError(
                f"expected a query under the keys {keys.digest[:15]}…, got one under {header.key_digest[:15]}…"
            )
        circuit = self._circuits[header.layout]
        layout = circuit.layout
        ciphertexts = wire.decode_query(query, layout)
        results = circuit.evaluate(ciphertexts, keys.evaluation, n_rows=header.n_rows)
        answers = [
            reveal(
                result,
                layout.positions(i, n_rows=header.n_rows),
                public=keys.public,
                flood_bits=layout.flood_bits,
                answer_bits=layout.answer_bits,
                addend=circuit.addends(i, n_rows=header.n_rows),
            )
            for i, result in enumerate(results)
        ]
        return wire.encode_answer(header, answers, query=query, layout=layout)

    def _layout(self, manifest: KeyManifest) -> Layout:
        return self.plan.public.layout(manifest.layout)
