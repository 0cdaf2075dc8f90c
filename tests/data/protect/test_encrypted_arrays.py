"""Arrays at rest: they are read as NumPy would read them, row by row, and no change goes unseen."""

from __future__ import annotations

import json
import os
import pickle
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from holdfast.data.protect import ProjectKey, open_arrays, write_arrays
from holdfast.data.protect.array_header import CHUNK_BYTES, MAX_ARRAYS, MAX_HEADER_BYTES, Header, describe
from holdfast.errors import CredentialError, DataError, HoldfastError, InputError, IntegrityError, UsageError, WireError
from holdfast.stream import TAG_BYTES

ROWS = 400
PIXELS = np.random.default_rng(0).integers(0, 256, (ROWS, 28, 28), dtype=np.uint8)  # 20 chunks
LABELS = np.arange(ROWS, dtype=np.int64) % 10


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, key: ProjectKey) -> Path:
    """A file that no test changes."""
    path = tmp_path_factory.mktemp("arrays") / "scans.hfa"
    write_arrays(path, {"pixels": PIXELS, "y": LABELS}, key=key)
    return path


@pytest.fixture
def put(tmp_path: Path) -> Callable[[bytes], Path]:
    def put_down(data: bytes) -> Path:
        (tmp_path / "forged.hfa").write_bytes(data)
        return tmp_path / "forged.hfa"

    return put_down


def payload(data: bytes) -> int:
    """Where the stream of a file begins."""
    at = 17
    for _ in range(2):
        at += 4 + int.from_bytes(data[at : at + 4])
    return at


DTYPES = npst.boolean_dtypes() | npst.integer_dtypes() | npst.unsigned_integer_dtypes() | npst.floating_dtypes()


@settings(max_examples=30)
@given(data=st.data())
def test_any_array_of_numbers_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, key: ProjectKey, data: st.DataObject
) -> None:
    shapes = npst.array_shapes(min_dims=1, max_dims=4, max_side=40)
    written = data.draw(
        st.dictionaries(st.text(min_size=1, max_size=9), npst.arrays(DTYPES, shapes), min_size=1, max_size=3)
    )
    file = tmp_path_factory.mktemp("any") / "a.hfa"
    write_arrays(file, written, key=key)
    with open_arrays(file, key=key) as arrays:
        assert set(arrays) == set(written)
        for name, array in written.items():
            assert (arrays[name].shape, len(arrays[name])) == (array.shape, len(array))
            assert arrays[name].dtype == array.dtype.newbyteorder("<")
            np.testing.assert_array_equal(arrays[name][:], array)


ROW = st.integers(-ROWS, ROWS - 1)


@given(
    rows=ROW
    | st.slices(ROWS)
    | st.lists(ROW, max_size=20)
    | st.lists(st.tuples(ROW, ROW), min_size=1, max_size=5)
    | npst.arrays(bool, ROWS)
)
@settings(max_examples=80)
def test_rows_are_the_ones_that_numpy_gives(path: Path, key: ProjectKey, rows: Any) -> None:
    as_numpy = np.array(rows, dtype=int) if isinstance(rows, list) else rows
    with open_arrays(path, key=key) as arrays:
        np.testing.assert_array_equal(arrays["pixels"][rows], PIXELS[as_numpy])
        np.testing.assert_array_equal(arrays["y"][rows], LABELS[as_numpy])


@pytest.mark.parametrize(
    ("rows", "error"),
    [(ROWS, IndexError), (-ROWS - 1, IndexError), ([0, ROWS], IndexError), (1.5, UsageError), ("1", UsageError)],
)
def test_rows_that_are_not_there_are_refused(path: Path, key: ProjectKey, rows: Any, error: type[Exception]) -> None:
    with open_arrays(path, key=key) as arrays, pytest.raises(error, match="expected positions"):
        arrays["pixels"][rows]
    with open_arrays(path, key=key) as arrays, pytest.raises(UsageError, match="or a mask of 400"):
        arrays["pixels"][np.ones(3, dtype=bool)]


