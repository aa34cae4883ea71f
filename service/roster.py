"""The table of workers: each has a row for as long as it shows signs of life."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from sqlalchemy import delete, update

from service.db import Database
from service.ids import new_id
from service.tables import Worker

SIGN_SECONDS = 10.0
LOST_SECONDS = 6 * SIGN_SECONDS


class Entry:
    """The row of this worker.

    Args:
        database: the tables.
        devices: of each of its slots.
    """

    def __init__(self, database: Database, devices: Sequence[str]) -> None:
        self.id = new_id("worker")
        self._database, self._devices = database, list(devices)
        self._started = self._signed = time.time()
        self._calibration: dict[str, Any] | None = None
        with database.write() as session:
            session.add(self._row())

    def sign(self) -> None:
        """Say that the worker lives, every ten seconds at most, and remove the rows of those that no longer do."""
        now = time.time()
        if now - self._signed < SIGN_SECONDS:
            return
        self._signed = now
        with self._database.write() as session:
            mine = update(Worker).where(Worker.id == self.id).values(seen_at=now).returning(Worker.id)
            if session.execute(mine).first() is None:  # it was silent for so long that another has removed it
                session.add(self._row())
            session.execute(delete(Worker).where(Worker.seen_at < now - LOST_SECONDS))

    def calibrate(self, calibration: dict[str, Any]) -> None:
        """Say how fast this machine is, as it was measured."""
        self._calibration = calibration
        with self._database.write() as session:
            session.execute(update(Worker).where(Worker.id == self.id).values(calibration=calibration))

    def remove(self) -> None:
        """Remove the row: the worker goes."""
        with self._database.write() as session:
            session.execute(delete(Worker).where(Worker.id == self.id))

    def _row(self) -> Worker:
        return Worker(
            id=self.id,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version("deltabar"),
            devices=self._devices,
            calibration=self._calibration,
            started_at=self._started,
        )
