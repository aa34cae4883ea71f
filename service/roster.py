"""The table of workers: each has a row for as long as it shows signs of life, and others tell by it how it is."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service.db import Database
from service.ids import new_id
from service.tables import Worker

SIGN_SECONDS = 10.0
LOST_SECONDS = 6 * SIGN_SECONDS
log = logging.getLogger(__name__)


def alive(session: Session, lease_seconds: float) -> Sequence[Worker]:
    """Return the workers that have shown signs of life within a lease."""
    return session.scalars(select(Worker).where(Worker.seen_at > time.time() - lease_seconds)).all()


def is_lost(worker: Worker) -> bool:
    """Return whether no device of this worker computes, so that it takes no job."""
    return worker.faults.keys() >= set(worker.devices)


def here(workers: Sequence[Worker]) -> list[Worker]:
    """Return those of `workers` that run on this machine, or in this container."""
    return [worker for worker in workers if worker.host == socket.gethostname()]


class Entry:
    """The row of this worker.

    Args:
        database: the tables.
        devices: of each of its slots.
        lease_seconds: the silence after which others take it for dead.
    """

    def __init__(self, database: Database, devices: Sequence[str], lease_seconds: float) -> None:
        self.id = new_id("worker")
        self._database, self._devices = database, list(devices)
        self._pause = min(SIGN_SECONDS, lease_seconds / 3)
        self._started = self._signed = time.time()
        self._calibration: dict[str, Any] | None = None
        self._faults: dict[str, str] = {}
        with database.write() as session:
            session.add(self._row())

    def sign(self, faults: Mapping[str, str]) -> None:
        """Say that the worker lives, every ten seconds, or thrice a lease; remove the rows of those that no longer do.

        Args:
            faults: of its devices that don't compute, and why, which is said at once where it has changed.
        """
        now = time.time()
        if now - self._signed < self._pause and faults == self._faults:
            return
        self._tell(faults)
        self._signed, self._faults = now, dict(faults)
        with self._database.write() as session:
            values = {"seen_at": now, "faults": self._faults}
            mine = update(Worker).where(Worker.id == self.id).values(values).returning(Worker.id)
            if session.execute(mine).first() is None:  # it was silent for so long that another has removed it
                session.add(self._row())
            session.execute(delete(Worker).where(Worker.seen_at < now - LOST_SECONDS))

    def _tell(self, faults: Mapping[str, str]) -> None:
        for device in faults.keys() - self._faults.keys():
            log.error("%s is lost, and takes no job until it computes again: %s", device, faults[device])
        for device in self._faults.keys() - faults.keys():
            log.info("%s computes again", device)

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
            faults=self._faults,
            started_at=self._started,
        )