def test_one_row_takes_one_chunk_of_memory_and_not_the_file(tmp_path: Path, key: ProjectKey) -> None:
    write_arrays(tmp_path / "a.hfa", {"a": np.zeros((100_000, 100), dtype=np.uint8)}, key=key)
    with open_arrays(tmp_path / "a.hfa", key=key) as arrays:
        tracemalloc.start()
        total = sum(int(arrays["a"][row].sum()) for row in range(0, 100_000, 5_000))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert total == 0
    assert (
        peak < 8 * CHUNK_BYTES
    )  # of ten million: the chunk before and the one read, as they are stored and in the clear


def test_torch_reads_batches_straight_from_the_file(path: Path, key: ProjectKey) -> None:
    torch = pytest.importorskip("torch")
    with open_arrays(path, key=key) as arrays:

        class Scans(torch.utils.data.Dataset):  # type: ignore[misc]
            def __len__(self) -> int:
                return len(arrays["y"])

            def __getitem__(self, row: int) -> tuple[Any, int]:
                return torch.from_numpy(arrays["pixels"][row]), int(arrays["y"][row])

        loader = torch.utils.data.DataLoader(Scans(), batch_size=64, shuffle=True)
        seen = sum(len(labels) for _, labels in loader)
        pixels, labels = next(iter(loader))
    assert (seen, pixels.shape, labels.shape) == (ROWS, (64, 28, 28), (64,))


def test_a_forked_process_reads_the_same_rows(path: Path, key: ProjectKey) -> None:
    with open_arrays(path, key=key) as arrays:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 has one where threads are running
            child = os.fork()
        if child == 0:
            os._exit(0 if all((arrays["pixels"][row] == PIXELS[row]).all() for row in range(0, ROWS, 7)) else 1)
        assert all((arrays["pixels"][row] == PIXELS[row]).all() for row in range(3, ROWS, 5))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_closed_file_is_not_read_and_an_open_one_does_not_travel(path: Path, key: ProjectKey) -> None:
    with open_arrays(path, key=key) as arrays:
        pixels = arrays["pixels"]
        for secret in (arrays, pixels):
            with pytest.raises(UsageError, match=r"leave (its|their) process"):
                pickle.dumps(secret)
    arrays.close()
    with pytest.raises(UsageError, match="was closed"):
        pixels[0]


# Attacks


def test_nothing_of_the_arrays_can_be_read_in_the_file(path: Path) -> None:
    data = path.read_bytes()
    for row in PIXELS:
        assert row.tobytes()[:16] not in data
    assert LABELS[:4].tobytes() not in data
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_key_or_project_or_kind_does_not_open_it(
    path: Path, key: ProjectKey, other_key: ProjectKey, other_project: ProjectKey
) -> None:
    with pytest.raises(CredentialError, match="is encrypted under"):
        open_arrays(path, key=other_key)
    with pytest.raises(IntegrityError, match=r"expected a file of array/claims at .*, got one of 'array/loans'"):
        open_arrays(path, key=other_project)


def read_all(path: Path, key: ProjectKey) -> dict[str, Any]:
    with open_arrays(path, key=key) as arrays:
        return {name: array[:] for name, array in arrays.items()}


def test_no_bit_can_be_flipped_unseen(tmp_path_factory: pytest.TempPathFactory, path: Path, key: ProjectKey) -> None:
    data, forged = path.read_bytes(), tmp_path_factory.mktemp("flip") / "forged.hfa"
    header = payload(data)

    @settings(max_examples=200)
    @given(st.integers(0, 8 * header - 1) | st.integers(8 * header, 8 * len(data) - 1))
    def flip(bit: int) -> None:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        forged.write_bytes(changed)
        with pytest.raises(HoldfastError):
            read_all(forged, key)

    flip()


