"""holdfast protect: tables are encrypted, decrypted and put under other keys, and nothing is written over."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from holdfast.cli.protecting import protect_commands
from holdfast.data import read_table
from holdfast.data.protect.sources import find_key
from holdfast.errors import CredentialError, DataError, HoldfastError, InputError, IntegrityError, UsageError
from holdfast.pipeline import Project, write_project

CLEAR = "customer_id,income,repaid\n007,10.5,no\n12,90.25,yes\n,50.5,yes\n" + "".join(
    f"{row},{row * 0.75},{'yes' if row % 3 else 'no'}\n" for row in range(100, 160)
)


def protect(*arguments: str | Path) -> Result:
    return CliRunner().invoke(protect_commands, [str(argument) for argument in arguments])


def said(*arguments: str | Path) -> str:
    """What a command says that succeeds."""
    done = protect(*arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def refused(kind: type[HoldfastError], *arguments: str | Path) -> str:
    """The one sentence of a command that fails."""
    done = protect(*arguments)
    assert isinstance(done.exception, kind), (done.output, done.exception)
    return str(done.exception)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a clear table and a key, where the commands are given."""
    monkeypatch.chdir(tmp_path)
    Path("loans.csv").write_text(CLEAR)
    said("new-key", "data.key")
    return tmp_path


def test_a_table_is_encrypted_pseudonymised_rotated_and_decrypted(folder: Path) -> None:
    out = said("encrypt", "loans.csv", "--key", "data.key", "--to", "loans.parquet", "--pseudonymise", "customer_id")
    assert "63 rows encrypted to loans.parquet under data-key:" in out
    assert "loans.csv is still in the clear" in out
    said("new-key", "next.key")
    assert "no longer opens" in said("rotate", "loans.parquet", "--key", "data.key", "--to-key", "file:next.key")
    assert "in the clear" in said("decrypt", "loans.parquet", "--key", "next.key", "--to", "clear.parquet")
    assert Path("clear.parquet").stat().st_mode & 0o777 == 0o600
    frame = read_table("clear.parquet")
    assert frame["income"].tolist() == pd.read_csv("loans.csv")["income"].tolist()
    names = frame["customer_id"]
    assert names.isna().tolist() == [False, False, True] + 60 * [False]
    assert names.dropna().str.fullmatch("p1[0-9a-f]{32}").all()
    assert names.nunique() == 62


def test_007_and_7_stay_two_customers_though_a_table_would_read_them_as_numbers(folder: Path) -> None:
    Path("loans.csv").write_text("customer_id,x\n007,1\n7,2\n")
    said("encrypt", "loans.csv", "--key", "data.key", "--to", "t.parquet", "--pseudonymise", "customer_id")
    assert read_table("t.parquet", key=find_key("data.key"))["customer_id"].nunique() == 2


def test_a_project_is_made_of_an_encrypted_table(folder: Path) -> None:
    said("encrypt", "loans.csv", "--key", "data.key#loans", "--to", "loans.parquet")
    (folder / "model").mkdir()
    config = folder / "model" / "holdfast.toml"
    write_project(Path("loans.parquet"), target="repaid", config=config, key="data.key#loans")
    assert 'key = "file:../data.key#loans"' in config.read_text()
    project = Project.read(config)
    assert len(project.data) == len(project.read_table()) == 63
    for key, why in (("", "no key was given"), ("file:../data.key", "expected a file of table/default")):
        config.write_text(config.read_text().replace('key = "file:../data.key#loans"', f'key = "{key}"'))
        with pytest.raises((CredentialError, IntegrityError), match=why):
            len(Project.read(config).data)
        config.write_text(config.read_text().replace(f'key = "{key}"', 'key = "file:../data.key#loans"'))


def test_an_erased_file_is_gone_and_nothing_else_is(folder: Path) -> None:
    Path("copy.csv").write_text(CLEAR)
    assert "overwritten and removed" in said("erase", "copy.csv")
    assert sorted(path.name for path in folder.iterdir()) == ["data.key", "loans.csv"]
    assert "found none there" in refused(InputError, "erase", "copy.csv")


@pytest.mark.parametrize("command", ["encrypt", "decrypt"])
def test_no_file_is_written_over(folder: Path, command: str) -> None:
    said("encrypt", "loans.csv", "--key", "data.key", "--to", "loans.parquet")
    before = Path("loans.parquet").read_bytes()
    table = "loans.csv" if command == "encrypt" else "loans.parquet"
    assert "found one" in refused(UsageError, command, table, "--key", "data.key", "--to", "loans.parquet")
    assert "ends in .parquet" in refused(UsageError, command, table, "--key", "data.key", "--to", "loans.txt")
    assert Path("loans.parquet").read_bytes() == before
    assert "never overwritten" in refused(UsageError, "new-key", "data.key")


def test_bad_input_is_told_in_one_sentence_and_leaves_nothing(folder: Path) -> None:
    said("encrypt", "loans.csv", "--key", "data.key", "--to", "loans.parquet")
    said("new-key", "other.key")
    before = sorted(folder.iterdir())
    to = ("--to", "new.parquet")
    assert "encrypted, and no key" in refused(CredentialError, "encrypt", "loans.parquet", "--key", "data.key", *to)
    assert "the key given is" in refused(CredentialError, "decrypt", "loans.parquet", "--key", "other.key", *to)
    assert "got one in the clear" in refused(IntegrityError, "decrypt", "loans.csv", "--key", "data.key", *to)
    assert "not set" in refused(CredentialError, "encrypt", "loans.csv", "--key", "env:NOT_THERE_AT_ALL", *to)
    assert "expected a key as" in refused(UsageError, "encrypt", "loans.csv", "--key", "s3:x", *to)
    absent = ("encrypt", "loans.csv", "--key", "data.key", *to, "--pseudonymise", "name")
    assert "'name'" in refused(DataError, *absent)
    share = ("encrypt", "loans.parquet", "--key", "data.key", *to, "--pseudonymise", "income")
    refused(CredentialError, *share)
    assert "loans.csv" in refused(InputError, "rotate", "loans.csv", "--key", "data.key", "--to-key", "other.key")
    Path("data.key").chmod(0o644)
    assert "mode 0644" in refused(CredentialError, "decrypt", "loans.parquet", "--key", "data.key", *to)
    assert sorted(folder.iterdir()) == before
