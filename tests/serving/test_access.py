from __future__ import annotations

import sqlite3
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.errors import AccessError, BudgetError, CredentialError, InputError, SystemFault, UsageError
from holdfast.serving import Access, Store
from holdfast.serving.clients import Client


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_admits_its_client_and_no_other(store: Store) -> None:
    access = Access(store)
    tokens = {name: access.add_client(name, query_budget=10) for name in ("a", "b")}
    assert {name: access.authenticate(token).name for name, token in tokens.items()} == {"a": "a", "b": "b"}
    assert [client.name for client in access.clients()] == ["a", "b"]


def test_a_token_has_256_random_bits(store: Store) -> None:
    access = Access(store)
    tokens = [access.add_client(f"client {i}", query_budget=1) for i in range(20)]
    assert len(set(tokens)) == 20
    assert all(len(token) == len("hf_") + 43 for token in tokens)  # 43 characters of base64 carry 256 bits


@pytest.mark.parametrize(
    "change", [lambda t: "", lambda t: t[:-1], lambda t: t + "A", str.swapcase, lambda t: "\ud800"]
)
def test_a_wrong_token_is_refused(store: Store, change: object) -> None:
    access = Access(store)
    token = access.add_client("a", query_budget=10)
    with pytest.raises(CredentialError, match="belongs to none"):
        access.authenticate(change(token))  # type: ignore[operator]


def test_a_very_long_token_is_refused(store: Store) -> None:
    with pytest.raises(CredentialError):
        Access(store).authenticate("hf_" + "A" * 10_000_000)


def test_the_database_does_not_hold_a_token(store: Store, tmp_path: Path) -> None:
    token = Access(store).add_client("a", query_budget=10)
    store.close()
    data = b"".join(path.read_bytes() for path in tmp_path.glob("service.db*"))
    assert b"tokens" not in data
    assert token.encode() not in data
    assert token.removeprefix("hf_").encode() not in data


def test_only_the_owner_may_read_the_database(store: Store, tmp_path: Path) -> None:
    Access(store).add_client("a", query_budget=10)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("service.db*")}
    assert modes == {0o600}


def test_a_revoked_token_is_refused_at_once(store: Store) -> None:
    access = Access(store)
    token = access.add_client("a", query_budget=10)
    access.authenticate(token)
    access.revoke("a")
    with pytest.raises(CredentialError, match="'a' was revoked on"):
        access.authenticate(token)


def test_a_client_whose_time_is_over_is_refused(store: Store) -> None:
    clock = Clock()
    access = Access(store, clock=clock)
    token = access.add_client("a", query_budget=10, expires=datetime.fromtimestamp(clock.now + 60, UTC))
    clock.now += 59
    assert access.authenticate(token).remaining == 10
    clock.now += 1
    with pytest.raises(BudgetError, match="'a' ended on 2023-11-14"):
        access.authenticate(token)


def test_a_budget_is_charged_to_the_last_row_and_not_beyond(store: Store) -> None:
    access = Access(store)
    token = access.add_client("a", query_budget=10)
    client = access.authenticate(token)
    access.charge(client, rows=7)
    with pytest.raises(BudgetError, match="4 rows were asked, 3 are left in the budget of 'a'"):
        access.charge(client, rows=4)
    access.charge(client, rows=3)
    with pytest.raises(BudgetError, match="0 are left"):
        access.charge(client, rows=1)
    access.grant("a", rows=5)
    access.charge(client, rows=5)
    assert access.authenticate(token).spent == 15


@pytest.mark.parametrize(
    ("kind", "sentence"), [(CredentialError, "revoked on"), (BudgetError, "ended on"), (AccessError, "is blocked")]
)
def test_who_was_shut_out_since_is_not_charged(store: Store, kind: type[AccessError], sentence: str) -> None:
    """What counts is how the client stands in the transaction that charges it, not how it stood when it came."""
    clock = Clock()
    access = Access(store, clock=clock)
    client = access.authenticate(
        access.add_client("a", query_budget=10, expires=datetime.fromtimestamp(clock.now + 60, UTC))
    )
    if kind is CredentialError:
        access.revoke("a")
    elif kind is BudgetError:
        clock.now += 60
    else:
        access.restrict("a", "block")
    for act in (lambda: access.charge(client, rows=1), lambda: access.current(client)):
        with pytest.raises(kind, match=sentence):
            act()
    assert access.clients()[0].spent == 0


