"""The public half of a plan: what the client computes with, and the statements about security and leakage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, get_args

from holdfast.errors import UsageError, WireError
from holdfast.evidence import canonical_json, digest_bytes, is_finite_number
from holdfast.limits import MAX_CLASSES, MAX_KEY_SET_BYTES, MAX_NAME_CHARS, MAX_QUERY_BYTES
from holdfast.models.links import Link, fits
from holdfast.private_inference import statements, wire
from holdfast.private_inference.circuit import Encoding, Layout, ModelKind
from holdfast.private_inference.registry import encoding_from_json, layout_from_json

PUBLIC_FORMAT: Final = "holdfast-private-plan-public-2"
LAYOUT_NAMES: Final = ("row", "batch")
"""A plan has the layout `row`, and may have another for many rows at once."""

MAX_NOTE_CHARS: Final = 2_000
"""Characters of the notes of a plan in all; people read them."""
_BATCH_SHARE: Final = 8
"""The batch layout is worth its keys from this part of its rows on; below, rows go one by one."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How the plan compared with the clear model on rows of the user's.

    Args:
        rows: rows compared in fixed-point or polynomial arithmetic, without encryption.
        same_class: of them, those with the model's own class; equal to `rows` for a regression.
        worst_error: the largest difference of a score.
        encrypted_rows: rows that were also asked under encryption.
        encrypted_error: the largest difference of an encrypted score from the arithmetic in the clear.
    """

    rows: int
    same_class: int
    worst_error: float
    encrypted_rows: int
    encrypted_error: float

    def __post_init__(self) -> None:
        """Refuse counts and errors that cannot be."""
        counts = (self.rows, self.same_class, self.encrypted_rows)
        if not all(type(count) is int and 0 <= count <= self.rows for count in counts):
            raise UsageError("expected counts of rows that agree with each other in the plan's measurement")
        if not all(is_finite_number(error) and error >= 0 for error in (self.worst_error, self.encrypted_error)):
            raise UsageError("expected errors of zero or more in the plan's measurement")


@dataclass(frozen=True, kw_only=True)
class Portion:
    """Some of the rows that a client asks about, and the layout in which one query carries them."""

    layout: str
    rows: slice


@dataclass(frozen=True, eq=False, kw_only=True)
class PublicPlan:
    """What a client needs to ask a model privately; it holds no weight.

    Args:
        kind: of the model.
        encoding: from rows to numbers.
        layouts: `row`, and for models that gain by it `batch`.
        link: from scores to predictions.
        classes: their names; none for a regression.
        measured: how the plan compared with the clear model; None where there were no rows to compare on.
        notes: sentences about the model that the client should know.
        commitment: SHA-256 of the salted secret half, which makes the plan that of one model.

    Raises:
        UsageError: a field is out of bounds, or the fields do not go together.
    """

    kind: ModelKind
    encoding: Encoding
    layouts: Mapping[str, Layout]
    link: Link
    classes: tuple[str, ...]
    measured: Measured | None
    notes: tuple[str, ...]
    commitment: str

    def __post_init__(self) -> None:
        """Refuse what cannot be asked, or not securely."""
        if self.kind not in get_args(ModelKind) or self.link not in get_args(Link):
            raise UsageError(
                f"expected a kind of model and a link that are known, got {self.kind!r:.40}, {self.link!r:.40}"
            )
        if "row" not in self.layouts or not self.layouts.keys() <= set(LAYOUT_NAMES):
            raise UsageError(
                f"expected the layout row, and perhaps batch, got {', '.join(map(str, self.layouts))[:80]}"
            )
        object.__setattr__(self, "layouts", MappingProxyType(dict(self.layouts)))
        for name, layout in self.layouts.items():
            _check_layout(name, layout, self)
        _check_texts(self.classes, self.notes)
        if not fits(self.link, outputs=self.n_outputs, classes=len(self.classes)):
            raise UsageError(
                f"expected scores that the link {self.link} takes for {len(self.classes)} classes, got {self.n_outputs}"
            )
        if not isinstance(self.commitment, str) or not _is_digest(self.commitment):
            raise UsageError("expected a commitment sha256:…")

    @property
    def n_features(self) -> int:
        """Features of a row as users have it."""
        return self.encoding.n_features

    @property
    def n_outputs(self) -> int:
        """Scores per row."""
        return self.layouts["row"].n_outputs

    @property
    def max_rows(self) -> int:
        """Rows that the largest query holds."""
        return max(layout.max_rows for layout in self.layouts.values())

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON; queries and answers carry it."""
        return digest_bytes(canonical_json(self.to_json()))

    @property
    def security(self) -> str:
        """The statement of security, in the field's terms."""
        return statements.security(self.layouts)

    @property
    def leakage(self) -> str:
        """What client and server learn, in plain words and numbers."""
        return statements.leakage(self.kind, self.layouts, notes=self.notes)

    def layout(self, name: str) -> Layout:
        """The layout of a name.

        Raises:
            UsageError: the plan has none.
        """
        if name not in self.layouts:
            raise UsageError(f"expected one of the plan's layouts {', '.join(self.layouts)}, got {name!r:.40}")
        return self.layouts[name]

    def split(self, n_rows: int) -> Iterator[Portion]:
        """How so many rows are asked: query by query, in order."""
        batch = self.layouts.get("batch")
        at = 0
        while at < n_rows:
            use_batch = batch is not None and n_rows - at >= _worth_a_batch(batch)
            name = "batch" if use_batch else "row"
            end = min(n_rows, at + self.layouts[name].max_rows)
            yield Portion(layout=name, rows=slice(at, end))
            at = end

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON; `from_json` is its inverse."""
        return {
            "format": PUBLIC_FORMAT,
            "kind": self.kind,
            "encoding": self.encoding.to_json(),
            "layouts": {name: layout.to_json() for name, layout in self.layouts.items()},
            "link": self.link,
            "classes": list(self.classes),
            "measured": None if self.measured is None else vars(self.measured),
            "notes": list(self.notes),
            "commitment": self.commitment,
        }

    @classmethod
    def from_json(cls, document: object) -> PublicPlan:
        """Read a public half back.

        Raises:
            WireError: it is not one, in the format that this version knows, or not one that a client should use.
        """
        values = _fields(document)
        try:
            canonical_json(values)  # refuses what is no JSON, such as NaN, before anything is made of it
            measured = values["measured"]
            return cls(
                kind=values["kind"],
                encoding=encoding_from_json(values["encoding"]),
                layouts={name: layout_from_json(layout) for name, layout in values["layouts"].items()},
                link=values["link"],
                classes=_texts(values["classes"]),
                measured=None if measured is None else Measured(**measured),
                notes=_texts(values["notes"]),
                commitment=values["commitment"],
            )
        except (UsageError, TypeError, AttributeError, RecursionError) as error:
            raise WireError(f"the public plan is malformed: {error}") from None


def _fields(document: object) -> dict[str, Any]:
    found = document.get("format") if isinstance(document, Mapping) else type(document).__name__
    if not isinstance(document, Mapping) or found != PUBLIC_FORMAT:
        raise WireError(
            f"expected a plan in the format {PUBLIC_FORMAT}, got {found!r:.80}", hint="seal the model again"
        )
    names = {"format", "kind", "encoding", "layouts", "link", "classes", "measured", "notes", "commitment"}
    if set(document) != names:
        raise WireError(f"expected the fields {', '.join(sorted(names))} in the plan, got {', '.join(document)[:200]}")
    return dict(document)


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise UsageError("expected a list of texts")
    return tuple(value)


def _check_texts(classes: tuple[str, ...], notes: tuple[str, ...]) -> None:
    if not all(isinstance(name, str) and 0 < len(name) <= MAX_NAME_CHARS for name in classes):
        raise UsageError(f"expected class names of 1 to {MAX_NAME_CHARS} characters")
    if len(classes) > MAX_CLASSES or len(set(classes)) != len(classes):
        raise UsageError(f"expected at most {MAX_CLASSES} different classes, got {len(classes)}")
    if not all(isinstance(note, str) for note in notes) or sum(map(len, notes)) > MAX_NOTE_CHARS:
        raise UsageError(f"expected notes of {MAX_NOTE_CHARS} characters in all")


def _check_layout(name: str, layout: Layout, plan: PublicPlan) -> None:
    """Bounds for what a client is asked to do, and the fit of its numbers."""
    if layout.width != plan.encoding.width or layout.n_outputs != plan.n_outputs:
        raise UsageError(
            f"expected the layout {name} to take the {plan.encoding.width} numbers that the encoding gives"
        )
    if name == "row" and wire.least_rows(layout) > 1:
        raise UsageError(f"expected a layout row that takes single rows, got one of {wire.least_rows(layout)} at least")
    keys, query = statements.key_set_bytes(layout), statements.query_bytes(layout, layout.max_rows)
    if keys > MAX_KEY_SET_BYTES or query > MAX_QUERY_BYTES:
        raise UsageError(
            f"expected keys of at most {MAX_KEY_SET_BYTES} bytes and queries of {MAX_QUERY_BYTES}, the layout {name}"
            f" asks for {keys} and {query}"
        )


def _worth_a_batch(batch: Layout) -> int:
    return max(2, batch.max_rows // _BATCH_SHARE, wire.least_rows(batch))


def _is_digest(text: str) -> bool:
    return text.startswith("sha256:") and len(text) == 71 and set(text[7:]) <= set("0123456789abcdef")
