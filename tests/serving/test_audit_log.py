# ruff: noqa: S608 - the attacker of these tests writes SQL
from __future__ import annotations

import json
import multiprocessing
import shutil
import sqlite3
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from holdfast.custody import SigningKey
from holdfast.errors import IntegrityError, SystemFault
from holdfast.serving import AuditEntry, AuditHead, AuditLog, Store, read_audit, verify_audit


class Bench:
    """A log of ten entries, and what an attacker with the database can do to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path, self.anchor = folder / "service.db", folder / "anchor"
        self.key = SigningKey.generate()
        self.write(10)

    def write(self, entries: int) -> AuditHead:
        with Store(self.path) as store:
            log = AuditLog(store, key=self.key, anchor=self.anchor)
            for number in range(entries):
                append(log, rows=number)
            head = log.head
            log.close()
        return head

    def verify(self, noted: AuditHead | None = None) -> AuditHead:
        with Store(self.path) as store:
            return verify_audit(store, signer=self.key.public, anchor=self.anchor, noted=noted)

    def sql(self, *statements: str) -> None:
        """As one who has the database file: the triggers are no obstacle."""
        connection = sqlite3.connect(self.path)
        for name in ("audit_no_update", "audit_no_delete"):
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()


def append(log: AuditLog, *, rows: int = 1, client: str = "ward 7", outcome: str = "ok") -> None:
    log.append(client=client, action="infer", model="sha256:0", rows=rows, outcome=outcome, latency_us=5)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def log(store: Store, tmp_path: Path) -> Iterator[AuditLog]:
    log = AuditLog(store, key=SigningKey.generate(), anchor=tmp_path / "anchor")
    yield log
    log.close()


def test_a_log_that_nobody_touched_verifies(bench: Bench) -> None:
    assert bench.verify().number == 10


def test_an_empty_log_verifies(store: Store, tmp_path: Path) -> None:
    head = verify_audit(store, signer=SigningKey.generate().public, anchor=tmp_path / "anchor")
    assert head.number == 0


def test_a_log_goes_on_after_a_restart(bench: Bench) -> None:
    assert bench.write(3).number == 13
    assert bench.verify().number == 13


def test_the_database_itself_refuses_to_change_an_entry(bench: Bench) -> None:
    connection = sqlite3.connect(bench.path)
    for statement in ("UPDATE audit SET rows = 0", "DELETE FROM audit WHERE number = 3"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("time", "'2001-01-01T00:00:00.000000+00:00'"),
        ("client", "'someone else'"),
        ("action", "'describe'"),
        ("model", "'sha256:1'"),
        ("rows", "1000"),
        ("outcome", "'BudgetError'"),
        ("latency_us", "6"),
        ("hash", "zeroblob(32)"),
    ],
)
@pytest.mark.parametrize("number", [1, 4, 10])
def test_an_edited_entry_is_found(bench: Bench, column: str, value: str, number: int) -> None:
    bench.sql(f"UPDATE audit SET {column} = {value} WHERE number = {number}")
    with pytest.raises(IntegrityError, match=f"entry {number} of the audit log"):
        bench.verify()


@pytest.mark.parametrize("number", [1, 5, 9])
def test_a_removed_entry_is_found(bench: Bench, number: int) -> None:
    bench.sql(f"DELETE FROM audit WHERE number = {number}")
    with pytest.raises(IntegrityError, match=f"entry {number + 1} after entry {number - 1}"):
        bench.verify()


def test_a_removed_entry_is_found_even_when_the_rest_is_renumbered(bench: Bench) -> None:
    bench.sql(
        "DELETE FROM audit WHERE number = 5",
        *(f"UPDATE audit SET number = {n - 1} WHERE number = {n}" for n in range(6, 11)),
    )
    with pytest.raises(IntegrityError, match="ends at entry 9, its anchor at 10"):
        bench.verify()


def test_entries_in_another_order_are_found(bench: Bench) -> None:
    bench.sql(
        "UPDATE audit SET number = 99 WHERE number = 4",
        "UPDATE audit SET number = 4 WHERE number = 5",
        "UPDATE audit SET number = 5 WHERE number = 99",
    )
    with pytest.raises(IntegrityError, match="entry 4 of the audit log"):
        bench.verify()


@pytest.mark.parametrize("left", [0, 1, 9])
def test_a_log_cut_off_at_its_end_is_found_and_not_continued(bench: Bench, left: int) -> None:
    bench.sql(f"DELETE FROM audit WHERE number > {left}")
    with pytest.raises(IntegrityError, match=f"ends at entry {left}, its anchor at 10"):
        bench.verify()
    with pytest.raises(IntegrityError, match="entries were removed"):
        bench.write(1)


def test_an_older_copy_of_the_database_is_found(bench: Bench, tmp_path: Path) -> None:
    shutil.copy(bench.path, tmp_path / "old.db")
    bench.write(3)
    shutil.copy(tmp_path / "old.db", bench.path)
    with pytest.raises(IntegrityError, match="ends at entry 10, its anchor at 13"):
        bench.verify()


def test_a_history_rewritten_with_another_key_is_found(bench: Bench) -> None:
    bench.path.unlink()
    bench.anchor.rename(bench.anchor.with_suffix(".old"))
    owner, bench.key = bench.key, SigningKey.generate()
    bench.write(12)
    bench.key = owner
    with pytest.raises(IntegrityError, match="not signed by"):
        bench.verify()
    bench.anchor.with_suffix(".old").rename(bench.anchor)
    with pytest.raises(IntegrityError, match="entry 10 of the audit log is not the one in its anchor"):
        bench.verify()


def test_entries_added_by_someone_without_the_key_are_found(bench: Bench, tmp_path: Path) -> None:
    shutil.copy(bench.anchor, tmp_path / "kept")
    owner, bench.key = bench.key, SigningKey.generate()
    bench.anchor.unlink()
    with pytest.raises(IntegrityError, match="no anchor"):
        bench.write(1)
    bench.key = owner
    shutil.copy(tmp_path / "kept", bench.anchor)
    bench.sql(
        "INSERT INTO audit SELECT 11, time, client, action, model, rows, outcome, latency_us, hash, signature "
        "FROM audit WHERE number = 10"
    )
    with pytest.raises(IntegrityError, match="entry 11"):
        bench.verify()


def test_a_hash_chain_recomputed_without_the_key_is_found(bench: Bench) -> None:
    """The attacker edits entry 6 and recomputes every hash after it, as a plain hash chain would allow."""
    from holdfast.serving import audit_chain

    with Store(bench.path) as store:
        entries = read_audit(store)
    digest, statements = audit_chain.GENESIS, []
    for entry in entries:
        if entry.number == 6:
            entry = AuditEntry(**asdict(entry) | {"rows": 1_000})
            statements.append("UPDATE audit SET rows = 1000 WHERE number = 6")
        digest = audit_chain.chain_hash(digest, entry)
        statements.append(f"UPDATE audit SET hash = x'{digest.hex()}' WHERE number = {entry.number}")
    bench.sql(*statements)
    with pytest.raises(IntegrityError, match="not the one in its anchor"):
        bench.verify()
    bench.anchor.write_bytes((10).to_bytes(8) + digest + bench.anchor.read_bytes()[40:])
    with pytest.raises(IntegrityError, match="not signed by"):
        bench.verify()


@pytest.mark.parametrize(
    "spoil", [Path.unlink, lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"x" * 50)]
)
def test_a_log_without_its_anchor_is_found(bench: Bench, spoil: Callable[[Path], object]) -> None:
    spoil(bench.anchor)
    with pytest.raises(IntegrityError, match="the anchor was removed"):
        bench.verify()


def test_a_flipped_byte_of_the_anchor_is_found(bench: Bench) -> None:
    whole = bench.anchor.read_bytes()
    for position in range(0, len(whole), 3):
        bench.anchor.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(IntegrityError):
            bench.verify()


def test_database_and_anchor_put_back_together_are_found_by_a_noted_head_only(bench: Bench, tmp_path: Path) -> None:
    """The limit that the module's docstring admits, and its remedy."""
    old = bench.verify()
    for path in (bench.path, bench.anchor):
        shutil.copy(path, tmp_path / f"{path.name}.old")
    noted = bench.write(3)
    for path in (bench.path, bench.anchor):
        shutil.copy(tmp_path / f"{path.name}.old", path)
    assert bench.verify() == old
    with pytest.raises(IntegrityError, match="does not contain the entry 13 that was noted"):
        bench.verify(noted)
    assert bench.verify(old) == old