def test_who_can_get_no_answer_is_not_expected(store: Store) -> None:
    access = Access(store)
    token = access.add_client("a", query_budget=2)
    access.expect(access.authenticate(token))
    access.restrict("a", "block")
    with pytest.raises(AccessError, match="is blocked"):
        access.expect(access.authenticate(token))
    access.restrict("a", None)
    access.charge(access.authenticate(token), rows=2)
    with pytest.raises(BudgetError, match="0 are left"):
        access.expect(access.authenticate(token))


def test_threads_together_cannot_overspend(store: Store) -> None:
    access = Access(store)
    client = access.authenticate(access.add_client("a", query_budget=100))
    spent, errors = [], []

    def spend() -> None:
        for _ in range(40):
            try:
                access.charge(client, rows=3)
                spent.append(3)
            except BudgetError:
                pass
            except Exception as error:  # noqa: BLE001 - any other is a failure, told below
                errors.append(error)

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sum(spent) == 99
    assert access.clients()[0].spent == 99


def test_two_processes_on_one_database_cannot_overspend(store: Store, tmp_path: Path) -> None:
    """Two `Store`s share no lock of ours, as two processes do not."""
    with Store(tmp_path / "service.db") as other:
        accesses = [Access(store), Access(other)]
        client = accesses[0].authenticate(accesses[0].add_client("a", query_budget=100))
        spent: list[int] = []

        def spend(access: Access) -> None:
            for _ in range(60):
                try:
                    access.charge(client, rows=1)
                    spent.append(1)
                except BudgetError:
                    return

        threads = [threading.Thread(target=spend, args=(access,)) for access in accesses * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(spent) == 100


@pytest.mark.parametrize("rows", [0, -1, 1.5, True, 10**10])
def test_no_budget_grows_by_charging_it(store: Store, rows: int) -> None:
    access = Access(store)
    client = access.authenticate(access.add_client("a", query_budget=10))
    with pytest.raises(UsageError, match="expected 1 to"):
        access.charge(client, rows=rows)


@pytest.mark.parametrize(
    ("name", "query_budget", "expires", "sentence"),
    [
        ("", 1, None, "1 to 200 printable characters"),
        ("a\nb", 1, None, "printable"),
        ("x" * 201, 1, None, "1 to 200"),
        ("taken", 1, None, "there is a client 'taken' already"),
        ("a", 0, None, "expected 1 to"),
        ("a", 1, datetime(2020, 1, 1, tzinfo=UTC), "must lie ahead"),
        ("a", 1, datetime(2999, 1, 1), "needs a time zone"),
    ],
)
def test_a_client_that_cannot_be_is_refused(
    store: Store, name: str, query_budget: int, expires: datetime | None, sentence: str
) -> None:
    access = Access(store)
    access.add_client("taken", query_budget=1)
    with pytest.raises(UsageError, match=sentence):
        access.add_client(name, query_budget=query_budget, expires=expires)
    assert [client.name for client in access.clients()] == ["taken"]


@pytest.mark.parametrize(
    "act", [lambda a: a.revoke("b"), lambda a: a.grant("b", rows=1), lambda a: a.restrict("b", None)]
)
def test_what_is_done_to_an_unknown_client_is_an_error(store: Store, act: object) -> None:
    with pytest.raises(UsageError, match="there is no client 'b'"):
        act(Access(store))  # type: ignore[operator]


def test_what_one_process_writes_another_reads(store: Store, tmp_path: Path) -> None:
    token = Access(store).add_client("a", query_budget=10)
    with Store(tmp_path / "service.db") as other:
        assert isinstance(Access(other).authenticate(token), Client)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"not a database, by any means" * 100)
    with pytest.raises(InputError, match="no database"):
        Store(path)
    assert path.read_bytes() == b"not a database, by any means" * 100


def test_a_store_of_another_format_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db"):
        pass
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("UPDATE about SET format = 'holdfast-store-9'")
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match="holdfast-store-9"):
        Store(tmp_path / "a.db")


@pytest.mark.parametrize("where", ["nonsense://x", "postgresql+nosuchdriver://u@h/d"])
def test_a_database_that_cannot_be_reached_is_told_in_one_sentence(where: str) -> None:
    with pytest.raises(UsageError, match="expected the path of an SQLite file or a database URL"):
        Store(where)


def test_a_folder_where_the_database_should_be_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemFault, match="the store refused"):
        Store(tmp_path)
