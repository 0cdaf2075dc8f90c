"""A project on an encrypted table, from the command line: written by init, checked, and held against earlier tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from holdfast.data import read_table

from .conftest import holdfast

ROWS = 80


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an encrypted table, its key, and a holdfast.toml that init wrote."""
    clear = pd.DataFrame(
        {
            "income": [10.0 + row / 2 for row in range(ROWS)],
            "repaid": ["yes" if row % 3 else "no" for row in range(ROWS)],
        }
    )
    clear.to_csv(tmp_path / "loans.csv", index=False)
    assert holdfast("protect", "new-key", "data.key", cwd=tmp_path).code == 0
    encrypt(tmp_path, "loans.csv", to="loans.parquet")
    begun = holdfast("init", "loans.parquet", "--target", "repaid", "--key", "file:data.key", cwd=tmp_path)
    assert begun.code == 0, begun.err
    return tmp_path


def encrypt(folder: Path, table: str, *, to: str, key: str = "data.key") -> None:
    done = holdfast("protect", "encrypt", table, "--key", key, "--to", to, cwd=folder)
    assert done.code == 0, done.err


def test_init_names_the_key_and_the_table_is_read_with_it(folder: Path) -> None:
    assert 'key = "file:data.key"' in (folder / "holdfast.toml").read_text()
    assert len(read_table(folder / "loans.csv")) == ROWS
    without = holdfast("init", "loans.parquet", "--target", "repaid", "--config", "other.toml", cwd=folder)
    assert without.code != 0
    assert "encrypted" in without.one_error()
    assert not (folder / "other.toml").exists()


@pytest.mark.parametrize("encrypted", [True, False])
def test_what_changed_since_an_earlier_table_is_named(folder: Path, encrypted: bool) -> None:
    frame = pd.read_csv(folder / "loans.csv")
    frame.loc[3, "income"] = 11.25
    frame.to_csv(folder / "earlier.csv", index=False)
    against = "earlier.csv"
    if encrypted:
        encrypt(folder, "earlier.csv", to="earlier.parquet")
        against = "earlier.parquet"
    changed = holdfast("check", "--against", against, cwd=folder)
    assert changed.code == 3
    assert "income" in changed.out + changed.err
    assert "11.25" in changed.out + changed.err
    same = holdfast("check", "--against", "loans.parquet", cwd=folder)
    assert same.code == 0
    assert "no row has changed since loans.parquet" in same.out + same.err


def test_an_earlier_table_under_another_key_is_refused_in_one_sentence(folder: Path) -> None:
    assert holdfast("protect", "new-key", "other.key", cwd=folder).code == 0
    encrypt(folder, "loans.csv", to="earlier.parquet", key="other.key")
    refused = holdfast("check", "--against", "earlier.parquet", cwd=folder)
    assert refused.code != 0
    refused.one_error()


def test_an_encrypted_table_is_no_news_to_a_project_in_the_clear(folder: Path) -> None:
    text = (folder / "holdfast.toml").read_text()
    text = text.replace('key = "file:data.key"\n', "").replace("loans.parquet", "loans.csv")
    (folder / "holdfast.toml").write_text(text)
    refused = holdfast("check", "--against", "loans.parquet", cwd=folder)
    assert refused.code != 0
    assert "encrypted" in refused.one_error()


def test_an_earlier_table_that_is_not_there_is_told(folder: Path) -> None:
    absent = holdfast("check", "--against", "absent.parquet", cwd=folder)
    assert absent.code == 2
    assert "absent.parquet" in absent.one_error()
