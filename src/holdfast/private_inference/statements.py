"""What a plan says of security and of leakage, in plain words and numbers, for every kind of model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.he import hint_bits
from holdfast.private_inference import key_wire, wire
from holdfast.private_inference.circuit import Layout, ModelKind

MIN_FLOODING_BITS: Final = 40
"""Statistical security of one answer, the customary figure; a result that cannot be flooded so well is not revealed."""

_SHAPES: Final[Mapping[ModelKind, str]] = {
    "linear": (
        "The plan's precisions tell the size of the weights to within a factor of two. Scores are linear in the row, so"
        " n_features + 1 rows solve for a score's weights, and fewer do for a client that packs several features into"
        " the precision of one answer."
    ),
    "additive": (
        "A score is a sum of one term for each feature, and the plan tells between which values of a feature its term"
        " is constant, real steps among decoys: as many rows as there are such steps solve for the whole model, and"
        " fewer do for a client that encrypts several bins at once."
    ),
    "trees": (
        "A score is the sum of one leaf for each tree. The plan tells the values at which a feature is compared, real"
        " ones among decoys, and the largest depth; it does not tell which tree uses them. Rows that differ in one"
        " comparison tell which ones matter, so a patient client can rebuild the model row by row; one that encrypts"
        " bits that no row has reads sums that no row shows."
    ),
    "network": (
        "The plan tells the number of layers, how wide they may be, rounded up to what ciphertexts hold, how large"
        " their values and weights are, to an eighth and to a factor of two, and whether matrices end in zeros; no"
        " weight. Scores of chosen rows train a copy of the network, as with any model that gives exact scores, and"
        " the same row asked often shows more digits of its scores."
    ),
}


def security(layouts: Mapping[str, Layout]) -> str:
    """The statement of security, in the field's terms."""
    rings = dict.fromkeys(layout.parameters.security() for layout in layouts.values())
    return (
        f"{'; '.join(rings)}; answers re-randomised, and flooded to a statistical distance of at most"
        f" 2^-{MIN_FLOODING_BITS} for each ciphertext answered, in the mean over honest keys and queries; rows are safe"
        " from a server that follows the protocol or not; to a client with keys of its own making the model shows no"
        " more bits for each row than the leakage statement says"
    )


def leakage(kind: ModelKind, layouts: Mapping[str, Layout], *, notes: Sequence[str]) -> str:
    """What client and server learn."""
    row, bits = layouts["row"], max(map(bits_per_row, layouts.values()))
    return (
        f"The client learns, for each row it asks about, {row.n_outputs} score(s), and before that the public plan: the"
        f" number of features, how rows become numbers, the classes. {_SHAPES[kind]} An answer"
        f" reveals a few coefficients, so no client, not one either that encrypts what is no row or makes up keys,"
        f" learns more than {bits} bits about the model for each row of its budget. Only a query budget bounds this;"
        " encryption does not."
        f"{''.join(' ' + note for note in notes)}\n"
        "The server learns the number of rows, the size and the time of a query, and which keys it is under; nothing"
        " about the rows or the scores, as long as ring-LWE is hard and the client keeps to itself whether an answer"
        " decrypts.\n"
        "Neither is authenticated: a server can answer with another model; who asks is established outside (TLS,"
        " token)."
    )


def bits_per_row(layout: Layout) -> int:
    """All that an answer can tell any client of the model, for each row that its query counts as."""
    each = hint_bits(
        layout.parameters, layout.answer_level, flood_bits=layout.flood_bits, answer_bits=layout.answer_bits
    )
    least = wire.least_rows(layout)
    counts = {least, min(2 * least + 1, layout.max_rows)}  # a group of rows as empty as may be, alone and after another
    return math.ceil(max(wire.revealed(layout, n) / n for n in counts) * each)


def key_set_bytes(layout: Layout) -> int:
    """Bytes of a client's keys for a layout."""
    return sum(key_wire.part_sizes(layout))


def query_bytes(layout: Layout, n_rows: int) -> int:
    """Bytes of a query of so many rows."""
    return wire.query_bytes(layout, n_rows)
