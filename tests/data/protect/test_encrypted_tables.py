"""Tables at rest: they come back as they were, other readers with the key open them, and no change goes unseen."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import limits
from holdfast.data import read_table
from holdfast.data.protect import ProjectKey, write_table
from holdfast.data.protect.parquet_tail import read_tail
from holdfast.data.protect.tables import _encryption
from holdfast.errors import CredentialError, DataError, HoldfastError, InputError, IntegrityError, UsageError

ROWS = 300


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "income": rng.uniform(0, 100, ROWS),
            "count": rng.integers(0, 9, ROWS),
            "home": rng.choice(["own", "rent", None], ROWS),
            "name": [f"Person Number {row}" for row in range(ROWS)],
        }
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, key: ProjectKey) -> bytes:
    path = tmp_path_factory.mktemp("table") / "table.parquet"
    write_table(table(), path, key=key)
    return path.read_bytes()


@pytest.fixture
def put(tmp_path: Path) -> Callable[[bytes], Path]:
    def put_down(data: bytes) -> Path:
        (tmp_path / "table.parquet").write_bytes(data)
        return tmp_path / "table.parquet"

    return put_down


def test_a_table_comes_back_as_its_clear_form_would(
    tmp_path: Path, written: bytes, put: Callable[[bytes], Path], key: ProjectKey
) -> None:
    table().to_parquet(tmp_path / "clear.parquet", index=False)
    pd.testing.assert_frame_equal(read_table(put(written), key=key), read_table(tmp_path / "clear.parquet"))


def test_nothing_of_the_table_can_be_read_in_the_file(tmp_path: Path, written: bytes, key: ProjectKey) -> None:
    clear = [
        b"Person Number",
        b"rent",
        b"income",
        b"home",
        b"pandas",
        *map(bytes, table()["income"].to_numpy()[:, None]),
    ]
    assert [word for word in clear if word in written] == []
    table().to_parquet(tmp_path / "clear.parquet", compression=None)
    assert all(word in (tmp_path / "clear.parquet").read_bytes() for word in clear)
    write_table(table(), tmp_path / "again.parquet", key=key)
    assert not set(_blocks(written)) & set(_blocks((tmp_path / "again.parquet").read_bytes()))
    assert (tmp_path / "again.parquet").stat().st_mode & 0o777 == 0o600


def _blocks(data: bytes) -> list[bytes]:
    """The blocks of the cipher in a file, but for its end, whose key metadata is in the clear."""
    return [data[at : at + 16] for at in range(4, read_tail(data).start - 16)]


def test_another_key_or_none_or_another_project_does_not_open_it(
    written: bytes, put: Callable[[bytes], Path], key: ProjectKey, other_key: ProjectKey, other_project: ProjectKey
) -> None:
    path = put(written)
    with pytest.raises(CredentialError, match=r"is encrypted under 'data-key:\w+', the key given is data-key:"):
        read_table(path, key=other_key)
    with pytest.raises(IntegrityError, match="expected a file of table/claims"):
        read_table(path, key=other_project)
    with pytest.raises(CredentialError, match="is encrypted, and no key was given"):
        read_table(path)


# Other readers and writers with the same key


class _OtherTool(pe.KmsClient):  # type: ignore[misc]
    """What the documents tell the owner of another tool to write: unwrap with what follows the first slash."""

    def __init__(self, key: ProjectKey) -> None:
        super().__init__()
        self._service = key.service

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> str:
        context = master_key_identifier.partition("/")[2].encode()
        return base64.b64encode(self._service.wrap(key_bytes, context)).decode()

    def unwrap_key(self, wrapped_key: bytes | str, master_key_identifier: str) -> bytes:
        context = master_key_identifier.partition("/")[2].encode()
        return self._service.unwrap(base64.b64decode(wrapped_key), context)


def _factory(key: ProjectKey) -> Any:
    return pe.CryptoFactory(lambda _settings: _OtherTool(key))


def test_a_tool_with_its_own_key_client_reads_what_we_write(
    written: bytes, put: Callable[[bytes], Path], key: ProjectKey
) -> None:
    properties = _factory(key).file_decryption_properties(pe.KmsConnectionConfig())
    read = pq.ParquetFile(put(written), decryption_properties=properties).read().to_pandas()
    pd.testing.assert_frame_equal(read, read_table(put(written), key=key))


@pytest.mark.parametrize(
    ("settings", "opens"),
    [
        ({"uniform_encryption": True, "data_key_length_bits": 256, "double_wrapping": False}, True),
        ({"uniform_encryption": True, "data_key_length_bits": 128, "double_wrapping": False}, False),
        ({"uniform_encryption": True, "data_key_length_bits": 256, "double_wrapping": True}, False),
        ({"uniform_encryption": True, "data_key_length_bits": 256, "encryption_algorithm": "AES_GCM_CTR_V1"}, False),
        ({"uniform_encryption": True, "data_key_length_bits": 256, "plaintext_footer": True}, False),
        ({"column_keys": {"x/table/loans": ["a"]}, "data_key_length_bits": 256, "double_wrapping": False}, False),
    ],
    ids=["ours", "128 bits", "double wrapping", "counter mode", "clear footer", "keys for columns"],
)
def test_what_another_tool_writes_opens_if_all_of_it_is_authenticated_under_one_key(
    tmp_path: Path, key: ProjectKey, settings: dict[str, Any], opens: bool
) -> None:
    configuration = pe.EncryptionConfiguration(key.id("table"), **settings)
    properties = _factory(key).file_encryption_properties(pe.KmsConnectionConfig(), configuration)
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"a": [1, 2, 3], "b": [4, 5, 6]}), path, encryption_properties=properties)
    if opens:
        assert read_table(path, key=key)["a"].tolist() == [1, 2, 3]
    else:
        with pytest.raises(IntegrityError):
            read_table(path, key=key)


# Attacks


def test_a_clear_table_where_an_encrypted_one_is_expected_is_refused(tmp_path: Path, key: ProjectKey) -> None:
    table().to_parquet(tmp_path / "table.parquet")
    table().to_csv(tmp_path / "table.csv")
    for name in ("table.parquet", "table.csv"):
        with pytest.raises(IntegrityError, match="expected an encrypted table at"):
            read_table(tmp_path / name, key=key)


def test_an_encrypted_table_with_a_clear_footer_put_in_its_place_is_refused(tmp_path: Path, key: ProjectKey) -> None:
    """The magic of a file with a clear footer is that of a clear one."""
    settings_ = pe.EncryptionConfiguration(key.id("table"), uniform_encryption=True, plaintext_footer=True)
    properties = _factory(key).file_encryption_properties(pe.KmsConnectionConfig(), settings_)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "t.parquet", encryption_properties=properties)
    data = (tmp_path / "t.parquet").read_bytes()
    for forged in (data, b"PARE" + data[4:-4] + b"PARE"):
        (tmp_path / "t.parquet").write_bytes(forged)
        with pytest.raises(IntegrityError):
            read_table(tmp_path / "t.parquet", key=key)


def test_no_bit_can_be_flipped_unseen(
    tmp_path_factory: pytest.TempPathFactory, written: bytes, key: ProjectKey
) -> None:
    """Every flip is an error, but in the names of a key service's address, which we neither write nor use."""
    path = tmp_path_factory.mktemp("flip") / "table.parquet"
    path.write_bytes(written)
    whole = read_table(path, key=key)
    address = range(written.index(b'"kmsInstanceID"'), written.index(b'"masterKeyID"'))

    @settings(max_examples=150)
    @given(st.integers(0, 8 * len(written) - 1))
    def flip(bit: int) -> None:
        forged = bytearray(written)
        forged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(forged)
        if bit // 8 not in address:
            with pytest.raises(HoldfastError):
                read_table(path, key=key)
            return
        try:
            read = read_table(path, key=key)
        except HoldfastError:
            return
        pd.testing.assert_frame_equal(read, whole)

    flip()


