"""Whether a worker of this machine does its work: a container that runs one listens nowhere, so its row has to tell.

The worker writes it ten seconds after ten seconds, in the thread that also looks at its children: one that hangs, or
can't reach the tables, falls silent, and one whose devices are all lost says so.
"""

from __future__ import annotations

from contextlib import closing

from sqlalchemy.exc import SQLAlchemyError

from service import roster
from service.data_dir import standing
from service.db import Database, DatabaseTrouble
from service.settings import Settings


class NoWorker(Exception):  # noqa: N818 -- what is the matter
    """No worker of this machine can train; the message says why."""


def worker_here(settings: Settings) -> list[str]:
    """Return the devices that the workers of this machine, or this container, train on.

    Changes nothing, and makes no tables where there are none.

    Raises:
        NoWorker: when none has shown signs of life within a lease, when none has a device that computes, or when the
            tables can't be read, as then no worker can work.
    """
    try:
        if standing(settings).tables != "current":
            raise NoWorker("there are no tables of this version, which a worker makes when it starts")
        with closing(Database(settings.database_url)) as database, database.read() as session:
            found = roster.here(roster.alive(session, settings.lease_seconds))
    except (SQLAlchemyError, DatabaseTrouble, ValueError) as error:
        raise NoWorker(f"the tables can't be read: {getattr(error, 'orig', None) or error}") from error
    if not found:
        raise NoWorker(f"no worker of this machine has shown signs of life within {settings.lease_seconds:g} s")
    if all(map(roster.is_lost, found)):
        faults = {device: fault for worker in found for device, fault in worker.faults.items()}
        raise NoWorker("; ".join(f"{device} can't be used: {fault}" for device, fault in sorted(faults.items())))
    devices = {device for worker in found for device in set(worker.devices) - worker.faults.keys()}
    return sorted(devices)
