"""Tables from files: what is read, and the one sentence for each way in which a file can be wrong."""

from __future__ import annotations

import gzip
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast import limits
from holdfast.data import Feature, Schema, load, read_table
from holdfast.errors import DataError, HoldfastError, InputError, SystemFault


def write(folder: Path, content: bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def test_csv_gz_and_parquet_of_one_table_read_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, np.nan, 2.25], "c": ["x", None, "z"]})
    text = b"a,b,c\n1,0.5,x\n2,,\n3,2.25,z\n"
    frame.to_parquet(tmp_path / "table.parquet")
    tables = [
        read_table(write(tmp_path, text)),
        read_table(write(tmp_path, text, "table.csv.gz")),
        read_table(tmp_path / "table.parquet"),
    ]
    for table in tables:
        pd.testing.assert_frame_equal(table, tables[0])
    assert tables[0]["a"].tolist() == [1, 2, 3]
    assert tables[0]["b"].isna().tolist() == [False, True, False]
    assert tables[0]["c"].isna().tolist() == [False, True, False]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(-(2**53), 2**53),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r"), min_size=1, max_size=20),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_numbers_and_texts_survive_a_csv_file_exactly(tmp_path: Path, rows: list[tuple[int, float, str]]) -> None:
    frame = pd.DataFrame({"n": [r[0] for r in rows], "x": [r[1] for r in rows], "s": [f"<{r[2]}>" for r in rows]})
    path = tmp_path / "table.csv"
    frame.to_csv(path, index=False, quoting=2)
    table = read_table(path)
    assert table["n"].tolist() == frame["n"].tolist()
    assert table["x"].tolist() == frame["x"].tolist()
    assert table["s"].tolist() == frame["s"].tolist()


def test_a_byte_order_mark_windows_line_ends_and_quoted_line_ends_are_read(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, b'\xef\xbb\xbfa,"b c"\r\n1,"two\r\nlines"\r\n2,x\r\n'))
    assert list(table.columns) == ["a", "b c"]
    assert table["b c"].tolist() == ["two\r\nlines", "x"]


def test_truth_words_and_dates_stay_the_text_that_they_are(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, b"a,b,c\ntrue,2020-01-02,2020-01-02T03:04\nfalse,2021-12-31,2020-01-02T03:05\n"))
    assert table["a"].tolist() == ["true", "false"]
    assert table["b"].tolist() == ["2020-01-02", "2021-12-31"]
    assert table["c"].tolist() == ["2020-01-02T03:04", "2020-01-02T03:05"]


def test_a_blank_column_name_becomes_its_position(tmp_path: Path) -> None:
    assert list(read_table(write(tmp_path, b",a, \n0,1,2\n")).columns) == ["column 1", "a", "column 3"]


def test_the_words_for_missing_are_missing_and_none_other_is(tmp_path: Path) -> None:
    words = ["NA", "N/A", "NaN", "null", "?", '""', "None", "-", "missing"]
    table = read_table(write(tmp_path, ("a,b\n" + "".join(f"{word},1\n" for word in words)).encode()))
    assert table["a"].isna().tolist() == [True] * 6 + [False] * 3


WRONG_CSV: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "header only": (b"a,b\n", "found none"),
    "header only, no line end": (b"a,b", "CSV"),
    "only blank lines": (b"\n\n\n", "columns"),
    "too few fields": (b"a,b\n1,2\n3\n", "row 3 of .* has 1 fields, the header has 2"),
    "too many fields": (b"a,b\n1,2\n3,4,5\n", "row 3 of .* has 3 fields, the header has 2"),
    "duplicated column": (b"a,b,a\n1,2,3\n", "two columns of .* are named 'a'"),
    "duplicated by position": (b"a,,column 2\n1,2,3\n", "two columns"),
    "semicolons": (b"a;b\n1;2\n", "commas"),
    "NUL": (b"a,b\n1,2\n\0,3\n", "NUL byte at byte 8"),
    "latin-1": (b"a,b\n1,caf\xe9\n", "UTF-8 text, .* has another encoding at byte 9"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
    "cut off inside a character": (b"a,b\n1,caf\xc3", "encoding at byte 9"),
    "infinity": (b"a,b\n1,2\n3,inf\n", "column 'b' is infinite in row 1"),
    "overflow to infinity": (b"a,b\n1,2\n3,1e999\n", "column 'b' is infinite in row 1"),
    "unclosed quote": (b'a,b\n1,"x\n2,y\n3,z\n', "inside a quoted field"),
    "huge field": (b"a,b\n1," + b"x" * (limits.MAX_FIELD_CHARS + 1) + b"\n", "a field of 100001 characters"),
    "huge header field": (b"x" * 200_000 + b",b\n1,2\n", "column names"),
    "long name": (b"x" * 201 + b",b\n1,2\n", "at most 200 characters"),
    "a row of 13 MiB": (b"a,b\n1," + b"x" * (13 * 2**20) + b"\n", "has more than 4194304 bytes"),
    "a million columns": (b",".join(b"c%d" % i for i in range(1_000_000)) + b"\n", "has 1000000"),
}


