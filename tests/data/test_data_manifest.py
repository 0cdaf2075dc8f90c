"""The manifest: every change of a data set is named, by the row, and a damaged manifest is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.data import Dataset, Feature, Manifest, ManifestDiff, Schema, build_manifest, compare
from holdfast.errors import IntegrityError, WireError

from .data_strategies import datasets

BITS = Schema(
    features=(Feature(name="a", kind="integer", low=0, high=9), Feature(name="b", kind="integer", low=0, high=9)),
    target="y",
    classes=("n", "p"),
)


def rows(values: list[int]) -> Dataset:
    """One row for each number, equal for equal numbers."""
    X = np.array([[value % 10, value // 10] for value in values], dtype=np.float64).reshape(-1, 2)
    return Dataset(BITS, X, np.zeros(len(values), dtype=np.int64))


def positions(changes: Any) -> list[tuple[int, int]]:
    return [(change.before, change.after) for change in changes]


@settings(deadline=None)
@given(datasets(), st.data())
def test_any_flipped_value_names_exactly_its_row(data: Dataset, draw: st.DataObject) -> None:
    manifest = build_manifest(data, block_rows=draw.draw(st.integers(1, 5)))
    X, y = data.X.copy(), data.y.copy()
    row, column = draw.draw(st.integers(0, len(data) - 1)), draw.draw(st.integers(0, X.shape[1]))
    if column == X.shape[1]:
        y[row] = (y[row] + 1) % len(data.schema.classes)
    else:
        X[row, column] = 0.5 if np.isnan(X[row, column]) else np.nextafter(X[row, column], np.inf)
    diff = compare(manifest, Dataset(data.schema, X, y))
    assert positions(diff.changed) == [(row, row)]
    assert not any((diff.added, diff.removed, diff.moved, diff.schema_changed))
    assert compare(manifest, data).same


def test_every_value_of_the_tumour_data_is_guarded(tumour: Dataset) -> None:
    manifest = build_manifest(tumour)
    rng = np.random.default_rng(0)
    for row, column in zip(rng.integers(0, 569, 60), rng.integers(0, 30, 60), strict=True):
        X = tumour.X.copy()
        X[row, column] = np.nextafter(X[row, column], np.inf)
        assert positions(compare(manifest, Dataset(tumour.schema, X, tumour.y)).changed) == [(row, row)]


def test_many_scattered_changes_are_each_named(tumour: Dataset) -> None:
    chosen = [0, 1, 100, 300, 301, 302, 568]
    X, y = tumour.X.copy(), tumour.y.copy()
    X[chosen, 3] += 1
    y[50] = 1 - y[50]
    diff = compare(build_manifest(tumour), Dataset(tumour.schema, X, y))
    assert [change.after for change in diff.changed] == sorted([*chosen, 50])
    assert not any((diff.added, diff.removed, diff.moved))


def test_a_row_in_front_does_not_mark_all_others(tumour: Dataset) -> None:
    manifest = build_manifest(tumour.take(np.arange(1, 569)))
    diff = compare(manifest, tumour)
    assert diff == ManifestDiff(added=(0,))
    assert str(diff) == "1 row added (0)"


def test_removed_added_and_changed_rows_are_told_apart(tumour: Dataset) -> None:
    X = tumour.X.copy()
    X[200, 0] += 1
    altered = Dataset(tumour.schema, X, tumour.y)
    kept = np.setdiff1d(np.arange(569), [10, 400])
    now = altered.take(np.concatenate([kept[:50], [568], kept[50:]]))
    diff = compare(build_manifest(tumour), now)
    assert diff.removed == (10, 400)
    assert positions(diff.changed) == [(200, 200)]
    assert diff.added == (50,)
    assert not diff.moved


def test_a_moved_row_is_moved_and_not_changed(tumour: Dataset) -> None:
    order = [*range(1, 300), 0, *range(300, 569)]
    diff = compare(build_manifest(tumour), tumour.take(order))
    assert positions(diff.moved) == [(0, 299)]
    assert not any((diff.changed, diff.added, diff.removed))


@settings(deadline=None, max_examples=300)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=14), st.lists(st.integers(0, 5), min_size=1, max_size=14))
def test_a_diff_accounts_for_every_row_of_both_sides(before: list[int], after: list[int]) -> None:
    """Also where most rows have twins: what is not named is the same, in the same order."""
    diff = compare(build_manifest(rows(before)), rows(after))
    gone = set(diff.removed) | {c.before for c in (*diff.changed, *diff.moved)}
    come = set(diff.added) | {c.after for c in (*diff.changed, *diff.moved)}
    assert len(gone) == len(diff.removed) + len(diff.changed) + len(diff.moved)
    assert len(come) == len(diff.added) + len(diff.changed) + len(diff.moved)
    assert [v for i, v in enumerate(before) if i not in gone] == [v for j, v in enumerate(after) if j not in come]
    assert all(before[move.before] == after[move.after] for move in diff.moved)
    assert diff.same == (before == after)
    new = sorted(after[j] for j in [*diff.added, *(c.after for c in diff.changed)])
    rest = list(after)
    for value in before:
        if value in rest:
            rest.remove(value)
    assert new == sorted(rest)


def test_another_schema_is_named() -> None:
    data = rows([1, 2, 3])
    wider = Schema(
        features=(BITS.features[0], Feature(name="b", kind="integer", low=0, high=99)), target="y", classes=BITS.classes
    )
    diff = compare(build_manifest(data), Dataset(wider, data.X, data.y))
    assert diff == ManifestDiff(schema_changed=True)
    assert not diff.same
    assert str(diff) == "the schema is another"


class TestSalt:
    def test_two_manifests_of_the_same_rows_have_nothing_in_common(self) -> None:
        data = rows([1, 1, 2])
        one, two = build_manifest(data), build_manifest(data)
        pieces = [{m.row_digests[i : i + 16] for i in range(0, 48, 16)} for m in (one, two)]
        assert pieces[0].isdisjoint(pieces[1])
        assert one.root != two.root

    def test_a_table_of_digests_made_without_the_salt_finds_nothing(self) -> None:
        import hashlib

        data = rows(list(range(100)))
        manifest = build_manifest(data)
        unkeyed = {
            hashlib.blake2b(x.tobytes() + np.int64(y).tobytes(), digest_size=16).digest()
            for x, y in zip(data.X, data.y, strict=True)
        }
        kept = {manifest.row_digests[i : i + 16] for i in range(0, len(manifest.row_digests), 16)}
        assert len(kept) == 100
        assert kept.isdisjoint(unkeyed)

    def test_whoever_has_the_manifest_can_confirm_a_guess_as_its_docstring_admits(self) -> None:
        manifest = build_manifest(rows([42]))
        assert [guess for guess in range(100) if compare(manifest, rows([guess])).same] == [42]


class TestStored:
    @given(datasets(), st.integers(1, 6))
    @settings(deadline=None)
    def test_a_manifest_is_read_back_as_it_was_written(self, data: Dataset, block_rows: int) -> None:
        manifest = build_manifest(data, block_rows=block_rows)
        again = Manifest.from_json(json.loads(json.dumps(manifest.to_json())))
        assert again == manifest
        assert len(again) == len(data)
        assert compare(again, data).same

    def test_it_is_compact(self, tumour: Dataset) -> None:
        assert len(json.dumps(build_manifest(tumour).to_json())) < 23 * len(tumour) + 600

    def test_one_flipped_row_digest_names_its_block(self) -> None:
        document = build_manifest(rows(list(range(50))), block_rows=8).to_json()
        digests = bytearray(base64.b64decode(document["row_digests"]))
        digests[16 * 20] ^= 1
        document["row_digests"] = base64.b64encode(digests).decode()
        with pytest.raises(IntegrityError, match="the block from row 16 does not add up"):
            Manifest.from_json(document)

    @pytest.mark.parametrize("field", ["schema_digest", "salt", "block_rows", "rows", "root", "blocks"])
    def test_a_change_of_any_other_field_is_refused(self, field: str) -> None:
        document = build_manifest(rows(list(range(50))), block_rows=50).to_json()
        value = document[field]
        if field == "blocks":
            document[field] = [value[0][:-1] + ("0" if value[0][-1] != "0" else "1")]
        elif isinstance(value, str):
            document[field] = value[:-1] + ("0" if value[-1] != "0" else "1")
        else:
            document[field] = value + 1
        with pytest.raises(IntegrityError, match="manifest"):
            Manifest.from_json(document)

    MALFORMED: tuple[tuple[dict[str, Any], str], ...] = (
        ({"format": "holdfast-manifest-2"}, "expected a manifest in the format"),
        ({"salt": "xyz"}, "malformed"),
        ({"salt": "00"}, "salt of 32 bytes"),
        ({"salt": 5}, "as strings"),
        ({"row_digests": "AAAA"}, "16 bytes for each row"),
        ({"row_digests": "!!!!"}, "malformed"),
        ({"row_digests": ""}, "16 bytes for each row"),
        ({"rows": "50"}, "whole numbers"),
        ({"rows": True}, "whole numbers"),
        ({"rows": 10**12}, "1 to 20000000 rows"),
        ({"block_rows": 0}, "at least one row"),
        ({"blocks": "all"}, "a list of blocks"),
        ({"comment": "hello"}, "differs in comment"),
    )

    @pytest.mark.parametrize(("change", "message"), MALFORMED)
    def test_a_malformed_manifest_is_refused(self, change: dict[str, Any], message: str) -> None:
        document = build_manifest(rows([1, 2])).to_json()
        with pytest.raises(WireError, match=message):
            Manifest.from_json({**document, **change})

    def test_what_is_no_manifest_at_all_is_refused(self) -> None:
        for document in (None, [], "manifest", {}, 5):
            with pytest.raises(WireError, match="expected a manifest"):
                Manifest.from_json(document)
        document = build_manifest(rows([1, 2])).to_json()
        del document["salt"]
        with pytest.raises(WireError, match="differs in salt"):
            Manifest.from_json(document)
