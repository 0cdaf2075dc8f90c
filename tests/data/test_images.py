"""Labelled pictures: what does not fit together is refused, and a file from outside cannot do harm."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from holdfast.data import build_manifest
from holdfast.data.image_checks import check_images
from holdfast.data.images import Images, load_images
from holdfast.errors import DataError, InputError, UsageError

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 5, 4, 1), dtype=np.uint8)
Y = np.arange(60) % 3


@pytest.fixture
def images() -> Images:
    return Images(PIXELS, Y, ("a", "b", "c"))


def test_common_shapes_are_taken(images: Images) -> None:
    assert Images.of(PIXELS[:, :, :, 0], Y[:, None], ("a", "b", "c")).digest == images.digest
    assert Images.of(PIXELS, Y.astype(np.uint8)).classes == ("0", "1", "2")
    assert Images.of(PIXELS[:1], np.zeros(1, dtype=int)).classes == ("0", "1"), "two classes at least"


@pytest.mark.parametrize(
    ("pixels", "labels", "classes", "says"),
    [
        (PIXELS / 255, Y, None, "expected pixels as uint8"),
        (PIXELS[:, 0, 0], Y, None, "expected pixels as uint8"),
        (PIXELS[:, :0], Y, None, "expected pixels as uint8"),
        (PIXELS, Y[:5], None, "as label for each of 60"),
        (PIXELS, Y / 1.0, None, "whole numbers from 0"),
        (PIXELS, Y - 1, ("a", "b", "c"), "expected labels from 0 to 2, got -1 to 1"),
        (PIXELS, Y, ("a", "b"), "expected labels from 0 to 1"),
        (PIXELS, Y, ("a", "a", "b"), "different classes"),
        (PIXELS, Y, ("a", "", "b"), "names of 1 to 200 characters"),
        (PIXELS, Y + 5000, None, "whole numbers from 0 to 999"),
        (PIXELS[:0], Y[:0], None, "whole numbers from 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(pixels: object, labels: object, classes: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        Images.of(pixels, labels, classes)


def test_the_digest_stands_for_every_value(images: Images) -> None:
    pixels, y = PIXELS.copy(), Y.copy()
    pixels[3, 2, 1, 0] ^= 1
    y[7] = (y[7] + 1) % 3
    others = [
        Images(pixels, Y, images.classes),
        Images(PIXELS, y, images.classes),
        Images(PIXELS, Y, ("a", "b", "d")),
        Images(PIXELS.reshape(60, 4, 5, 1), Y, images.classes),
        images.take(np.arange(59, -1, -1)),
    ]
    assert len({images.digest, *(other.digest for other in others)}) == 6
    assert images.take(np.arange(60)).digest == images.digest


def test_nothing_can_be_changed_from_outside() -> None:
    pixels = PIXELS.copy()
    images = Images(pixels, Y, ("a", "b", "c"))
    pixels[0] = 0
    assert (images.pixels[0] == PIXELS[0]).all()
    with pytest.raises(ValueError, match="read-only"):
        images.pixels[0] = 1


class TestSplit:
    def test_a_picture_that_leaves_moves_no_other(self, images: Images) -> None:
        whole = {picture.tobytes() for picture in images.split(test_fraction=0.4, seed=1)[1].pixels}
        part = images.take(np.arange(20, 60)).split(test_fraction=0.4, seed=1)[1]
        assert {picture.tobytes() for picture in part.pixels} <= whole

    def test_repeated_pictures_are_on_one_side_whatever_their_labels(self, images: Images) -> None:
        twice = Images(np.concatenate([PIXELS, PIXELS]), np.concatenate([Y, (Y + 1) % 3]), images.classes)
        sides = [{p.tobytes() for p in side.pixels} for side in twice.split(test_fraction=0.5, seed=0)]
        assert sides[0].isdisjoint(sides[1])

    @pytest.mark.parametrize("fraction", [0.0, 1.0, -1, np.nan])
    def test_a_fraction_that_means_nothing_is_refused(self, images: Images, fraction: float) -> None:
        with pytest.raises(UsageError, match="between 0 and 1"):
            images.split(test_fraction=fraction, seed=0)

    def test_a_class_without_a_picture_on_a_side_is_refused(self, images: Images) -> None:
        with pytest.raises(DataError, match="after the split"):
            images.take(np.arange(4)).split(test_fraction=0.5, seed=0)


class TestFiles:
    def test_a_written_archive_is_read_back(self, images: Images, tmp_path: Path) -> None:
        np.savez_compressed(tmp_path / "a.npz", pixels=PIXELS, labels=Y, classes=np.array(["a", "b", "c"]))
        assert load_images(tmp_path / "a.npz").digest == images.digest

    def test_objects_are_never_made(self, tmp_path: Path) -> None:
        class Harm:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return open, (str(tmp_path / "harm"), "w")  # type: ignore[return-value]

        np.savez(tmp_path / "a.npz", pixels=np.array([Harm()], dtype=object), labels=Y)
        with pytest.raises(InputError, match="got object"):
            load_images(tmp_path / "a.npz")
        raw = io.BytesIO()
        with zipfile.ZipFile(raw, "w") as archive:
            archive.writestr("pixels.npy", pickle.dumps(Harm()))
            archive.writestr("labels.npy", b"")
        (tmp_path / "b.npz").write_bytes(raw.getvalue())
        with pytest.raises(InputError, match="as a NumPy array"):
            load_images(tmp_path / "b.npz")
        assert not (tmp_path / "harm").exists()

    @pytest.mark.parametrize(
        ("header", "says"),
        [
            ("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000000, 1, 1), }", "at most"),
            ("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 2, 2), }", "got uint8"),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2, 2), }", "got float64"),
            ("{'descr': '|u1', 'fortran_order': False, 'shape': (9, 2, 2), }", "as a NumPy array"),
            ("{'descr': __import__('os'), }", "as a NumPy array"),
            ("[" * 5000, "as a NumPy array"),
        ],
    )
    def test_a_header_that_lies_is_refused_before_memory_is_taken(self, tmp_path: Path, header: str, says: str) -> None:
        text = header.encode() + b"\n"
        array = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + b"\0" * 4
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("pixels.npy", array)
            archive.writestr("labels.npy", array)
        with pytest.raises(InputError, match=says):
            load_images(tmp_path / "a.npz")

    def test_a_small_file_that_unpacks_to_a_large_one_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("holdfast.limits.MAX_TABLE_BYTES", 10_000)
        np.savez_compressed(tmp_path / "a.npz", pixels=np.zeros((20, 100, 100), dtype=np.uint8), labels=Y[:20])
        assert (tmp_path / "a.npz").stat().st_size < 2_000
        with pytest.raises(InputError, match="at most 10000 bytes"):
            load_images(tmp_path / "a.npz")

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + b"\0" * 50, b"pixels"])
    def test_what_is_no_archive_is_refused(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(InputError, match="expected an archive of pictures"):
            load_images(tmp_path / "a.npz")

    def test_every_flipped_byte_is_refused_or_changes_what_is_read(self, images: Images, tmp_path: Path) -> None:
        path = tmp_path / "a.npz"
        np.savez(path, pixels=PIXELS, labels=Y, classes=np.array(["a", "b", "c"]))
        whole = path.read_bytes()
        for place in range(0, len(whole), 37):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
            try:
                assert load_images(path).digest == images.digest, "a byte that no one reads"
            except InputError:
                continue

    def test_no_file_and_other_arrays_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="found no file"):
            load_images(tmp_path / "none.npz")
        np.savez(tmp_path / "a.npz", x=PIXELS, labels=Y)
        with pytest.raises(InputError, match="expected the arrays pixels and labels") as caught:
            load_images(tmp_path / "a.npz")
        assert "savez" in caught.value.hint


def test_pixels_that_are_fractions_are_refused_with_the_way_to_bytes(tmp_path: Path) -> None:
    np.savez(tmp_path / "scans.npz", pixels=PIXELS / 255, labels=Y)
    with pytest.raises(InputError, match="unsigned whole numbers, got float64") as refused:
        load_images(tmp_path / "scans.npz")
    assert "by 255" in refused.value.hint


def test_labels_that_number_no_class_are_refused_with_what_came() -> None:
    with pytest.raises(DataError, match=r"from 0 to 999, got 60 of bool such as \[False\]"):
        Images.of(PIXELS, Y > 5)
    with pytest.raises(DataError, match="got 0 of int64"):
        Images.of(PIXELS[:0], Y[:0])


def test_no_picture_is_nothing_to_check(images: Images) -> None:
    none = images.take([])
    with pytest.raises(DataError, match="pictures to check, got none"):
        check_images(none, rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="a manifest of, got none"):
        build_manifest(none)


def test_pictures_say_how_many_and_how_large_they_are_in_a_line() -> None:
    pictures = Images.of(np.zeros((3, 4, 5), dtype=np.uint8), np.array([0, 1, 0]))
    assert repr(pictures) == "<Images: 3 of 4 x 5 x 1, 2 classes>"