@pytest.mark.parametrize(("content", "message"), WRONG_CSV.values(), ids=list(WRONG_CSV))
def test_a_wrong_csv_file_gets_one_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_table(write(tmp_path, content))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


def test_the_byte_of_a_wrong_encoding_is_right_far_into_a_file(tmp_path: Path) -> None:
    head = b"a,b\n" + b"1,\xc3\xa9\n" * 1_000_000
    with pytest.raises(DataError, match=f"at byte {len(head) + 2}"):
        read_table(write(tmp_path, head + b"1,\xff\n"))


def test_the_byte_is_right_where_a_broken_character_lies_across_two_blocks(tmp_path: Path) -> None:
    head = b"a\n" + b"x" * (4 * 2**20 - 3)
    with pytest.raises(DataError, match=rf"at byte {len(head)}\b"):
        read_table(write(tmp_path, head + b"\xc3" + b"y\n"))


def test_missing_files_folders_and_unknown_endings_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="found no file there"):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="found a folder"):
        read_table(str(tmp_path / "folder.csv"))
    with pytest.raises(DataError, match=r"expected a \.csv, \.csv\.gz or \.parquet file, got 'table\.xlsx'"):
        read_table(tmp_path / "table.xlsx")


def test_a_pickle_is_never_executed_whatever_its_name(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.write_text, (tmp_path / "executed", "yes")

    for name in ("a.csv", "a.csv.gz", "a.parquet", "a.pkl"):
        with pytest.raises(DataError):
            read_table(write(tmp_path, pickle.dumps(Bomb()), name))
    assert not (tmp_path / "executed").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_an_unreadable_file_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    path = write(tmp_path, b"a,b\n1,2\n")
    path.chmod(0)
    with pytest.raises(SystemFault, match="permission"):
        read_table(path)


def test_a_device_is_not_a_table(tmp_path: Path) -> None:
    (tmp_path / "endless.csv").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="found no file there"):
        read_table(tmp_path / "endless.csv")


class TestBounds:
    def test_a_file_over_the_bound_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(tmp_path, b"a,b\n" + b"1,twenty characters long\n" * 100)
        monkeypatch.setattr(limits, "MAX_TABLE_BYTES", path.stat().st_size - 1)
        with pytest.raises(InputError, match="at most 2503 bytes"):
            read_table(path)
        monkeypatch.setattr(limits, "MAX_TABLE_BYTES", path.stat().st_size)
        assert len(read_table(path)) == 100

    def test_a_gzip_bomb_is_refused_before_it_unpacks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(tmp_path, b"a,b\n" + b"1,2\n" * 1_000_000, "bomb.csv.gz")
        assert path.stat().st_size < 10_000
        monkeypatch.setattr(limits, "MAX_TABLE_BYTES", 20_000)
        with pytest.raises(InputError, match="at most 20000 bytes"):
            read_table(path)

    def test_a_parquet_bomb_is_refused_by_what_it_claims(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "bomb.parquet"
        pq.write_table(pa.table({"a": pa.array([7] * 1_000_000)}), path)
        assert path.stat().st_size < 10_000
        monkeypatch.setattr(limits, "MAX_TABLE_BYTES", 20_000)
        with pytest.raises(InputError, match="at most 20000 bytes"):
            read_table(path)

    def test_a_parquet_bomb_of_repeated_long_texts_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "bomb.parquet"
        pq.write_table(pa.table({"a": pa.array(["x" * 10_000] * 20_000)}), path)
        assert path.stat().st_size < 100_000
        monkeypatch.setattr(limits, "MAX_TABLE_BYTES", 10_000_000)
        with pytest.raises(InputError, match="at most 10000000 bytes"):
            read_table(path)

    @pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "table.parquet"])
    def test_cells_are_bounded_though_empty_ones_take_no_bytes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        path = tmp_path / name
        if name == "table.parquet":
            pq.write_table(pa.table({f"c{i}": pa.nulls(1_000) for i in range(100)}), path)
        else:
            header = b",".join(b"c%d" % i for i in range(100)) + b"\n"
            write(tmp_path, header + (b"," * 99 + b"\n") * 1_000, name)
        with monkeypatch.context() as patch:
            patch.setattr(limits, "MAX_TABLE_BYTES", 8 * 1_000 * 100 - 1)
            with pytest.raises(InputError, match="at most 799999 bytes"):
                read_table(path)
        assert read_table(path).shape == (1_000, 100)

    @pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
    def test_rows_columns_and_names_are_bounded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        frame = pd.DataFrame({"a": range(5), "b": range(5)})
        path = tmp_path / name
        frame.to_csv(path, index=False) if name.endswith("csv") else frame.to_parquet(path)
        with monkeypatch.context() as patch:
            patch.setattr(limits, "MAX_ROWS", 4)
            with pytest.raises(InputError, match="at most 4 rows"):
                read_table(path)
        with monkeypatch.context() as patch:
            patch.setattr(limits, "MAX_COLUMNS", 1)
            with pytest.raises(DataError, match="1 to 1 columns"):
                read_table(path)
        assert len(read_table(path)) == 5


