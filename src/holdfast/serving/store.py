"""The service's memory: who may ask, what is left of each budget, what was asked, what looked wrong.

One SQLite file is the embedded default; any database that SQLAlchemy speaks to can stand in its place, because the
rooms above use portable SQL only and never rely on a lock of their own for correctness.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import IntegrityError as ConstraintError

from holdfast.errors import InputError, SystemFault, UsageError
from holdfast.files import system_fault
from holdfast.limits import MAX_NAME_CHARS

FORMAT: Final = "holdfast-store-1"

_BUSY_TIMEOUT_S: Final = 10
_POOL_SIZE: Final = 8
_POOL_OVERFLOW: Final = 56

_metadata = MetaData()

about = Table("about", _metadata, Column("format", String(40), primary_key=True))

clients = Table(
    "clients",
    _metadata,
    Column("name", String(MAX_NAME_CHARS), primary_key=True),
    Column("token_sha256", LargeBinary(32), nullable=False, unique=True),
    Column("created", Float, nullable=False),  # seconds since 1970, as are all times here
    Column("expires", Float),
    Column("revoked", Float),
    Column("restriction", String(20)),  # what the watch decided: throttle, block, or nothing
)

budgets = Table(
    "budgets",
    _metadata,
    Column("client", ForeignKey("clients.name"), primary_key=True),
    Column("granted", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    CheckConstraint("0 <= spent AND spent <= granted", name="within_budget"),
)

audit = Table(
    "audit",
    _metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("time", String(32), nullable=False),
    Column("client", String(MAX_NAME_CHARS), nullable=False),
    Column("action", String(40), nullable=False),
    Column("model", String(80), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("outcome", String(40), nullable=False),
    Column("latency_us", Integer, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("signature", LargeBinary(64), nullable=False),
)

alerts = Table(
    "alerts",
    _metadata,
    Column("number", Integer, primary_key=True),
    Column("time", Float, nullable=False),
    Column("client", String(MAX_NAME_CHARS), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("reason", String(2_000), nullable=False),
    Column("action", String(20), nullable=False),
)

for _change in ("UPDATE", "DELETE"):
    # On PostgreSQL the same is done by granting the service INSERT and SELECT on this table and nothing more.
    _trigger = DDL(  # type: ignore[no-untyped-call]
        f"CREATE TRIGGER audit_no_{_change.lower()} BEFORE {_change} ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    )
    event.listen(audit, "after_create", _trigger.execute_if(dialect="sqlite"))


class Store:
    """An open database. Threads may share it; so may processes.

    Args:
        where: the path of an SQLite file, made if it is not there (only its owner may read it), or a database URL.

    Raises:
        InputError: the file is not a store, or one of another version.
        UsageError: the URL is malformed, or its driver is not installed.
        SystemFault: the disk or the database refuses.
    """

    def __init__(self, where: str | Path) -> None:
        self._engine = _engine(where)
        self._writing = threading.Lock()  # SQLite has one writer: queue here rather than poll in its busy handler
        try:
            with self.write() as connection:
                _metadata.create_all(connection)
                formats = list(connection.scalars(select(about.c.format)))
                if not formats:
                    connection.execute(insert(about).values(format=FORMAT))
        except (InputError, SystemFault):
            self.close()
            raise
        if formats not in ([], [FORMAT]):
            self.close()
            raise InputError(f"expected a store of the format {FORMAT}, got {formats[0]!r}")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view of the database."""
        with _faults(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """One transaction: all of it is kept, or, if the block raises, nothing.

        With `durable`, it and every one before it survive a power cut as soon as the block is left. Without, a power
        cut may undo the last of them; the end of the process does not.
        """
        with _faults(), self._writing, self._engine.connect() as connection:
            connection = connection.execution_options(holdfast_writes="FULL" if durable else "NORMAL")
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _engine(where: str | Path) -> Engine:
    text = str(where)
    url = text if "://" in text else f"sqlite:///{text}"
    try:
        dialect = make_url(url).get_backend_name()
        if dialect == "sqlite" and "://" not in text:
            _make_private(Path(text))
        engine = create_engine(url, pool_size=_POOL_SIZE, max_overflow=_POOL_OVERFLOW)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise UsageError(
            f"expected the path of an SQLite file or a database URL, got {text[:100]!r}: {error}",
            hint="for PostgreSQL install psycopg and write postgresql+psycopg://user@host/database",
        ) from None
    if dialect == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise system_fault(error, f"open the store {path}") from None


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin transactions late; `_begin_sqlite` does it in time
    for pragma in (
        f"busy_timeout = {_BUSY_TIMEOUT_S * 1000}",
        "journal_mode = WAL",  # readers do not wait for the writer
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at the beginning, so that what was read still holds when the transaction writes."""
    synchronous = connection.get_execution_options().get("holdfast_writes")
    if synchronous:
        connection.exec_driver_sql(f"PRAGMA synchronous = {synchronous}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if synchronous else "BEGIN")


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except ConstraintError:
        raise
    except DBAPIError as error:
        reason = str(error.orig).splitlines()[0][:200]
        if isinstance(error, DatabaseError) and "not a database" in reason:
            raise InputError("expected a store of Holdfast, got a file that is no database") from None
        raise SystemFault(f"the store refused: {reason}", hint="look at its disk and its permissions") from None