def test_a_changed_chunk_is_seen_when_it_is_read_and_the_others_are_still_read(
    path: Path, put: Callable[[bytes], Path], key: ProjectKey
) -> None:
    data = bytearray(path.read_bytes())
    data[payload(bytes(data)) + 5] ^= 1
    with open_arrays(put(bytes(data)), key=key) as arrays:
        np.testing.assert_array_equal(arrays["pixels"][200], PIXELS[200])
        with pytest.raises(IntegrityError, match=r"forged.hfa was changed after it was encrypted"):
            arrays["pixels"][0]


def test_a_file_cut_anywhere_or_longer_does_not_open(path: Path, put: Callable[[bytes], Path], key: ProjectKey) -> None:
    data = path.read_bytes()
    begin, step = payload(data), CHUNK_BYTES + TAG_BYTES
    for end in (
        0,
        16,
        17,
        20,
        30,
        begin - 1,
        begin,
        begin + step,
        begin + 3 * step,
        len(data) - 1,
        len(data) - TAG_BYTES,
    ):
        with pytest.raises(HoldfastError):
            open_arrays(put(data[:end]), key=key)
    for more in (b"\0", bytes(step), data[begin:]):
        with pytest.raises(IntegrityError, match="cut off, or longer"):
            open_arrays(put(data + more), key=key)


def test_chunks_cannot_change_places_nor_come_from_another_file(
    tmp_path: Path, path: Path, put: Callable[[bytes], Path], key: ProjectKey
) -> None:
    data = path.read_bytes()
    begin, step = payload(data), CHUNK_BYTES + TAG_BYTES
    first, second = data[begin : begin + step], data[begin + step : begin + 2 * step]
    with pytest.raises(IntegrityError, match="was changed"):
        read_all(put(data[:begin] + second + first + data[begin + 2 * step :]), key)
    write_arrays(tmp_path / "other.hfa", {"pixels": PIXELS, "y": LABELS}, key=key)
    other = (tmp_path / "other.hfa").read_bytes()
    assert payload(other) == begin
    for forged in (data[:begin] + other[begin:], data[:begin] + other[begin : begin + step] + data[begin + step :]):
        with pytest.raises(IntegrityError, match="was changed"):
            read_all(put(forged), key)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"[400,28,28]", b"[400,56,14]"),
        (b"[400,28,28]", b"[200,28,56]"),
        (b"pixels", b"pixela"),
        (b"|u1", b"|b1"),
        (b"<i8", b"<f8"),
    ],
)
def test_what_an_array_is_cannot_be_changed(
    path: Path, put: Callable[[bytes], Path], key: ProjectKey, old: bytes, new: bytes
) -> None:
    data = path.read_bytes()
    end = 21 + int.from_bytes(data[17:21])  # of what describes the arrays; ciphertext may hold anything by chance
    assert data[:end].count(old) == 1
    assert len(old) == len(new)
    with pytest.raises(IntegrityError, match="was changed after it was encrypted"):
        open_arrays(put(data.replace(old, new, 1)), key=key)


def header_with(path: Path, description: object) -> bytes:
    """The file's own key under a description of one's own."""
    data = path.read_bytes()
    begin = 21 + int.from_bytes(data[17:21])
    text = json.dumps(description).encode() if not isinstance(description, bytes) else description
    return data[:17] + len(text).to_bytes(4) + text + data[begin:]


def arrays_of(*shape: object, dtype: object = "|u1", times: int = 1) -> dict[str, Any]:
    return {"arrays": [{"name": f"a{n}", "dtype": dtype, "shape": list(shape)} for n in range(times)]}


@pytest.mark.parametrize(
    "description",
    [
        b"",
        b"[" * 50_000,
        {},
        {"arrays": 5},
        {"arrays": []},
        {"arrays": [{"name": "a"}]},
        {"arrays": 2 * arrays_of(1)["arrays"]},
        arrays_of(-1),
        arrays_of(1.5),
        arrays_of(True),
        arrays_of(5, 0),
        arrays_of(),
        arrays_of(*[1] * 9),
        arrays_of(5, dtype="|O"),
        arrays_of(5, dtype="O"),
        arrays_of(5, dtype="<U9"),
        arrays_of(5, dtype=">f8"),
        arrays_of(5, dtype=[["a", "<f8"]]),
        arrays_of(5, times=MAX_ARRAYS + 1),
    ],
)
def test_a_hostile_description_is_refused_before_a_key_is_asked_for(
    path: Path, put: Callable[[bytes], Path], other_key: ProjectKey, description: object
) -> None:
    with pytest.raises(WireError, match="expected a description of arrays of numbers"):
        open_arrays(put(header_with(path, description)), key=other_key)


