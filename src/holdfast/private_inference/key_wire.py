"""Key sets as bytes: a manifest of digests, then a part for each key, so that an upload can stop and go on.

    part 0      the public key, with which answers are re-randomised
    part 1…     the relinearisation key, where the circuit multiplies; then a key for each rotation, by Galois element

The manifest's checksum is the key set's digest; a part's own checksum is its digest. docs/wire-format.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from holdfast.errors import WireError
from holdfast.evidence import canonical_json
from holdfast.he import SEED_BYTES, EvaluationKeys, Parameters, PublicKey, Residues, SwitchingKey
from holdfast.private_inference import frames
from holdfast.private_inference.circuit import Layout
from holdfast.private_inference.frames import DIGEST_BYTES, HEADER_BYTES, KEY_PART, MANIFEST, Reader, checksum

_PART_FIXED_BYTES: Final = HEADER_BYTES + DIGEST_BYTES + 4 + SEED_BYTES + DIGEST_BYTES


@dataclass(frozen=True, kw_only=True)
class KeyManifest:
    """What is to come in a key set.

    Args:
        digest: of the key set, by which queries name it.
        layout: the layout's name.
        parts: the digest of each part, in order.
        sizes: bytes of each part, in order.
    """

    digest: str
    layout: str
    parts: tuple[str, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class KeySet:
    """A key set as a client uploads it: the manifest, then each part that the service does not have.

    Args:
        digest: by which queries name it.
        manifest: bytes.
        parts: bytes of each part, in order.
    """

    digest: str
    manifest: bytes = field(repr=False)
    parts: tuple[bytes, ...] = field(repr=False)

    @property
    def size_bytes(self) -> int:
        """Bytes of it all."""
        return len(self.manifest) + sum(map(len, self.parts))


def part_sizes(layout: Layout) -> tuple[int, ...]:
    """Bytes of each part of a layout's key set."""
    parameters = layout.parameters
    public = frames.packed_bytes(parameters.primes[: layout.answer_level], parameters.degree)
    keys = [
        parameters.digits(level) * frames.packed_bytes(_primes(parameters, level), parameters.degree)
        for _, level in layout.key_request
    ]
    return tuple(_PART_FIXED_BYTES + size for size in (public, *keys))


def encode_keys(name: str, layout: Layout, public: PublicKey, evaluation: EvaluationKeys) -> KeySet:
    """A client's keys for the layout of a name, as bytes."""
    parameters, purpose = layout.parameters, _purpose(layout)
    primes = parameters.primes[: layout.answer_level]
    bodies = [(public.seed, frames.packed(public.body, primes))]
    for element, level in layout.key_request:
        key = evaluation[element]
        bodies.append((key.seed, frames.packed(key.bodies, _primes(parameters, level))))
    parts = tuple(
        frames.seal(KEY_PART, name, [purpose, i.to_bytes(4, "little"), seed, body])
        for i, (seed, body) in enumerate(bodies)
    )
    fields = [purpose, len(parts).to_bytes(4, "little"), *(part[-DIGEST_BYTES:] for part in parts)]
    manifest = frames.seal(MANIFEST, name, fields)
    return KeySet(digest=checksum(manifest), manifest=manifest, parts=parts)


def decode_manifest(data: bytes, layouts: Mapping[str, Layout]) -> KeyManifest:
    """A manifest, for one of a plan's layouts.

    Raises:
        WireError: the bytes are not exactly one manifest, or it is of keys for other parameters.
    """
    reader = Reader(data, MANIFEST)
    if reader.layout not in layouts:
        raise WireError(f"expected keys for a layout of this plan, got keys for the layout {reader.layout!r}")
    layout = layouts[reader.layout]
    sizes = part_sizes(layout)
    reader.expect_size(HEADER_BYTES + DIGEST_BYTES + 4 + (len(sizes) + 1) * DIGEST_BYTES)
    reader.verify_checksum()
    _check_purpose(reader, layout)
    if (count := reader.number()) != len(sizes):
        raise WireError(f"expected a key set of {len(sizes)} parts, got one of {count}")
    parts = tuple(reader.digest() for _ in sizes)
    if len(set(parts)) < len(parts):
        raise WireError("expected a key set of parts that differ, got one part twice")
    return KeyManifest(digest=checksum(data), layout=reader.layout, parts=parts, sizes=sizes)


def check_part(manifest: KeyManifest, index: int, data: bytes, layout: Layout) -> None:
    """Check one part of a key set, to the last residue.

    Raises:
        WireError: it is not the part that the manifest names there, or not a key for these parameters.
    """
    _decode_part(manifest, index, data, layout)


def decode_keys(manifest: KeyManifest, parts: Sequence[bytes], layout: Layout) -> tuple[PublicKey, EvaluationKeys]:
    """A whole key set.

    Raises:
        WireError: a part is missing, or is not what it should be.
    """
    if len(parts) != len(manifest.parts):
        raise WireError(f"expected a key set of {len(manifest.parts)} parts, got {len(parts)}")
    bodies = [_decode_part(manifest, i, part, layout) for i, part in enumerate(parts)]
    parameters = layout.parameters
    public = PublicKey(parameters=parameters, seed=bodies[0].seed, body=bodies[0].residues[0])
    keys = {
        element: SwitchingKey(parameters=parameters, element=element, seed=body.seed, bodies=body.residues)
        for (element, _), body in zip(layout.key_request, bodies[1:], strict=True)
    }
    return public, EvaluationKeys(parameters=parameters, keys=keys)


class _Body(NamedTuple):
    """What a part holds of a key: the seed of its uniform halves, and the others (digits, primes, N)."""

    seed: bytes
    residues: Residues


def _decode_part(manifest: KeyManifest, index: int, data: bytes, layout: Layout) -> _Body:
    reader = Reader(data, KEY_PART)
    if not 0 <= index < len(manifest.parts):
        raise WireError(f"expected one of {len(manifest.parts)} parts of a key set, got part {index}")
    reader.expect_size(manifest.sizes[index])
    reader.verify_checksum()
    if checksum(data) != manifest.parts[index] or reader.layout != manifest.layout:
        raise WireError(f"expected the part {manifest.parts[index][:15]}… of the key set, got another")
    _check_purpose(reader, layout)
    if (number := reader.number()) != index:
        raise WireError(f"expected part {index} of the key set, got part {number}")
    parameters, seed = layout.parameters, reader.take(SEED_BYTES)
    if index == 0:
        return _Body(seed, reader.residues(parameters.primes[: layout.answer_level], parameters.degree))
    _, level = list(layout.key_request)[index - 1]
    count = parameters.digits(level)
    return _Body(seed, reader.residues(_primes(parameters, level), parameters.degree, count=count))


def _primes(parameters: Parameters, level: int) -> tuple[int, ...]:
    """The primes of a switching key at a level."""
    return (*parameters.primes[:level], *parameters.special_primes)


def _purpose(layout: Layout) -> bytes:
    """What a key set is for, as a digest: parameters, and which keys."""
    wanted = {
        "parameters": layout.parameters.to_json(),
        "public_key_level": layout.answer_level,
        "keys": layout.key_request.to_json(),
    }
    return hashlib.sha256(canonical_json(wanted)).digest()


def _check_purpose(reader: Reader, layout: Layout) -> None:
    if reader.take(DIGEST_BYTES) != _purpose(layout):
        raise WireError(
            "expected keys for the parameters of this plan, got keys for others",
            hint="fetch the model's public plan again, and make new keys",
        )
