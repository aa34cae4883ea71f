"""The database: engines, sessions, migrations, and what its troubles mean. The only file that knows dialects.

SQLite has one writer at a time: `BEGIN IMMEDIATE` takes its lock when the session starts. PostgreSQL has many, and
locks rows: whoever decides by what it has read in a writing session reads it `with_for_update()`, which SQLAlchemy
leaves out on SQLite. What is so read can't change or go until the session ends, on both. That something is *not* there
is promised by SQLite alone: on PostgreSQL a unique constraint has to say so, and its `IntegrityError` that another was
faster.
"""

from __future__ import annotations

import copy
import logging
import math
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError, TimeoutError
from sqlalchemy.orm import Session

from service.ownership import OwnersSession

BUSY_SECONDS = 30
LOOK_SECONDS = 0.001
CONNECT_SECONDS = 5
CONNECTIONS, MORE_CONNECTIONS = 10, 10
FORMS = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
_MIGRATING = 0x64656C7461626172  # "deltabar": the key of the advisory lock
# Otherwise Alembic tells at every start that there was nothing to do.
logging.getLogger("alembic").setLevel(logging.WARNING)

Code = Literal["database_unavailable", "database_locked", "storage_full"]


class DatabaseTrouble(Exception):  # noqa: N818 -- it is the database's, and passes
    """The database can't do now what was asked of it; it may be asked again.

    Attributes:
        code: it can't be reached, another holds a lock for too long, or there is no space left.
        in_doubt: the connection broke while the change was being committed, so that it may have been made. False says
            that nothing was changed.
    """

    def __init__(self, code: Code, reason: str, in_doubt: bool = False) -> None:
        super().__init__(reason)
        self.code: Code = code
        self.in_doubt = in_doubt


class Database:
    """The tables at `url`: an SQLite file, made when missing, or a PostgreSQL database.

    Whoever opens a session ends it: leaving the `with` block commits, an exception rolls back. Connections are made
    when they are needed, and tried before they are used again, so that a server may restart in between.

    Raises:
        ValueError: when `url` isn't one of a database that we know, or when the driver is missing; it never tells the
            password.
    """

    def __init__(self, url: str) -> None:
        parsed = _parse(url)
        self.shown = parsed.render_as_string(hide_password=True)
        self.is_file = parsed.get_backend_name() == "sqlite"
        self.engine = _sqlite(parsed) if self.is_file else _postgresql(parsed)
        if self.is_file:
            self._reading, self._writing = self.engine, self.engine.execution_options(deltabar_write=True)
        else:
            self._reading = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self._writing = self.engine.execution_options(isolation_level="READ COMMITTED")
        self._owner: str | None = None

    def of_owner(self, owner: str) -> Database:
        """Return the same database, in whose sessions there are no rows but those of `owner`."""
        view = copy.copy(self)
        view._owner = owner
        return view

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Yield a session on one consistent view of the tables; raises `DatabaseTrouble`."""
        with _session(self._reading, self._owner) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Yield a session whose changes are made together or not at all; raises `DatabaseTrouble`.

        What it reads `with_for_update()` can't change under it.
        """
        with _session(self._writing, self._owner) as session:
            yield session

    def watch(self, poll_seconds: float) -> Watch:
        """Return what tells whether the tables have changed."""
        return Watch(self.engine, poll_seconds)

    def migrate(self) -> None:
        """Bring the tables to this version's shape; safe to call from several processes at once."""
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self._writing.begin() as connection:
            if not self.is_file:  # SQLite has taken its lock by now
                connection.execute(text("SET LOCAL lock_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def tables(self) -> Literal["missing", "older", "current", "unknown"]:
        """Return how the tables stand to this version's, and change nothing; raises SQLAlchemyError."""
        scripts = ScriptDirectory(str(Path(__file__).parent / "migrations"))
        with self._reading.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
        if found is None:
            return "missing"
        if found == scripts.get_current_head():
            return "current"
        return "older" if found in {each.revision for each in scripts.walk_revisions()} else "unknown"

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


@contextmanager
def _session(engine: Engine, owner: str | None) -> Iterator[Session]:
    committing = False
    try:
        with _confined(engine, owner) as session, session.begin():
            yield session
            session.flush()
            committing = True
    except SQLAlchemyError as error:
        code = _code(error)
        if code is None:
            raise
        in_doubt = committing and isinstance(error, DBAPIError) and error.connection_invalidated
        raise DatabaseTrouble(code, str(getattr(error, "orig", error)).strip(), in_doubt) from error


def _confined(engine: Engine, owner: str | None) -> Session:
    if owner is None:
        return Session(engine, expire_on_commit=False)
    return OwnersSession(owner, engine, expire_on_commit=False)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):  # the text isn't shown: a password may be anywhere in it
        raise ValueError(f"DELTABAR_DATABASE_URL is not the URL of a database. Allowed: {FORMS}.") from None
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed.set(drivername="sqlite")
    shown = parsed.render_as_string(hide_password=True)
    raise ValueError(f"DELTABAR_DATABASE_URL = {shown!r} is not a database that deltabar works with. Allowed: {FORMS}.")


def _sqlite(url: URL) -> Engine:
    assert url.database is not None
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = _engine(url, timeout=BUSY_SECONDS)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _BeginSqlite())
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own transaction handling starts none before SELECT, and never BEGIN IMMEDIATE: it is switched off,
    # and `_BeginSqlite` says what we mean (SQLAlchemy, "Serializable isolation / Savepoints / Transactional DDL").
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