def test_every_byte_of_the_end_is_watched(tmp_path: Path, written: bytes, key: ProjectKey) -> None:
    """Each byte of what says how the file is encrypted, the part that Parquet does not authenticate."""
    start, path = read_tail(written).start, tmp_path / "table.parquet"
    named = written.index(b'"masterKeyID"')
    ends = [
        range(start, start + 20),
        range(named, written.index(b"}", named) + 2),
        range(len(written) - 8, len(written)),
    ]
    for at in (at for end in ends for at in end):
        path.write_bytes(written[:at] + bytes([written[at] ^ 1]) + written[at + 1 :])
        with pytest.raises(HoldfastError):
            read_table(path, key=key)


@pytest.mark.parametrize("kept", [0, 3, 4, 12, 100, -1, -4, -8, -9, -500])
def test_a_table_that_is_cut_off_or_longer_is_refused(
    written: bytes, put: Callable[[bytes], Path], key: ProjectKey, kept: int
) -> None:
    with pytest.raises(HoldfastError):
        read_table(put(written[:kept]), key=key)
    with pytest.raises(HoldfastError):
        read_table(put(written + written[:kept]), key=key) if kept else read_table(put(b""), key=key)


def _plain(path: Path, columns: int, key: ProjectKey) -> bytes:
    """Columns of 1,000 numbers without null or compression, so that each page has the same length."""
    fields = [pa.field(f"c{position}", pa.float64(), nullable=False) for position in range(columns)]
    values = [np.arange(1_000) * 1.5 + position for position in range(columns)]
    pq.write_table(
        pa.table(values, schema=pa.schema(fields)),
        path,
        encryption_properties=_encryption(key),
        compression="none",
        use_dictionary=False,
        write_statistics=False,
    )
    return path.read_bytes()


