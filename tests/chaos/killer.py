"""Ends and freezes processes at random."""

from __future__ import annotations

import os
import random
import signal
import threading
from contextlib import suppress
from pathlib import Path

from service.client import Client
from tests.chaos.programs import LEASE_SECONDS
from tests.chaos.record import Record
from tests.service.processes import processes_on

CLAIMER, TRAINER, API = "service.worker", "service.runner", "service.cli"


class Killer(threading.Thread):
    """Ends and freezes processes that work on the data, one at a time, until `over`."""

    def __init__(self, url: str, data_dir: Path, chance: random.Random, record: Record, over: threading.Event) -> None:
        super().__init__()
        self._url, self._data_dir, self._chance, self._record, self._over = url, data_dir, chance, record, over

    def run(self) -> None:
        with Client(self._url, timeout=5) as client:
            while not self._over.wait(self._chance.uniform(0.2, 3.0)):
                if client.ready():  # what is struck while it starts has nothing to lose
                    self._strike_one()

    def _strike_one(self) -> None:
        module = self._chance.choice([TRAINER] * 5 + [CLAIMER] * 3 + [API])
        number = self._chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
        found = [pid for pid in sorted(processes_on(self._data_dir)) if module in command_of(pid)]
        if found:
            self._strike(self._chance.choice(found), number, module.rpartition(".")[2])

    def _strike(self, pid: int, number: signal.Signals, name: str) -> None:
        with suppress(ProcessLookupError):  # it has ended by itself in between
            os.kill(pid, number)
            self._record.count(f"{number.name} to {NAMES[name]}")
            if number == signal.SIGSTOP:
                self._over.wait(LEASE_SECONDS * self._chance.uniform(0.5, 2.5))
                os.kill(pid, signal.SIGCONT)


NAMES = {"runner": "a child", "worker": "a worker", "cli": "the API"}


def command_of(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_text()
    except OSError:
        return ""
