"""A PostgreSQL server of the tests' own: on a Unix socket in a folder of its own, and on no port.

The programs come from the system's packages, whose own server, if there is one, is left alone.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from service.db import Database
from tests.service.processes import PATIENCE

USER = "postgres"  # of the packages; the programs refuse to run as root
# What a crash of the machine would lose is of no interest here; what a killed server loses is the same with them off.
QUICK = {"fsync": "off", "full_page_writes": "off"}
SETTINGS = QUICK | {"listen_addresses": "''", "max_connections": "200", "unix_socket_permissions": "0777"}


def programs() -> Path | None:
    """Return the folder of the newest `pg_ctl` on this machine."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    found = debian[-1] if debian else shutil.which("pg_ctl")
    return Path(found).resolve().parent if found else None


class Server:
    """A server that runs until `close`, or until the process that made it is gone, in whatever way."""

    def __init__(self) -> None:
        found = programs()
        assert found is not None, "no PostgreSQL on this machine"
        self._programs, self._count = found, itertools.count()
        self.folder = Path(tempfile.mkdtemp(prefix="deltabar-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, USER)
        self.folder.chmod(0o755)
        self._data, self._log = self.folder / "data", self.folder / "log"
        options = ["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
        self._run("initdb", "--pgdata", self._data, *options)
        with (self._data / "postgresql.conf").open("a") as file:
            for name, value in (SETTINGS | {"unix_socket_directories": f"'{self.folder}'"}).items():
                file.write(f"{name} = {value}\n")
        at_the_end = f"read _; '{found}/pg_ctl' stop --pgdata '{self._data}' --mode immediate; rm -rf '{self.folder}'"
        self._guard = self._start(["sh", "-c", at_the_end], stdin=subprocess.PIPE, start_new_session=True)
        self.start()
        self._create("migrated", "template0")
        database = Database(self.url("migrated"))
        database.migrate()
        database.close()

    def url(self, name: str) -> str:
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    @contextmanager
    def database(self, template: str = "migrated") -> Iterator[str]:
        """Yield the URL of a fresh database, with the tables of this version if nothing else is said."""
        name = f"test_{next(self._count)}"
        self._create(name, template)
        yield self.url(name)
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def start(self) -> None:
        self._control("start", "--log", self._log)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: "fast" ends its sessions in order, "immediate" is as if it had been killed."""
        self._control("stop", "--mode", mode)

    def close(self) -> None:
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()

    def _create(self, name: str, template: str) -> None:
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(host=str(self.folder), user=USER, dbname="postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    def _control(self, action: str, *arguments: str | Path) -> None:
        self._run("pg_ctl", action, "--wait", "--timeout", f"{PATIENCE:.0f}", "--pgdata", self._data, *arguments)

    def _run(self, program: str, *arguments: str | Path) -> None:
        # A file, as the server would keep a pipe open.
        with (self.folder / "said").open("w+") as said:
            code = self._start([self._programs / program, *arguments], stdout=said, stderr=said).wait()
            said.seek(0)
            assert code == 0, f"{program} failed:\n{said.read()}{self._log.read_text() if self._log.exists() else ''}"

    def _start(self, command: list[str | Path], **options: object) -> subprocess.Popen[bytes]:
        as_user = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | options
        return subprocess.Popen(command, cwd=self.folder, **as_user, **options)  # type: ignore[call-overload]