class TestDamaged:
    @pytest.fixture
    def parquet(self, tmp_path: Path) -> bytes:
        pq.write_table(pa.table({"a": list(range(500)), "b": ["x", "y"] * 250}), tmp_path / "good.parquet")
        return (tmp_path / "good.parquet").read_bytes()

    @pytest.mark.parametrize("keep", [4, 100, -1, -8, -100])
    def test_a_truncated_parquet_file_is_refused(self, tmp_path: Path, parquet: bytes, keep: int) -> None:
        with pytest.raises(DataError, match="damaged or cut off"):
            read_table(write(tmp_path, parquet[:keep], "cut.parquet"))

    def test_a_parquet_file_with_flipped_bytes_is_read_or_refused_in_our_words(
        self, tmp_path: Path, parquet: bytes
    ) -> None:
        rng = np.random.default_rng(0)
        refused = 0
        for position in rng.choice(len(parquet), 150, replace=False):
            broken = bytearray(parquet)
            broken[position] ^= 0xFF
            try:
                read_table(write(tmp_path, bytes(broken), "broken.parquet"))
            except HoldfastError:
                refused += 1
        assert refused > 0

    def test_a_csv_file_under_a_parquet_name_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="expected a Parquet table"):
            read_table(write(tmp_path, b"a,b\n1,2\n", "a.parquet"))

    @pytest.mark.parametrize("keep", [5, 40, -1, -9])
    def test_a_truncated_gzip_file_is_refused(self, tmp_path: Path, keep: int) -> None:
        data = gzip.compress(os.urandom(500).hex().encode())
        (tmp_path / "cut.csv.gz").write_bytes(data[:keep])
        with pytest.raises(DataError, match="damaged or cut off"):
            read_table(tmp_path / "cut.csv.gz")

    def test_plain_text_under_a_gzip_name_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "plain.csv.gz").write_bytes(b"a,b\n1,2\n")
        with pytest.raises(DataError, match="damaged or cut off"):
            read_table(tmp_path / "plain.csv.gz")

    def test_an_empty_gzip_file_is_empty(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="is empty"):
            read_table(write(tmp_path, b"", "empty.csv.gz"))


