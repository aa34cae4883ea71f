"""One attempt at a job: a child trains, the lease is kept, checkpoints and events are written, the end is applied.

child trains → events, checkpoints and lease → publish, fail, pause, cancel, put back or hand back
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from base64 import b64decode
from dataclasses import dataclass

from service import logs
from service.children import Child, ChildDied
from service.datasets.files import table_key
from service.db import Database, DatabaseTrouble, Watch
from service.jobs import files, held
from service.jobs.best import Best, best_before
from service.jobs.epochs import unpack
from service.jobs.held import News
from service.jobs.queue import Lease
from service.jobs.states import Stale
from service.protocol import FINAL, Assignment, Message, PredictionAssignment, Work
from service.settings import Settings
from service.storage import Storage

TICK_SECONDS = 0.05
FLUSH_SECONDS, PROGRESS_SECONDS = 0.2, 1.0
"""How often what a child says is written: what only the row tells, rarer."""
SHARE = 100
"""Writing it takes at most one such part of the time, but for once in a second: it takes that from the training."""
STOP_SECONDS = 0.25
"""How long a child has to say that it stops; steps are taken for 0.05 s at a time."""
SAVE_SECONDS = 10.0
"""How long a child that is to stop may write its checkpoint."""
ERROR_PAUSE_SECONDS = 1.0
"""Before what has failed for a reason that may pass, such as a full disk, is tried again."""
OUT_OF_MEMORY, STORAGE_FAILED = "out_of_memory", "storage_failed"
NOT_ITS_FAULT = (STORAGE_FAILED, "device_failed")
"""What a job fails with that may go well another time, or elsewhere."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workplace:
    """What every attempt of a worker works with."""

    settings: Settings
    database: Database
    storage: Storage


