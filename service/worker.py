"""The worker: claims jobs, and lets warm children train them, one in each of its slots.

    claim → an attempt in a child → claim the next

`python -m service.worker` runs one until SIGTERM or SIGINT, with the settings of the environment.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from core.threads import cores
from service import logs, standard_input
from service.attempt import ERROR_PAUSE_SECONDS, Attempt, Workplace
from service.children import Children
from service.data_dir import CannotStart, prepare
from service.db import Database, Watch
from service.devices import slots_of
from service.doctor import cheap, tell
from service.jobs import files, held, queue
from service.jobs.queue import Lease
from service.measuring import Measuring
from service.roster import Entry
from service.settings import Settings
from service.storage import Storage
from service.training import memory_limit

LOOK_SECONDS = 0.003
EXPIRY_SECONDS = 0.5
"""How often to look for leases that have run out, which no change of the tables announces."""
BESIDES_SECONDS = 0.5
"""How often a worker sees to what it does beside jobs."""
Announce = Callable[[dict[str, Any]], None]
log = logging.getLogger("service.worker")  # as a program, this module is called "__main__"


class Worker:
    """One worker on the tables and files that `settings` name, which must be there (`data_dir.prepare`)."""

    def __init__(self, settings: Settings) -> None:
        database = Database(settings.database_url)
        self._workplace = Workplace(settings, database, Storage(settings.data_dir / "files"))
        self._devices = slots_of(settings.devices, settings.slots)

    def run(self, stop: threading.Event, announce: Announce | None = None) -> None:
        """Work until `stop` is set; jobs in training then go back to the queue, their attempts unspent.

        Args:
            stop: ends it.
            announce: is told who waits for jobs, on which devices, once it does.
        """
        settings, database = self._workplace.settings, self._workplace.database
        threads = max(1, (settings.threads or cores()) // len(self._devices))
        try:
            files.sweep(database, self._workplace.storage)
            entry = Entry(database, self._devices, settings.lease_seconds)
            with (
                Children(self._devices, threads) as children,
                closing(Measuring(threads, entry.calibrate)) as measuring,
            ):
                slots = [_Slot(self._workplace, entry.id, device, children, stop) for device in self._devices]
                log.info("waiting for jobs in %s, on %s", settings.data_dir, ", ".join(self._devices))
                if announce:
                    folder = str(settings.data_dir.resolve())
                    announce({"worker_id": entry.id, "devices": self._devices, "data_dir": folder})
                try:
                    while not stop.wait(BESIDES_SECONDS):
                        _tolerated(lambda: entry.sign(children.look()), stop)
                        _tolerated(lambda: measuring.go_on(idle=not any(slot.has_worked() for slot in slots)), stop)
                finally:
                    stop.set()
                    for slot in slots:
                        slot.join()
            try:
                entry.remove()
            except Exception:  # others will, as it gives no more sign of life
                log.exception("the worker's row could not be removed")
        finally:
            database.close()


class _Slot(threading.Thread):
    """A place for one child at a time: a thread that claims jobs and follows each attempt to its end."""

    def __init__(
        self, workplace: Workplace, worker_id: str, device: str, children: Children, stop: threading.Event
    ) -> None:
        super().__init__(name=f"slot on {device}")
        self._workplace, self._worker_id, self._device = workplace, worker_id, device
        self._children, self._stop_event = children, stop
        self._others = set(slots_of(workplace.settings.devices, 1)) - {device}
        self._looked, self._worked, self._claimed, self._busy = 0.0, False, False, False
        self.start()

    def run(self) -> None:
        watch = self._workplace.database.watch(self._workplace.settings.poll_seconds)
        try:
            while not self._stop_event.is_set():
                if not _tolerated(lambda: self._look(watch), self._stop_event):
                    self._stop_event.wait(LOOK_SECONDS)
        finally:
            watch.close()

    def has_worked(self) -> bool:
        """Return whether there was a job since this was asked last."""
        claimed, self._claimed = self._claimed, self._busy
        return claimed or self._busy

    def _look(self, watch: Watch) -> bool:
        """Take the job that is next, if there may be one; return whether there was."""
        now = time.monotonic()
        if not (watch.changed() or self._worked or now - self._looked >= EXPIRY_SECONDS):
            return False
        if self._children.is_lost(self._device):  # jobs wait for another worker, or for the device's return
            self._worked = False
            return False
        self._looked = now
        self._worked = self._take_one(watch)
        return self._worked

    def _take_one(self, watch: Watch) -> bool:
        """Attempt the job that is next; return whether there was one."""
        settings, database = self._workplace.settings, self._workplace.database
        lease = queue.claim(
            database,
            lease_seconds=settings.lease_seconds,
            worker_id=self._worker_id,
            not_on=self._others,
            unlooked=self._worked,
        )
        if lease is None:
            return False
        self._claimed = self._busy = True
        try:
            with logs.about(job_id=lease.job_id, attempt=lease.attempt):
                _tolerated(lambda: self._attempt(lease, watch), self._stop_event)
        finally:
            self._busy = False
        return True

    def _attempt(self, lease: Lease, watch: Watch) -> None:
        """Let a child make the attempt."""
        database, storage = self._workplace.database, self._workplace.storage
        if lease.attempt > 1:
            files.sweep(database, storage)
        try:
            child = self._children.take(self._device)
        except OSError as error:  # else the job would wait until its lease has run out
            held.hand_back(database, lease, f"its worker could not begin: {error}")
            raise
        log.info("%s: attempt %d, in process %d", lease.job_id, lease.attempt, child.pid)
        try:
            Attempt(self._workplace, lease, child, watch, self._stop_event).run()
        finally:
            self._children.give_back(child)


def _tolerated(work: Callable[[], object], stop: threading.Event) -> bool:
    """Return whether there was something to do; after an error, wait a little, and say that there may be."""
    try:
        return bool(work())
    except Exception:
        # A database that can't be written to, perhaps. If a job was claimed, its lease runs out.
        log.exception("the worker could not go on; it tries again in %.0f s", ERROR_PAUSE_SECONDS)
        stop.wait(ERROR_PAUSE_SECONDS)
        return True


def work(settings: Settings, announce: Announce | None = None, *, watch_stdin: bool = False) -> None:
    """Run a worker until SIGTERM or SIGINT, or with `watch_stdin` until standard input ends; raises `CannotStart`."""
    if settings.job_memory_bytes and not memory_limit.LINUX:
        raise CannotStart("DELTABAR_JOB_MEMORY_BYTES needs Linux, whose limits of a process it uses; set it to 0.")
    prepare(settings)
    tell(cheap(settings))
    stop = threading.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        # In a thread: the main one may be within the event's own lock, on which its handler would wait for ever.
        signal.signal(number, lambda *_: threading.Thread(target=stop.set).start())
    if watch_stdin:
        standard_input.at_its_end(stop.set)
    try:
        Worker(settings).run(stop, announce)
    finally:
        for number in signals:  # another one changes nothing, also while the interpreter ends
            signal.signal(number, signal.SIG_IGN)


def main() -> None:
    """Run a worker with the settings of the environment until SIGTERM, SIGINT, or the end of standard input."""
    parser = argparse.ArgumentParser(prog="python -m service.worker", description=main.__doc__)
    parser.add_argument("--watch-stdin", action="store_true", help="stop when standard input ends")
    arguments = parser.parse_args()
    settings = Settings()
    logs.configure(settings.log_format)
    try:
        work(settings, watch_stdin=arguments.watch_stdin)
    except CannotStart as error:
        sys.exit(f"the worker can't start: {error}")


if __name__ == "__main__":
    main()
