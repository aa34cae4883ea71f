"""`deltabar worker --check`, the health of a container that runs a worker: it is what the worker's row tells."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from service import tables
from service.context import Context
from service.liveness import NoWorker, worker_here
from service.settings import Settings
from tests.service.commands import assert_one_message, deltabar
from tests.service.conftest import NewDatabase
from tests.service.processes import eventually
from tests.service.test_worker_processes import worker_on
from tests.service.workplace import workplace

LEASE = 3.0
ABOUT: dict[str, Any] = {"host": socket.gethostname(), "pid": 1, "version": "0", "devices": ["cuda:0", "cuda:1"]}


def check(context: Context) -> subprocess.CompletedProcess[str]:
    """Run the command as the container's health check does."""
    chosen = context.settings
    variables = {"DATA_DIR": chosen.data_dir, "DATABASE_URL": chosen.database_url, "LEASE_SECONDS": LEASE}
    return deltabar("worker", "--check", **{f"DELTABAR_{name}": str(value) for name, value in variables.items()})


def test_a_worker_is_well_until_it_hangs_or_ends(tmp_path: Path, new_database: NewDatabase):
    with new_database() as database, workplace(tmp_path / "data", **database) as context:
        assert_one_message(check(context), 1, "no worker of this machine has shown signs of life within 3 s")
        with worker_on(context, lease_seconds=LEASE) as worker:
            assert eventually(lambda: check(context).returncode == 0)
            assert "a worker trains on cpu" in check(context).stdout
            time.sleep(2 * LEASE)  # it goes on to tell, and in time
            assert check(context).returncode == 0
            os.kill(worker.popen.pid, signal.SIGSTOP)
            assert eventually(lambda: check(context).returncode == 1)
            os.kill(worker.popen.pid, signal.SIGCONT)
            assert eventually(lambda: check(context).returncode == 0)
            worker.popen.terminate()
            worker.popen.wait()
            assert check(context).returncode == 1


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
        assert worker_here(context.settings) == "a worker trains on cuda:0"


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
