"""Queries and answers as bytes. One encoding per value; docs/wire-format.md. Key sets are in `key_wire.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from holdfast.errors import WireError
from holdfast.he import SEED_BYTES, Answer, Bound, Ciphertext, coefficients_bound, expand, slots_bound
from holdfast.private_inference import frames
from holdfast.private_inference.circuit import Layout
from holdfast.private_inference.frames import ANSWER, DIGEST_BYTES, HEADER_BYTES, QUERY, Reader, checksum

__all__ = [
    "AnswerMessage",
    "QueryHeader",
    "answer_bytes",
    "answered_query",
    "check_size",
    "checksum",
    "decode_answer",
    "decode_query",
    "decode_query_header",
    "encode_answer",
    "encode_query",
    "least_rows",
    "message_bound",
    "query_bytes",
    "revealed",
]

_FIXED_BYTES = HEADER_BYTES + 3 * DIGEST_BYTES + 4


@dataclass(frozen=True, kw_only=True)
class QueryHeader:
    """What a query says of itself before its ciphertexts are looked at. Digests are `sha256:…`."""

    plan_digest: str
    key_digest: str
    layout: str
    n_rows: int


@dataclass(frozen=True, eq=False, kw_only=True)
class AnswerMessage:
    """An answer: the query's header and checksum, and what is revealed."""

    header: QueryHeader
    query_checksum: str
    answers: tuple[Answer, ...] = field(repr=False)


def query_bytes(layout: Layout, n_rows: int) -> int:
    """The size of a query of so many rows."""
    primes, degree = layout.parameters.primes[: layout.query_level], layout.parameters.degree
    return _FIXED_BYTES + SEED_BYTES + layout.n_ciphertexts(n_rows) * frames.packed_bytes(primes, degree)


def answer_bytes(layout: Layout, n_rows: int) -> int:
    """The size of the answer to it."""
    second = frames.words_bytes(layout.answer_bits, layout.parameters.degree)
    sizes = [len(layout.positions(i, n_rows=n_rows)) for i in range(layout.n_answers(n_rows))]
    first = sum(frames.words_bytes(layout.answer_bits, size) for size in sizes)
    return _FIXED_BYTES + DIGEST_BYTES + first + len(sizes) * second


def revealed(layout: Layout, n_rows: int) -> int:
    """The coefficients that the answer to a query of so many rows reveals."""
    return sum(len(layout.positions(i, n_rows=n_rows)) for i in range(layout.n_answers(n_rows)))


def least_rows(layout: Layout) -> int:
    """The fewest rows of a query: half of those that share an answer.

    Such an answer reveals as much for one of them as for all, to whoever encrypts something else than rows; a budget
    that counts rows bounds it only if there are about as many.
    """
    sharing, alone = 1, revealed(layout, 1)
    while 2 * sharing <= layout.max_rows and revealed(layout, 2 * sharing) == alone:
        sharing *= 2
    return max(1, sharing // 2)


def encode_query(header: QueryHeader, ciphertexts: Sequence[Ciphertext], *, seed: bytes, layout: Layout) -> bytes:
    """A query as bytes: the first halves of its ciphertexts; the second ones are grown from the seed."""
    primes = layout.parameters.primes[: layout.query_level]
    bodies = [frames.packed(ciphertext.parts[0], primes) for ciphertext in ciphertexts]
    return frames.seal(QUERY, header.layout, [*_header_fields(header), seed, *bodies])


def decode_query_header(data: bytes) -> QueryHeader:
    """The header of a query; its ciphertexts and its checksum are not looked at.

    Raises:
        WireError: the bytes do not begin like a query.
    """
    return _header(Reader(data, QUERY))


def check_size(query: bytes, header: QueryHeader, layout: Layout) -> None:
    """Refuse a query whose number of rows is out of bounds, or is not what its size bears out.

    Raises:
        WireError: it is so.
    """
    if not least_rows(layout) <= header.n_rows <= layout.max_rows:
        raise WireError(f"expected a query of {least_rows(layout)} to {layout.max_rows} rows, got {header.n_rows}")
    size = query_bytes(layout, header.n_rows)
    if len(query) != size:
        raise WireError(f"expected a query of {size} bytes for {header.n_rows} rows, got {len(query)}")


def decode_query(data: bytes, layout: Layout) -> list[Ciphertext]:
    """The ciphertexts of a query.

    Raises:
        WireError: the bytes are not exactly one query of one to `max_rows` rows.
    """
    reader = Reader(data, QUERY)
    header = _header(reader)
    check_size(data, header, layout)
    reader.verify_checksum()
    seed = reader.take(SEED_BYTES)
    count, parameters = layout.n_ciphertexts(header.n_rows), layout.parameters
    bodies = reader.residues(parameters.primes[: layout.query_level], parameters.degree, count=count)
    message = message_bound(layout)
    return [
        expand(parameters, body, seed=seed, index=i, scale=layout.scale, message=message)
        for i, body in enumerate(bodies)
    ]


def encode_answer(header: QueryHeader, answers: Sequence[Answer], *, query: bytes, layout: Layout) -> bytes:
    """The answer to a query as bytes."""
    fields = [*_header_fields(header), frames.raw(checksum(query))]
    for answer in answers:
        fields += [frames.packed_words(half, layout.answer_bits) for half in (answer.first, answer.second)]
    return frames.seal(ANSWER, header.layout, fields)


def answered_query(data: bytes) -> str:
    """The checksum of the query that an answer is to; the rest of it is not looked at.

    Raises:
        WireError: the bytes do not begin like an answer.
    """
    reader = Reader(data, ANSWER)
    _header(reader)
    return reader.digest()


def decode_answer(data: bytes, layout: Layout, *, n_rows: int) -> AnswerMessage:
    """An answer, for the layout and the rows of the query that it is to.

    Raises:
        WireError: the bytes are not exactly one answer to that many rows.
    """
    reader = Reader(data, ANSWER)
    reader.expect_size(answer_bytes(layout, n_rows))
    reader.verify_checksum()
    header, query_checksum = _header(reader), reader.digest()
    if header.n_rows != n_rows:
        raise WireError(f"expected an answer to {n_rows} rows, got one to {header.n_rows}")
    answers = [
        Answer(
            first=reader.words(layout.answer_bits, len(layout.positions(i, n_rows=n_rows))),
            second=reader.words(layout.answer_bits, layout.parameters.degree),
            level=layout.answer_level,
            answer_bits=layout.answer_bits,
            flood_bits=layout.flood_bits,
        )
        for i in range(layout.n_answers(n_rows))
    ]
    return AnswerMessage(header=header, query_checksum=query_checksum, answers=tuple(answers))


def message_bound(layout: Layout) -> Bound:
    """How large an honest client's message is; a dishonest one spoils its own answer only."""
    bound = slots_bound if layout.packing == "slots" else coefficients_bound
    return bound(layout.parameters, magnitude=layout.magnitude, scale=layout.scale)


def _header(reader: Reader) -> QueryHeader:
    plan_digest, key_digest = reader.digest(), reader.digest()
    return QueryHeader(plan_digest=plan_digest, key_digest=key_digest, layout=reader.layout, n_rows=reader.number())


def _header_fields(header: QueryHeader) -> list[bytes]:
    return [frames.raw(header.plan_digest), frames.raw(header.key_digest), header.n_rows.to_bytes(4, "little")]
