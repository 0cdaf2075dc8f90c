"""What became of the rows of a manifest: kept, changed, moved, added or removed."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from holdfast.data.dataset import Dataset
from holdfast.data.images import Images
from holdfast.data.manifest import ROW_BYTES, Manifest, digest_rows, schema_digest


@dataclass(frozen=True)
class RowChange:
    """One row, by its position in the manifest and its position now."""

    before: int
    after: int


@dataclass(frozen=True, kw_only=True)
class ManifestDiff:
    """What became of the rows of a manifest. Rows that are not named are the same, in the same order.

    Args:
        changed: rows with other content where the old one stood.
        moved: rows of the same content at another place among the others.
        added: positions now of rows that are new.
        removed: positions in the manifest of rows that are gone.
        schema_changed: the schema is another. Rows are then compared by their numbers, which may mean something else.

    Which of two neighbours is "changed" and which "added" is a choice where several rows in a row differ; that rows
    differ is not: content in the data set and not in the manifest is always named as changed or added, and content in
    the manifest and not in the data set as changed or removed.
    """

    changed: tuple[RowChange, ...] = ()
    moved: tuple[RowChange, ...] = ()
    added: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()
    schema_changed: bool = False

    @property
    def same(self) -> bool:
        """Whether the data set is exactly what the manifest was made of."""
        return not (self.changed or self.moved or self.added or self.removed or self.schema_changed)

    def __str__(self) -> str:
        if self.same:
            return "no row has changed"
        parts = [
            _count("changed", [row.after for row in self.changed]),
            _count("added", self.added),
            _count("removed", self.removed),
            _count("moved", [row.after for row in self.moved]),
        ]
        parts += ["the schema is another"] * self.schema_changed
        return "; ".join(part for part in parts if part)


def compare(manifest: Manifest, dataset: Dataset | Images) -> ManifestDiff:
    """Compare a table, or pictures, with the manifest of an earlier state.

    Content decides, not position: a row put in front does not make all others change. O(n log n) in the rows.
    """
    before = _split(manifest.row_digests)
    after = _split(digest_rows(dataset, salt=manifest.salt))
    start, end = _common_ends(before, after)
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    pairs = _pairs_of_equals(old, new)
    kept = _longest_in_order(pairs)
    moved = sorted(set(pairs) - set(kept))
    changed, removed, added = _gaps(kept, moved, len(old), len(new))
    return ManifestDiff(
        changed=tuple(RowChange(start + i, start + j) for i, j in changed),
        moved=tuple(RowChange(start + i, start + j) for i, j in moved),
        added=tuple(start + j for j in added),
        removed=tuple(start + i for i in removed),
        schema_changed=schema_digest(dataset) != manifest.schema_digest,
    )


Pair = tuple[int, int]


def _split(digests: bytes) -> list[bytes]:
    return [digests[start : start + ROW_BYTES] for start in range(0, len(digests), ROW_BYTES)]


def _common_ends(old: Sequence[bytes], new: Sequence[bytes]) -> Pair:
    """How many rows are equal at the start and, of the rest, at the end."""
    shorter = min(len(old), len(new))
    start = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    rest = shorter - start
    end = next((i for i in range(rest) if old[-1 - i] != new[-1 - i]), rest)
    return start, end


def _pairs_of_equals(old: Sequence[bytes], new: Sequence[bytes]) -> list[Pair]:
    """Rows of equal content, the k-th occurrence with the k-th, in the order of the old rows."""
    places = {key: j for j, key in enumerate(_numbered(new))}
    return [(i, places[key]) for i, key in enumerate(_numbered(old)) if key in places]


def _numbered(rows: Sequence[bytes]) -> list[tuple[bytes, int]]:
    seen: Counter[bytes] = Counter()
    keys = []
    for row in rows:
        keys.append((row, seen[row]))
        seen[row] += 1
    return keys


def _longest_in_order(pairs: Sequence[Pair]) -> list[Pair]:
    """The longest part of the pairs whose new positions rise too: a longest increasing subsequence by patience."""
    tops: list[int] = []  # smallest last new position of a rising run of each length
    best: list[int] = []  # index into pairs of that run's last pair
    previous: list[int] = []
    for index, (_, j) in enumerate(pairs):
        length = bisect_left(tops, j)
        previous.append(best[length - 1] if length else -1)
        tops[length : length + 1] = [j]
        best[length : length + 1] = [index]
    run = []
    index = best[-1] if best else -1
    while index >= 0:
        run.append(pairs[index])
        index = previous[index]
    return run[::-1]


def _gaps(kept: list[Pair], moved: list[Pair], n_old: int, n_new: int) -> tuple[list[Pair], list[int], list[int]]:
    """Between rows that were kept: old and new rows left over, paired as changed while both last."""
    moved_old, moved_new = {i for i, _ in moved}, {j for _, j in moved}
    changed: list[Pair] = []
    removed: list[int] = []
    added: list[int] = []
    for (i0, j0), (i1, j1) in pairwise([(-1, -1), *kept, (n_old, n_new)]):
        gone = [i for i in range(i0 + 1, i1) if i not in moved_old]
        come = [j for j in range(j0 + 1, j1) if j not in moved_new]
        both = min(len(gone), len(come))
        changed += zip(gone[:both], come[:both], strict=True)
        removed += gone[both:]
        added += come[both:]
    return changed, removed, added


def _count(what: str, rows: Sequence[int]) -> str:
    if not rows:
        return ""
    shown = ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")
    return f"{len(rows)} row{'s' * (len(rows) > 1)} {what} ({shown})"