def _with(data: bytes, key: ProjectKey) -> tuple[Any, bytes]:
    """What decrypts a file, and its data key, as its owner has them."""
    data_key = key.unwrap(read_tail(data).wrapped, "table", Path("x"))
    return pe.create_decryption_properties(footer_key=data_key), data_key


def test_columns_cannot_change_places(tmp_path: Path, key: ProjectKey) -> None:
    path = tmp_path / "table.parquet"
    data = _plain(path, 2, key)
    group = pq.read_metadata(path, decryption_properties=_with(data, key)[0]).row_group(0)
    first, second = (
        slice(
            group.column(c).data_page_offset, group.column(c).data_page_offset + group.column(c).total_compressed_size
        )
        for c in (0, 1)
    )
    assert read_table(path, key=key)["c1"][0] == 1.0
    path.write_bytes(
        data[: first.start] + data[second] + data[first.stop : second.start] + data[first] + data[second.stop :]
    )
    assert len(path.read_bytes()) == len(data)
    with pytest.raises(IntegrityError, match="was changed after it was encrypted"):
        read_table(path, key=key)


def test_pages_of_another_file_under_the_same_keys_do_not_fit(tmp_path: Path, key: ProjectKey) -> None:
    path = tmp_path / "table.parquet"
    data, other = _plain(path, 1, key), _plain(path, 1, key)
    tail, other_tail = read_tail(data), read_tail(other)
    assert tail.start == other_tail.start
    for forged in (data[: tail.start] + other[tail.start :], other[: tail.start] + tail.with_key(other_tail.wrapped)):
        path.write_bytes(forged)
        with pytest.raises(IntegrityError, match="was changed after it was encrypted"):
            read_table(path, key=key)


def test_a_file_told_to_be_in_counter_mode_is_refused_where_pyarrow_reads_forged_values(
    tmp_path: Path, key: ProjectKey
) -> None:
    """AES-GCM counts its blocks from 2 and Parquet's AES-CTR from 1, so one block in front makes the two agree.

    An attacker without any key sets the algorithm, which nothing authenticates, and can then flip bits in values.
    """
    path = tmp_path / "table.parquet"
    data = _plain(path, 1, key)
    decryption, _ = _with(data, key)
    page = pq.read_metadata(path, decryption_properties=decryption).row_group(0).column(0).data_page_offset
    body = page + 4 + int.from_bytes(data[page : page + 4], "little")  # behind the page's header
    length = int.from_bytes(data[body : body + 4], "little")
    nonce, values = data[body + 4 : body + 16], bytearray(data[body + 16 : body + 4 + length - 16])
    values[8 * 4 + 7] ^= 0x80  # the sign of value 4
    shifted = bytes(16) + values[:-16]
    module = (len(nonce) + len(shifted)).to_bytes(4, "little") + nonce + shifted + bytes(16)
    start = read_tail(data).start
    forged = data[:body] + module + data[body + len(module) : start] + b"\x1c\x2c" + data[start + 2 :]
    path.write_bytes(forged)
    believed = pq.ParquetFile(path, decryption_properties=decryption).read()["c0"].to_numpy()
    assert believed[2:8].tolist() == [0.0, 1.5, 3.0, 4.5, -6.0, 7.5], "pyarrow is no longer fooled: say so in the docs"
    with pytest.raises(IntegrityError, match="AES-GCM under one data key, got another form"):
        read_table(path, key=key)


