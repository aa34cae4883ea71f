"""Waiting for jobs to end: one look at the tables for all who wait in this process, and none where nothing changed."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Collection

import anyio
import anyio.to_thread
from sqlalchemy import bindparam, select
from sqlalchemy.exc import SQLAlchemyError

from service.db import Database, DatabaseTrouble
from service.jobs.states import ENDED
from service.tables import Job

SHORTEST_PAUSE, LONGEST_PAUSE = 0.003, 0.05
SHARE = 100
"""Who has waited for so many times a pause waits for one more at most: those who wait long aren't looked for all the
time, which the training would pay for."""
WAITER_SECONDS = 0.002
"""Looks are so much rarer for each who waits, so that many of them take no more than a share of a core."""
AT_ONCE = 500
log = logging.getLogger(__name__)


class Endings:
    """Who waits for which job, and the task that looks for them while there are any. For one event loop."""

    def __init__(self, database: Database, stopping: threading.Event, poll_seconds: float) -> None:
        self._database, self._stopping, self._poll_seconds = database, stopping, poll_seconds
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._look_anyway, self._asked = False, 0.0
        self._reader: asyncio.Task[None] | None = None

    async def wait(self, job_id: str, seconds: float) -> None:
        """Return once the job has ended or is gone, after `seconds`, or when the server is to stop."""
        over = asyncio.Event()
        self._waiting.setdefault(job_id, set()).add(over)
        self._look_anyway, self._asked = True, time.monotonic()  # it may have ended before anybody waited
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read(), name="endings")
        try:
            with anyio.move_on_after(seconds):
                await over.wait()
        finally:
            self._waiting[job_id].discard(over)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    async def _read(self) -> None:
        watch = self._database.watch(self._poll_seconds)
        try:
            while self._waiting and not self._stopping.is_set():
                try:
                    if self._look_anyway or watch.changed():
                        self._look_anyway = False
                        for job_id in await anyio.to_thread.run_sync(_over, self._database, list(self._waiting)):
                            self._wake(job_id)
                except (SQLAlchemyError, DatabaseTrouble):
                    self._look_anyway = True
                    log.exception("the ends of jobs can't be read; it is tried again")
                    await anyio.sleep(self._poll_seconds)
                await anyio.sleep(self._pause())
        finally:
            watch.close()
            for job_id in self._waiting:
                self._wake(job_id)

    def _pause(self) -> float:
        """Return how long nobody looks: a part of what the one has waited who came last."""
        waited, waiters = time.monotonic() - self._asked, sum(map(len, self._waiting.values()))
        return max(SHORTEST_PAUSE, WAITER_SECONDS * waiters, min(LONGEST_PAUSE, waited / SHARE))

    def _wake(self, job_id: str) -> None:
        for over in self._waiting.get(job_id, ()):
            over.set()


def _over(database: Database, job_ids: Collection[str]) -> list[str]:
    """Return those of the jobs that have ended, or are not there."""
    ids, unfinished = list(job_ids), set[str]()
    with database.read() as session:
        for start in range(0, len(ids), AT_ONCE):
            unfinished.update(session.scalars(_UNFINISHED, {"ids": ids[start : start + AT_ONCE]}))
    return [job_id for job_id in ids if job_id not in unfinished]


# Made once, as in `queue`.
_UNFINISHED = select(Job.id).where(Job.id.in_(bindparam("ids", expanding=True)), Job.state.not_in(ENDED))