@pytest.mark.parametrize("shape", [(2**62, 2**62), (10**18,), (10**300,)])
def test_a_size_that_no_disk_has_is_refused_without_taking_memory(
    path: Path, put: Callable[[bytes], Path], key: ProjectKey, shape: tuple[int, ...]
) -> None:
    with pytest.raises(IntegrityError, match="cut off, or longer"):
        open_arrays(put(header_with(path, arrays_of(*shape))), key=key)


def test_a_huge_header_is_refused_by_its_length(path: Path, put: Callable[[bytes], Path], key: ProjectKey) -> None:
    data = path.read_bytes()
    for length in (MAX_HEADER_BYTES + 1, 2**32 - 1):
        with pytest.raises(WireError, match="expected a header of at most"):
            open_arrays(put(data[:17] + length.to_bytes(4) + data[21:]), key=key)


@pytest.mark.parametrize("told", [b"", b"[]", b"{}", b'{"id": 1, "wrapped": "?"}', b'{"id": "a", "wrapped": 1}'])
def test_a_wrapped_key_that_is_none_is_refused(put: Callable[[bytes], Path], key: ProjectKey, told: bytes) -> None:
    header = Header(description=describe({"a": np.ones(1)}), key=key.wrap(bytes(32), "array")).associated
    with pytest.raises(WireError, match="expected a wrapped key"):
        open_arrays(put(header + len(told).to_bytes(4) + told + bytes(24)), key=key)


@given(st.binary(max_size=200))
def test_random_bytes_are_no_file_of_arrays(
    tmp_path_factory: pytest.TempPathFactory, key: ProjectKey, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("random") / "a.hfa"
    for start in (b"", b"holdfast-array-1\n"):
        path.write_bytes(start + data)
        with pytest.raises(HoldfastError):
            open_arrays(path, key=key)


# Bad input


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"": [1]},
        {"a" * 201: [1]},
        {"a": 5},
        {"a": np.ones((3, 0))},
        {"a": ["text"]},
        {"a": np.array([None])},
        {"a": np.array([1j])},
        {"a": np.ones([1] * 9)},
        {str(number): [1] for number in range(MAX_ARRAYS + 1)},
    ],
)
def test_what_is_no_array_of_numbers_with_rows_is_refused(tmp_path: Path, key: ProjectKey, arrays: Any) -> None:
    with pytest.raises(DataError, match=r"expected|array '"):
        write_arrays(tmp_path / "a.hfa", arrays, key=key)
    assert list(tmp_path.iterdir()) == []


def test_absent_files_and_folders_are_told_apart(tmp_path: Path, key: ProjectKey) -> None:
    with pytest.raises(InputError, match=r"expected encrypted arrays at .*, found no file there"):
        open_arrays(tmp_path / "absent.hfa", key=key)
    with pytest.raises(HoldfastError, match="it is a folder"):
        open_arrays(tmp_path, key=key)


def test_an_array_without_rows_and_one_stored_backwards_come_back(tmp_path: Path, key: ProjectKey) -> None:
    arrays = {"none": np.ones((0, 3)), "transposed": PIXELS[:5].T, "big": np.arange(5, dtype=">i4")}
    write_arrays(tmp_path / "a.hfa", arrays, key=key)
    for name, array in read_all(tmp_path / "a.hfa", key).items():
        np.testing.assert_array_equal(array, arrays[name])


def test_no_file_stays_open_after_a_refusal(path: Path, other_key: ProjectKey, put: Callable[[bytes], Path]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for forged in (path, put(b""), put(header_with(path, {}))):
        with pytest.raises(HoldfastError):
            open_arrays(forged, key=other_key)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