class _BeginSqlite:
    """Begins transactions on one file, those that write with SQLite's lock, which threads here take one by one.

    Left to itself, SQLite sleeps for up to 0.1 s between looks at the lock, and of twenty threads of a process some
    find it taken for half a minute. Here one thread of a process looks, every millisecond, and the others stand in
    line.
    """

    def __init__(self) -> None:
        self._line = threading.Lock()

    def __call__(self, connection: Connection) -> None:
        if not connection.get_execution_options().get("deltabar_write", False):
            connection.exec_driver_sql("BEGIN")
            return
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        [patience] = driver.execute("PRAGMA busy_timeout").fetchone()  # in ms, as the URL may have it
        deadline = time.monotonic() + patience / 1000
        in_line = self._line.acquire(timeout=patience / 1000)
        driver.execute("PRAGMA busy_timeout = 0")
        try:
            while not _has_begun(driver):
                if time.monotonic() > deadline:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")  # raises what then is to be raised
                    return
                time.sleep(LOOK_SECONDS)
        finally:
            driver.execute(f"PRAGMA busy_timeout = {patience}")
            if in_line:
                self._line.release()


def _has_begun(driver: sqlite3.Connection) -> bool:
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _postgresql(url: URL) -> Engine:
    try:
        engine = _engine(
            url,
            pool_pre_ping=True,
            connect_timeout=CONNECT_SECONDS,
            application_name="deltabar",
            tcp_user_timeout=1000 * BUSY_SECONDS,  # else a server whose machine is gone is waited for for many minutes
        )
    except ModuleNotFoundError as error:
        raise ValueError(
            f"DELTABAR_DATABASE_URL names a PostgreSQL database, and its driver is missing ({error}). "
            "Install it with pip install 'deltabar[postgres]'."
        ) from error
    event.listen(engine, "connect", _set_up_postgresql)
    return engine


def _set_up_postgresql(connection: Any, _record: object) -> None:
    connection.autocommit = True
    connection.execute(f"SET lock_timeout = '{BUSY_SECONDS}s'")
    # A frozen process must not hold its locks for ever.
    connection.execute(f"SET idle_in_transaction_session_timeout = '{BUSY_SECONDS}s'")
    connection.autocommit = False


def _engine(url: URL, *, pool_pre_ping: bool = False, **defaults: object) -> Engine:
    """Return an engine whose driver gets `defaults` where the URL's query doesn't say otherwise."""
    return create_engine(
        url,
        connect_args={name: value for name, value in defaults.items() if name not in url.query},
        pool_size=CONNECTIONS,
        max_overflow=MORE_CONNECTIONS,
        pool_timeout=BUSY_SECONDS,
        pool_pre_ping=pool_pre_ping,
    )


def _code(error: SQLAlchemyError) -> Code | None:
    """Return what trouble of the database `error` tells of; None for a fault of ours."""
    if isinstance(error, TimeoutError):  # every connection is in use
        return "database_unavailable"
    if not isinstance(error, DBAPIError):
        return None
    if isinstance(error.orig, sqlite3.Error):
        return _SQLITE.get(error.orig.sqlite_errorcode & 0xFF) if hasattr(error.orig, "sqlite_errorcode") else None
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state in ("53100", "58030"):  # disk_full, io_error
        return "storage_full"
    if state in ("55P03", "40001", "40P01"):  # lock_not_available, serialization_failure, deadlock_detected
        return "database_locked"
    gone = error.connection_invalidated or (state is None and type(error.orig).__name__ == "OperationalError")
    # Classes of "SQLSTATE": connections, who may make them, resources, an operator's intervention.
    return "database_unavailable" if gone or (state or "")[:2] in ("08", "28", "3D", "53", "57") else None


_SQLITE: dict[int, Code] = {
    sqlite3.SQLITE_BUSY: "database_locked",
    sqlite3.SQLITE_LOCKED: "database_locked",
    sqlite3.SQLITE_FULL: "storage_full",
    sqlite3.SQLITE_IOERR: "database_unavailable",
    sqlite3.SQLITE_CANTOPEN: "database_unavailable",
    sqlite3.SQLITE_READONLY: "database_unavailable",
}


class Watch:
    """Tells whether the tables have changed, at a cost so small that it can be asked a hundred times a second.

    SQLite counts the changes of its file in memory that all its processes share, so that it knows. PostgreSQL has
    nothing like it (a NOTIFY with every change would make all of them wait for each other): there, it is said that they
    may have changed every `poll_seconds`.

    For one thread at a time; `close` it in the end.
    """

    def __init__(self, engine: Engine, poll_seconds: float) -> None:
        self._connection = engine.raw_connection() if engine.dialect.name == "sqlite" else None
        self._poll_seconds, self._seen = poll_seconds, -math.inf
        if self._connection:
            self._connection.detach()

    def changed(self) -> bool:
        """Return whether another connection may have committed since this was last answered with True."""
        if self._connection is None:
            now = time.monotonic()
            changed = now - self._seen >= self._poll_seconds
            self._seen = now if changed else self._seen
            return changed
        cursor = self._connection.cursor()
        [version] = cursor.execute(
            "PRAGMA data_version"
        ).fetchone()  # https://sqlite.org/pragma.html#pragma_data_version
        cursor.close()
        changed, self._seen = version != self._seen, version
        return changed

    def close(self) -> None:
        """Close its connection."""
        if self._connection:
            self._connection.close()
