"""The service and a second worker, each started again whenever it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from service.client import Client
from service.context import Context
from tests.service.processes import PATIENCE, eventually, processes_on

LEASE_SECONDS = 2.0
SETTINGS: dict[str, Any] = {
    "lease_seconds": LEASE_SECONDS,
    "checkpoint_seconds": 0.1,
    "stall_seconds": 10,
    "poll_seconds": 0.05,
    "threads": 1,
    "max_attempts": 100,
}


class Program:
    """A program that is started again whenever it ends, until it is told not to be."""

    def __init__(self, name: str, arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._arguments, self._environment = arguments, environment
        self._log, self._stopping = (folder / f"{name}.log").open("ab"), threading.Event()
        self._process = self._start()
        self._thread = threading.Thread(target=self._supervise)
        self._thread.start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", *self._arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def _supervise(self) -> None:
        while True:
            self._process.wait()
            if self._stopping.wait(0.2):
                return
            self._process = self._start()

    def stop(self) -> None:
        self._stopping.set()
        self._process.terminate()
        self._thread.join()
        self._log.close()


@contextmanager
def running(folder: Path, context: Context) -> Iterator[str]:
    """Run the service on a free port of its own, with a second worker; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    chosen = context.settings
    settings = SETTINGS | {"data_dir": chosen.data_dir, "database_url": chosen.database_url, "port": port}
    environment = os.environ | {f"DELTABAR_{name.upper()}": str(value) for name, value in settings.items()}
    programs = [
        Program("service", ["service.cli", "serve"], folder, environment),
        Program("worker", ["service.worker"], folder, environment),
    ]
    try:
        with Client(url := f"http://127.0.0.1:{port}") as client:
            assert eventually(client.ready, PATIENCE), (folder / "service.log").read_text()
        yield url
    finally:
        for program in programs:
            program.stop()
        for pid in processes_on(chosen.data_dir):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