def test_a_service_killed_before_it_wrote_the_anchor_can_start_again(bench: Bench) -> None:
    old = bench.anchor.read_bytes()
    bench.write(1)
    bench.anchor.write_bytes(old)
    assert bench.verify().number == 11
    assert bench.write(1).number == 12
    assert bench.verify().number == 12


def test_threads_and_processes_append_to_one_chain(bench: Bench) -> None:
    with Store(bench.path) as first, Store(bench.path) as second:
        logs = [AuditLog(store, key=bench.key, anchor=bench.anchor) for store in (first, second)]

        def work(log: AuditLog) -> None:
            for _ in range(20):
                append(log)

        threads = [threading.Thread(target=work, args=(log,)) for log in logs * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for log in logs:
            log.close()
    assert bench.verify().number == 90


def _append_many(path: Path, anchor: Path, key: Path) -> None:
    with Store(path) as store:
        log = AuditLog(store, key=SigningKey.load(key), anchor=anchor)
        for _ in range(40):
            append(log)
        log.close()


def test_processes_append_to_one_chain_and_the_anchor_is_its_end(bench: Bench, tmp_path: Path) -> None:
    """Cut one entry off, and it is found: so no process wrote its anchor after another's newer one."""
    bench.key.save(tmp_path / "key")
    context = multiprocessing.get_context("spawn")
    task = (bench.path, bench.anchor, tmp_path / "key")
    workers = [context.Process(target=_append_many, args=task) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert bench.verify().number == 10 + 3 * 40
    assert struct.unpack(">Q", bench.anchor.read_bytes()[:8]) == (130,)
    with sqlite3.connect(bench.path) as database:
        database.execute("DROP TRIGGER audit_no_delete")
        database.execute("DELETE FROM audit WHERE number = 130")
    database.close()
    with pytest.raises(IntegrityError, match="ends at entry 129, its anchor at 130"):
        bench.verify()


def test_entries_read_back_as_they_were_written(log: AuditLog, store: Store) -> None:
    append(log, rows=3, client="Stationsärztin", outcome="BudgetError")
    append(log, client="x" * 1_000)
    first, second = read_audit(store)
    assert (first.number, first.client, first.rows, first.outcome) == (1, "Stationsärztin", 3, "BudgetError")
    assert second.client == "x" * 200
    assert [entry.number for entry in read_audit(store, newest=1)] == [2]
    assert json.dumps(asdict(first))


def test_when_the_log_cannot_be_written_everyone_who_waits_is_told(log: AuditLog, store: Store) -> None:
    """Entries that come at the same time share one write; if it fails, none of them may think it was logged."""
    with store.write() as connection:
        connection.exec_driver_sql("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(FAIL, 'full'); END")
    told = []

    def work() -> None:
        with pytest.raises(SystemFault, match="could not be written"):
            append(log)
        told.append(True)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [True] * 8
    with store.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER full")
    append(log)
    assert [entry.number for entry in read_audit(store)] == [1]


def test_an_anchor_that_cannot_be_is_told_in_one_sentence(store: Store, tmp_path: Path) -> None:
    with pytest.raises(SystemFault, match=r"read the audit anchor .*: it is a folder"):
        AuditLog(store, key=SigningKey.generate(), anchor=tmp_path)
    log = AuditLog(store, key=SigningKey.generate(), anchor=tmp_path / "later")
    (tmp_path / "later").mkdir()
    with pytest.raises(SystemFault, match=r"write the audit anchor .*: it is a folder"):
        append(log)