@given(st.binary(max_size=300))
def test_random_bytes_are_no_end_of_a_file(data: bytes) -> None:
    for end in (data, data + b"PARE", data + len(data).to_bytes(4, "little") + b"PARE"):
        with pytest.raises(IntegrityError):
            read_tail(end)


MATERIAL = {"keyMaterialType": "PKMT1", "internalStorage": True, "isFooterKey": True, "doubleWrapping": False}


@pytest.mark.parametrize(
    "material",
    [
        {},
        [],
        None,
        {**MATERIAL, "masterKeyID": "a"},
        {**MATERIAL, "masterKeyID": 1, "wrappedDEK": ""},
        {**MATERIAL, "masterKeyID": "a", "wrappedDEK": 1},
        {**MATERIAL, "masterKeyID": "a", "wrappedDEK": "?"},
        {**MATERIAL, "masterKeyID": "a", "wrappedDEK": "", "doubleWrapping": True},
        {**MATERIAL, "masterKeyID": "a", "wrappedDEK": "", "keyMaterialType": "PKMT2"},
        {**MATERIAL, "masterKeyID": "a", "wrappedDEK": "", "internalStorage": False},
    ],
)
def test_key_material_of_another_kind_is_refused(written: bytes, material: object) -> None:
    metadata = json.dumps(material).encode()
    end = b"\x1c" + read_tail(written).algorithm + b"\x18" + _varint(len(metadata)) + metadata + b"\0footer"
    with pytest.raises(IntegrityError, match="got another form"):
        read_tail(end + len(end).to_bytes(4, "little") + b"PARE")


def _varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number % 128 + 128, number // 128])


def test_a_length_that_reaches_out_of_the_file_is_refused(written: bytes) -> None:
    for length in (2**32 - 1, 2**31, len(written), len(written) - 7):
        with pytest.raises(IntegrityError, match="got one that ends otherwise"):
            read_tail(written[:-8] + length.to_bytes(4, "little") + b"PARE")
    algorithm = read_tail(written).algorithm
    for varint in (b"\xff\xff\xff\xff\xff\xff", b"\xff\xff\x7f", b"\xff\x7f"):
        end = b"\x1c" + algorithm + b"\x18" + varint + b"{}"
        with pytest.raises(IntegrityError, match="got another form"):
            read_tail(end + len(end).to_bytes(4, "little") + b"PARE")


def test_a_table_above_the_bounds_is_refused_though_it_is_encrypted(
    written: bytes, put: Callable[[bytes], Path], key: ProjectKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, bound, why in (("MAX_TABLE_BYTES", 2_000, "2000 bytes"), ("MAX_ROWS", ROWS - 1, "at most 299 rows")):
        with monkeypatch.context() as patch:
            patch.setattr(limits, name, bound)
            with pytest.raises(InputError, match=why):
                read_table(put(written), key=key)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (pd.DataFrame({"a": []}), "a table with rows"),
        (pd.DataFrame({"a": [1, "x"]}), "one kind of value"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "one kind of value"),
        (pd.DataFrame({"a": [[1], [2]]}), "column 'a' holds list"),
        (pd.DataFrame({"a": [b"x"]}), "column 'a' holds binary"),
        (pd.DataFrame({"a": [1j]}), "one kind of value"),
    ],
)
def test_a_table_that_could_not_be_read_back_is_refused(
    tmp_path: Path, key: ProjectKey, frame: pd.DataFrame, why: str
) -> None:
    with pytest.raises(DataError, match=why):
        write_table(frame, tmp_path / "table.parquet", key=key)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_table(tmp_path: Path, key: ProjectKey) -> None:
    class Refusing:
        name = "refusing"

        def wrap(self, key: bytes, context: bytes) -> bytes:
            raise CredentialError("not today")

        unwrap = wrap

    path = tmp_path / "table.parquet"
    write_table(table(), path, key=key)
    before = path.read_bytes()
    with pytest.raises(CredentialError, match="not today"):
        write_table(table(), path, key=ProjectKey(service=Refusing()))
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["table.parquet"]


def test_a_name_by_which_it_could_not_be_read_again_is_refused(tmp_path: Path, key: ProjectKey) -> None:
    with pytest.raises(UsageError, match=r"ends in .parquet, got 'loans.csv'"):
        write_table(table(), tmp_path / "loans.csv", key=key)
    assert list(tmp_path.iterdir()) == []
