"""`Idempotency-Key`: a job that is asked for twice with one key is queued once.

The key's row is written in the job's own transaction, so that there are both or neither, whatever is killed in between.
It keeps what was asked, as a fingerprint, and the job that came of it, for a day. A request that fails keeps nothing.

While a process works on a key, a second request with it is told so at once, rather than made to wait for a lock.
Between processes the database decides: SQLite lets one write at a time; in PostgreSQL the second INSERT of a key waits
for the first to commit, and then fails.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import anyio
from anyio import to_thread
from fastapi import Header
from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.orm import Session

from service.db import Database, DatabaseTrouble
from service.jobs.schemas import Queueing
from service.problems import Problem, dump, echo
from service.schemas import FieldError
from service.tables import IdempotencyKey, table_of

KEPT_SECONDS = 24 * 3600.0
SWEEP_SECONDS = 3600.0
FIELD = "header.idempotency-key"
log = logging.getLogger(__name__)

KeyHeader = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern="^[ -~]*$",
        description="Yours to choose, up to 255 printable ASCII characters. For 24 hours, the same job with the same "
        "key gives the job that is there already; the header `Idempotent-Replayed: true` says so",
    ),
]


@dataclass(frozen=True)
class Asking:
    """A job that is asked for under a key, which is its owner's own."""

    owner: str
    key: str
    fingerprint: str

    @classmethod
    def of(cls, owner: str, key: str, request: Queueing) -> Asking:
        """Return what asks for `request`: equal fields give equal fingerprints, in whatever order they were written."""
        given = request.model_dump(mode="json", exclude_unset=True)
        return cls(owner, key, hashlib.sha256(dump(_sorted(given)).encode()).hexdigest())

    def is_known(self, session: Session) -> bool:
        """Return whether the key has been used."""
        return session.scalar(_KNOWN, {"owner": self.owner, "key": self.key}) is not None

    def answer(self, session: Session) -> str | None:
        """Return the id of the job that the key has brought about, if it has; raises `Problem` (422) if by another."""
        row = session.get(IdempotencyKey, (self.owner, self.key))
        if row is not None and row.created_at < time.time() - KEPT_SECONDS:
            session.delete(row)
            session.flush()
            return None
        if row is not None and row.fingerprint != self.fingerprint:
            message = f"another job was asked for with this key: it has become {row.job_id}"
            allowed = "the same body as then, or a key that wasn't used for 24 hours"
            error = FieldError(field=FIELD, value=echo(self.key), message=message, allowed=allowed)
            raise Problem(422, "idempotency_key_reused", f"{FIELD}: {message}. Use a new key for a new job.", [error])
        return None if row is None else row.job_id

    def keep(self, session: Session, job_id: str) -> None:
        """Keep that `job_id` came of it; raises IntegrityError when another process has just kept its own."""
        asked = {"owner": self.owner, "key": self.key, "fingerprint": self.fingerprint}
        session.execute(_KEEP, asked | {"job_id": job_id, "created_at": time.time()})


# Made once, as in `queue`.
_KNOWN = select(IdempotencyKey.job_id).where(
    IdempotencyKey.owner == bindparam("owner"), IdempotencyKey.key == bindparam("key")
)
_KEEP = insert(table_of(IdempotencyKey))


def gone(job_id: str) -> Problem:
    """Return the 410 for a job that was deleted since it came of the key."""
    detail = f"The job that came of this Idempotency-Key, {job_id}, has been deleted. Use a new key for a new job."
    return Problem(410, "job_deleted", detail)


class InFlight:
    """The keys that this process is working on; safe to use from several threads."""

    def __init__(self) -> None:
        self._held: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._held

    @contextmanager
    def hold(self, asking: Asking) -> Iterator[None]:
        """Hold the key; raises `Problem` (409) while another request holds it."""
        key = (asking.owner, asking.key)
        with self._lock:
            if key in self._held:
                detail = "A request with this Idempotency-Key is being worked on. Ask again to be told what came of it."
                raise Problem(409, "idempotency_key_in_flight", detail, headers={"Retry-After": "1"})
            self._held.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(key)


def sweep(database: Database) -> None:
    """Remove the keys that are older than a day."""
    with database.write() as session:
        session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < time.time() - KEPT_SECONDS))


async def sweep_hourly(database: Database) -> None:
    """Remove old keys now and every hour, for ever."""
    while True:
        try:
            await to_thread.run_sync(sweep, database)
        except DatabaseTrouble as trouble:
            log.warning("old idempotency keys stay for another hour: %s", trouble)
        await anyio.sleep(SWEEP_SECONDS)


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
