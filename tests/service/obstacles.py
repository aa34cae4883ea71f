"""What a service may meet: a lock that another holds, a disk that is full, a worker that stands still."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from service import tables
from service.context import Context
from service.jobs.schemas import Job
from tests.service.processes import eventually

KIB = 1024


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the write lock of the SQLite file, as another process would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Yield a folder with room for `size` bytes."""
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(mounted, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can be mounted by root only, and not in every container")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(path: Path) -> None:
    """Write to `path` until nothing more goes in."""
    with path.open("wb", buffering=0) as file:
        for size in (64 * KIB, KIB, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def let_run_out(context: Context, job: Job) -> None:
    """End the job's lease, as time would; what keeps it must not be able to any more.

    So a lease that is lost needn't be a short one, which a worker on a busy machine loses by itself.
    """
    with context.database.write() as session:
        session.get_one(tables.Job, job.id, with_for_update=True).lease_expires_at = time.time()


def freeze(context: Context, job: Job, pid: int) -> None:
    """Stop the worker `pid` as SIGSTOP does, for longer than its lease lasts.

    It is stopped while it can't have begun to write of the job, as we do: SQLite's lock would stand still with it.
    """
    with context.database.write() as session:
        row = session.get_one(tables.Job, job.id, with_for_update=True)
        os.kill(pid, signal.SIGSTOP)
        assert eventually(lambda: state_of(pid) == "T")
        row.lease_expires_at = time.time()


def state_of(pid: int) -> str:
    """Return what a process does, in the letter of `ps`."""
    return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