class TestParquet:
    def test_dates_decimals_and_dictionaries_become_texts_and_numbers(self, tmp_path: Path) -> None:
        import datetime
        import decimal

        table = pa.table(
            {
                "day": [datetime.date(2020, 1, 2)],
                "price": [decimal.Decimal("1.25")],
                "kind": pa.array(["x"]).dictionary_encode(),
                "flag": [True],
            }
        )
        pq.write_table(table, tmp_path / "a.parquet")
        assert read_table(tmp_path / "a.parquet").iloc[0].tolist() == ["2020-01-02", 1.25, "x", True]

    def test_numbers_texts_and_times_of_every_width_are_read(self, tmp_path: Path) -> None:
        columns = {
            "half": pa.array(np.array([1.5, np.nan], np.float16)),
            "single": pa.array([0.25, None], pa.float32()),
            "unsigned": pa.array([2**63, 1], pa.uint64()),
            "long text": pa.array(["x", None], pa.large_string()),
            "view": pa.array(["x", "é"], pa.string_view()),
            "a.b": pa.array(["1", "2"]),
            "a": pa.array(["3", "4"]),
            "": pa.array([1, 2]),
            "time": pa.array([0, None], pa.timestamp("us", "UTC")),
            "nothing": pa.nulls(2),
        }
        pq.write_table(pa.table(columns), tmp_path / "a.parquet")
        frame = read_table(tmp_path / "a.parquet")
        assert frame.iloc[0].tolist()[:9] == [1.5, 0.25, 2**63, "x", "x", "1", "3", 1, "1970-01-01 00:00:00.000000Z"]
        assert frame.iloc[1].isna().tolist() == [True, True, False, True, False, False, False, False, True, True]
        assert list(frame.columns)[7] == "column 8"

    def test_a_column_of_many_row_groups_is_read_in_order(self, tmp_path: Path) -> None:
        words = [f"word {i % 700}" for i in range(20_000)]
        pq.write_table(pa.table({"a": words, "n": range(20_000)}), tmp_path / "a.parquet", row_group_size=6_000)
        frame = read_table(tmp_path / "a.parquet")
        assert frame["a"].tolist() == words
        assert frame["n"].tolist() == list(range(20_000))

    @pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()], ids=str)
    def test_no_width_of_number_lets_infinity_through(self, tmp_path: Path, kind: pa.DataType) -> None:
        pq.write_table(pa.table({"a": pa.array(np.array([1, np.inf], kind.to_pandas_dtype()))}), tmp_path / "a.parquet")
        with pytest.raises(DataError, match="infinite in row 1"):
            read_table(tmp_path / "a.parquet")

    @pytest.mark.parametrize(
        "column",
        [
            pa.StringArray.from_buffers(2, pa.py_buffer(np.array([0, 1, 2], np.int32)), pa.py_buffer(b"\xff\xfe")),
            pa.array([0, 1], pa.timestamp("us", "Nowhere/Nowhere")),
        ],
        ids=["a text that is not UTF-8", "a time zone that does not exist"],
    )
    def test_a_value_that_has_no_text_is_refused(self, tmp_path: Path, column: pa.Array) -> None:
        pq.write_table(pa.table({"a": column}), tmp_path / "a.parquet")
        with pytest.raises(DataError, match="damaged"):
            read_table(tmp_path / "a.parquet")

    def test_a_column_name_that_is_not_utf_8_is_refused(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"NAME": [1, 2]}), tmp_path / "a.parquet", store_schema=False)
        broken = (tmp_path / "a.parquet").read_bytes().replace(b"NAME", b"\xc7\xff\xfeE")
        with pytest.raises(DataError, match="damaged"):
            read_table(write(tmp_path, broken, "b.parquet"))

    def test_a_field_that_is_too_long_is_refused_to_the_character(self, tmp_path: Path) -> None:
        for length in (limits.MAX_FIELD_CHARS, limits.MAX_FIELD_CHARS + 1):
            pq.write_table(pa.table({"a": ["é" * length]}), tmp_path / f"{length}.parquet")
        assert len(read_table(tmp_path / f"{limits.MAX_FIELD_CHARS}.parquet")) == 1
        with pytest.raises(DataError, match="a field of 100001 characters"):
            read_table(tmp_path / "100001.parquet")

    def test_nested_columns_are_refused(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"a": [[1, 2], [3]]}), tmp_path / "a.parquet")
        with pytest.raises(DataError, match="column 'a' holds list"):
            read_table(tmp_path / "a.parquet")

    def test_infinity_duplicates_and_no_rows_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table({"a": [1.0, -np.inf]}), path)
        with pytest.raises(DataError, match="infinite in row 1"):
            read_table(path)
        pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
        with pytest.raises(DataError, match="two columns"):
            read_table(path)
        pq.write_table(pa.table({"a": pa.array([], pa.int64())}), path)
        with pytest.raises(DataError, match="has none"):
            read_table(path)


def test_load_takes_a_path_a_text_and_a_frame(tmp_path: Path) -> None:
    schema = Schema(features=(Feature(name="a", kind="integer", low=0, high=9),), target="y", classes=("n", "p"))
    path = write(tmp_path, b"a,y,extra\n1,n,z\n2,p,z\n")
    digests = {load(path, schema).digest, load(str(path), schema).digest, load(read_table(path), schema).digest}
    assert len(digests) == 1


def test_real_tables_are_read_whole(real_data: Callable[[str], Path]) -> None:
    frame = read_table(real_data("uci_default_credit_card.csv.gz"))
    assert frame.shape == (30_000, 25)
    assert int((frame["default.payment.next.month"] == 1).sum()) == 6_636


def test_blanks_after_a_comma_are_no_part_of_a_text_or_a_missing_value(tmp_path: Path) -> None:
    path = tmp_path / "adult.csv"
    path.write_text("age, work, pay\n39, State-gov, <=50K\n50, ?, >50K\n ?, Private , >50K\n")
    frame = read_table(path)
    assert frame.iloc[:, 1].tolist()[::2] == ["State-gov", "Private"]
    assert frame.iloc[:, 2].tolist() == ["<=50K", ">50K", ">50K"]
    assert frame.isna().sum().tolist() == [1, 1, 0]