class Attempt:
    """One attempt, in the thread that calls `run`.

    Args:
        workplace: the worker's.
        lease: of the job.
        child: that trains it.
        watch: tells whether the job's user may have asked for something.
        leave: set when the worker has to go.
    """

    def __init__(self, workplace: Workplace, lease: Lease, child: Child, watch: Watch, leave: threading.Event) -> None:
        self._settings, self._database, self._storage = workplace.settings, workplace.database, workplace.storage
        self._lease, self._child, self._watch, self._leave = lease, child, watch, leave
        self._news: list[News] = []
        self._best = Best()
        self._written = self._heard = self._asked = time.monotonic()
        self._pause, self._saving = FLUSH_SECONDS, False

    def run(self) -> None:
        """Bring the job to its next state, whatever happens to the child; where the lease is lost, discard all."""
        try:
            self._run()
        except Stale as stale:
            log.warning("%s: the lease is lost, what was done is discarded (%s)", self._lease.job_id, stale)

    def _run(self) -> None:
        lease, kept = self._lease, False
        try:
            try:
                if lease.checkpoint:
                    self._best = best_before(self._database, lease.job_id)
                self._child.start(self._assignment())
                ending = self._follow()
                kept = self._apply(ending)
                log.info("%s: %s", lease.job_id, ending[0])
            except DatabaseTrouble:
                kept = True  # whether a row shows the files isn't known; the sweep removes them if none does
                raise
            finally:
                if not kept:
                    self._discard()
        except ChildDied as death:
            log.error("%s: %s", lease.job_id, death)
            self._bury(death)
        except OSError as error:  # a full disk, most likely; or the lease is lost, and another worker has swept them
            log.exception("%s: the files can't be published", lease.job_id)
            self._try_again_later(STORAGE_FAILED, f"the files can't be published: {error.strerror}")

    def _discard(self) -> None:
        """Remove what no row will make visible, once nothing more can come."""
        self._child.stop(STOP_SECONDS)
        files.discard(self._storage, self._lease.folder)
        self._storage.delete(files.checkpoints(self._lease.job_id, self._lease.token))

    def _assignment(self) -> Work:
        lease, storage = self._lease, self._storage
        common = {
            "table": storage.path(table_key(lease.dataset.id)),
            "spec": lease.spec,
            "draft": files.draft(storage, lease.folder),
            "memory_bytes": self._settings.job_memory_bytes,
            "device_memory_bytes": self._settings.device_memory_bytes,
            "about": dict(logs.fields()),
        }
        if lease.kind == "prediction":
            assert lease.init_from is not None, "a prediction has a model"
            return PredictionAssignment.model_validate({**common, "model": storage.path(lease.init_from)})
        return Assignment.model_validate(
            {
                **common,
                "format": lease.dataset.format,
                "columns": lease.dataset.columns,
                "data": {
                    part: {"dataset_id": dataset.id, "sha256": dataset.sha256}
                    for part, dataset in {"train": lease.dataset, **lease.held_out}.items()
                },
                "held_out": {
                    part: {"table": storage.path(table_key(dataset.id)), "format": dataset.format}
                    for part, dataset in lease.held_out.items()
                },
                "checkpoints": storage.path(files.checkpoints(lease.job_id, lease.token)),
                "checkpoint_seconds": self._settings.checkpoint_seconds,
                "resume": storage.path(lease.checkpoint.folder) if lease.checkpoint else None,
                "init_from": storage.path(lease.init_from) if lease.init_from else None,
                "start": lease.start,
                "device": self._child.device,
            }
        )

    def _follow(self) -> Message:
        """Relay what the child says, and keep the lease, until the child is done, or has to stop; return which."""
        while True:
            if final := self._listen(TICK_SECONDS):
                return final
            if reason := self._reason_to_stop():
                return reason
            self._write(time.monotonic())

    def _listen(self, seconds: float) -> Message | None:
        """Take what the child says next, within `seconds`; return its final message."""
        final = None
        for kind, data in self._child.receive(seconds):
            self._heard = time.monotonic()
            if kind in FINAL:
                final = (kind, data)
            elif kind == "checkpoint":
                self._publish_checkpoint(data)
            elif kind == "saving":
                self._saving = True
            elif kind == "metrics":
                epochs = b64decode(data["packed"])
                self._best.see(*unpack(epochs))
                self._news.append(News(kind, data["last"] | {"best": self._best.told}, time.time(), epochs))
            elif kind in ("rows", "log", "progress"):
                self._news.append(News(kind, data, time.time()))
        return final

    def _reason_to_stop(self) -> Message | None:
        """Return why the child has to stop, if it has to: its user's wish first."""
        now = time.monotonic()
        # A job that is done sooner isn't asked after, and one that says much not each time.
        if now - self._asked >= TICK_SECONDS and self._watch.changed():
            self._asked = now
            requested = held.requested(self._database, self._lease)
            if requested:
                return requested, {}
        if self._leave.is_set():
            return "leave", {}
        if self._lease.ends_at is not None and time.time() > self._lease.ends_at:
            return "deadline", {}
        if now - self._heard > self._settings.stall_seconds:
            return "stalled", {}
        return None

    def _write(self, now: float) -> None:
        """Write the news, several at a time, as epochs may take microseconds; and renew the lease."""
        lease_seconds, since = self._settings.lease_seconds, now - self._written
        urgent = any(news.kind not in ("rows", "progress") for news in self._news)
        if since >= (self._pause if urgent else PROGRESS_SECONDS if self._news else lease_seconds / 3):
            held.append(self._database, self._lease, self._news, lease_seconds=lease_seconds)
            self._news, self._written = [], now
            self._pause = min(max(FLUSH_SECONDS, SHARE * (time.monotonic() - now)), PROGRESS_SECONDS)

    def _publish_checkpoint(self, data: dict[str, object]) -> None:
        lease, step = self._lease, int(str(data["step"]))
        key = files.checkpoint(lease.job_id, lease.token, step)
        draft = self._storage.path(files.checkpoints(lease.job_id, lease.token)) / str(step)
        self._storage.publish(draft, key, synced=True)
        try:
            seconds = self._settings.lease_seconds
            gone = held.keep_checkpoint(self._database, lease, self._news, key, data, lease_seconds=seconds)
        except Stale:
            self._storage.delete(key)
            raise
        self._news, self._written = [], time.monotonic()
        for old in gone:
            self._storage.delete(old)

    def _apply(self, ending: Message) -> bool:
        """Bring the job to the state that `ending` leads to; return whether something is published."""
        kind, data = ending
        if kind in ("pause", "leave"):
            kind, data = self._halt() or ending
        database, lease = self._database, self._lease
        match kind:
            case "done":
                self._storage.publish(files.draft(self._storage, lease.folder), lease.folder, synced=True)
                if lease.kind == "prediction":
                    held.succeed_without_model(database, lease, self._news, result=data["result"])
                else:
                    held.succeed(database, lease, self._news, result=data["result"], card=data["card"])
            case "failed" if data["code"] in NOT_ITS_FAULT:
                self._try_again_later(data["code"], data["message"])
            case "failed" if data["code"] == OUT_OF_MEMORY:
                self._fail_for_memory(data["message"])
            case "failed":
                held.fail(database, lease, data["code"], data["message"], self._news)
            case "cancel":
                self._child.stop(STOP_SECONDS)
                held.cancel(database, lease, self._news)
            case "pause":
                held.pause(database, lease, self._news)
            case "leave":
                held.hand_back(database, lease, "its worker was stopped", self._news)
            case "deadline":
                self._child.stop(STOP_SECONDS)
                message = "the job has run for as long as its deadline_seconds allow"
                held.fail(database, lease, "deadline_exceeded", message, self._news)
            case "stalled":
                self._child.end()
                message = f"the training has told no progress for {self._settings.stall_seconds:g} s"
                held.put_back(database, lease, "stalled", message, self._news)
        return kind == "done"

    def _halt(self) -> Message | None:
        """Let the child write a checkpoint and stop, by force where it doesn't.

        Returns:
            Its final message where it had just come to an end by itself.
        """
        try:
            self._child.ask_to_stop(keep=True)
            asked = time.monotonic()
            while (left := asked + (SAVE_SECONDS if self._saving else STOP_SECONDS) - time.monotonic()) > 0:
                if final := self._listen(left):
                    return final if final[0] != "stopped" else None
        except ChildDied as death:
            log.error("%s: %s", self._lease.job_id, death)
        self._child.end()
        return None

    def _bury(self, death: ChildDied) -> None:
        """Try again, unless the child has died of the memory limit, which would be the same again."""
        limit = self._settings.job_memory_bytes
        if limit and death.number == signal.SIGABRT:  # what libraries do that can't go on without an allocation
            message = f"the job needs more memory than the {limit} bytes that a job may have ({death})"
            self._fail_for_memory(message)
        else:
            message = str(death)
            held.put_back(self._database, self._lease, "child_died", message, self._news)

    def _try_again_later(self, code: str, message: str) -> None:
        """Put the job back after a pause, for which it is held: other workers may well write to the same disk."""
        self._discard()
        self._leave.wait(ERROR_PAUSE_SECONDS)
        held.put_back(self._database, self._lease, code, message, self._news)

    def _fail_for_memory(self, message: str) -> None:
        """Say what was expected, too: a job that needs far more than that is a mistake of the estimate's."""
        expected = self._lease.estimated_bytes
        told = f"{message}; it was estimated to need {expected} bytes" if expected else message
        held.fail(self._database, self._lease, OUT_OF_MEMORY, told, self._news)
