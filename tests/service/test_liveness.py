"""`deltabar worker --check`, the health of a container that runs a worker: it is what the worker's row tells."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from service import roster, tables
from service.context import Context
from service.liveness import NoWorker, worker_here
from service.settings import Settings
from tests.service.commands import assert_one_message, deltabar
from tests.service.conftest import NewDatabase
from tests.service.obstacles import state_of
from tests.service.processes import eventually
from tests.service.test_worker_processes import worker_on
from tests.service.workplace import workplace

LEASE = 15.0
ABOUT: dict[str, Any] = {"host": socket.gethostname(), "pid": 1, "version": "0", "devices": ["cuda:0", "cuda:1"]}


def is_well(context: Context) -> bool:
    try:
        return worker_here(context.settings) == ["cpu"]
    except NoWorker:
        return False


def freeze(context: Context, pid: int) -> None:
    """Stop the worker `pid` as SIGSTOP does, for longer than its lease lasts; not while it writes, as we do."""
    with context.database.write() as session:
        entry = session.scalars(select(tables.Worker).with_for_update()).one()
        os.kill(pid, signal.SIGSTOP)
        assert eventually(lambda: state_of(pid) == "T")
        entry.seen_at = time.time() - 2 * LEASE


def command(context: Context, *options: str) -> subprocess.CompletedProcess[str]:
    """Run what the container's health check does."""
    names = ("data_dir", "database_url", "lease_seconds")
    settings = {f"DELTABAR_{n.upper()}": str(getattr(context.settings, n)) for n in names}
    return deltabar("worker", "--check", *options, **settings)


def test_a_worker_is_well_until_it_hangs_or_ends(tmp_path: Path, new_database: NewDatabase):
    with (
        new_database() as database,
        workplace(tmp_path / "data", lease_seconds=LEASE, **database) as context,
        worker_on(context, lease_seconds=LEASE) as worker,
    ):
        assert eventually(lambda: is_well(context))
        said = command(context)
        assert (said.returncode, said.stdout) == (0, "a worker trains on cpu\n")
        assert json.loads(command(context, "--json").stdout) == {"devices": ["cpu"]}
        freeze(context, worker.popen.pid)
        assert not is_well(context)
        assert_one_message(command(context), 1, "no worker of this machine has shown signs of life within 15 s")
        os.kill(worker.popen.pid, signal.SIGCONT)
        assert eventually(lambda: is_well(context))
        worker.popen.terminate()
        worker.popen.wait()
        assert not is_well(context)


def test_a_worker_signs_thrice_a_lease(tmp_path: Path):
    with workplace(tmp_path / "data") as context:
        began = time.monotonic()
        entry = roster.Entry(context.database, ["cpu"], lease_seconds=0.3)
        signs = set()
        while time.monotonic() < began + 30 and len(signs) < 4:
            entry.sign({})
            with context.database.read() as session:
                signs |= {session.scalars(select(tables.Worker.seen_at)).one()}
        assert len(signs) == 4
        assert time.monotonic() - began > 2.5 * 0.1  # after three pauses, but for what clocks differ


def row(context: Context, **about: Any) -> None:
    with context.database.write() as session:
        session.add(tables.Worker(id=f"worker_{time.monotonic_ns()}", **(ABOUT | about)))


def test_one_whose_devices_are_all_lost_is_not_well(tmp_path: Path, new_database: NewDatabase):
    with new_database() as database, workplace(tmp_path / "data", **database) as context:
        row(context, host="elsewhere")
        with pytest.raises(NoWorker, match="no worker of this machine"):
            worker_here(context.settings)
        row(context, faults={"cuda:0": "error 214", "cuda:1": "error 100"})
        with pytest.raises(NoWorker, match="cuda:0 can't be used: error 214; cuda:1 can't be used: error 100"):
            worker_here(context.settings)
        row(context, faults={"cuda:1": "error 100"})
        assert worker_here(context.settings) == ["cuda:0"]


def test_tables_that_are_not_there_are_not_made_and_those_that_cannot_be_read_are_told_of(tmp_path: Path):
    with pytest.raises(NoWorker, match="no tables"):
        worker_here(Settings(data_dir=tmp_path / "none"))
    assert not list(tmp_path.iterdir())
    url = "postgresql://ann:hidden@127.0.0.1:1/none"
    with pytest.raises(NoWorker, match="refused") as caught:
        worker_here(Settings(data_dir=tmp_path, database_url=url))
    assert "hidden" not in str(caught.value)
    with pytest.raises(NoWorker, match="not a database"):
        worker_here(Settings(data_dir=tmp_path, database_url="mysql://here"))
