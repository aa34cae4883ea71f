"""API keys: how they are made, listed, revoked, and found by their secrets.

A secret is 256 random bits, and only its sha-256 is stored. It needs neither salt nor a slow hash, which are for what
people can guess; and no comparison in constant time: it is looked up by its hash, and who learns from the time how much
of a hash is right can't turn that into a secret which has more of it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from anyio import to_thread
from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError

from service.caller import Caller, Scope
from service.db import Database
from service.ids import new_id
from service.tables import ApiKey

PREFIX = "dbk_"
ADMIN_KEY = "DELTABAR_ADMIN_KEY"
"""The name of the key that the settings hold."""
FRESH_SECONDS = 0.5


def create(
    database: Database,
    *,
    owner: str,
    name: str = "",
    scopes: Iterable[Scope] = (Scope.WRITE,),
    max_running: int | None = None,
    days: float | None = None,
) -> tuple[ApiKey, str]:
    """Make a key of `owner` that expires after `days`; return it, and its secret, which is nowhere to be had again."""
    secret = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        id=new_id("key"),
        owner=owner,
        name=name,
        sha256=_digest(secret),
        scopes=sorted(set(scopes)),
        max_running=max_running,
        expires_at=None if days is None else time.time() + days * 86_400,
    )
    with database.write() as session:
        session.add(key)
    return key, secret


def keep_admin(database: Database, secret: str) -> None:
    """See to it that there is a key with this `secret` and the scope admin, as the settings say.

    What the settings said before is revoked, and what was revoked stays so.
    """
    digest = _digest(secret)
    former = update(ApiKey).where(ApiKey.name == ADMIN_KEY, ApiKey.sha256 != digest, ApiKey.revoked_at.is_(None))
    with suppress(IntegrityError), database.write() as session:  # another process may have been faster
        session.execute(former.values(revoked_at=time.time()))
        if session.scalar(select(ApiKey.id).where(ApiKey.sha256 == digest)) is None:
            key = ApiKey(id=new_id("key"), owner="admin", name=ADMIN_KEY, sha256=digest, scopes=[Scope.ADMIN])
            session.add(key)


def list_keys(database: Database) -> Sequence[ApiKey]:
    """Return every key, the oldest first."""
    with database.read() as session:
        return session.scalars(select(ApiKey).order_by(ApiKey.id)).all()


def revoke(database: Database, key_id: str) -> bool:
    """Make the key useless from now on, if it isn't already; return whether there is such a key."""
    with database.write() as session:
        key = session.get(ApiKey, key_id)
        if key is not None:
            key.revoked_at = key.revoked_at or time.time()
    return key is not None


def any_usable(database: Database) -> bool:
    """Return whether there is a key with which the service can be used now."""
    usable = ApiKey.revoked_at.is_(None) & or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > time.time())
    with database.read() as session:
        return session.scalars(select(ApiKey.id).where(usable).limit(1)).first() is not None


@dataclass(frozen=True)
class _Known:
    caller: Caller
    expires_at: float | None
    fresh_until: float


class Keys:
    """Finds whose a secret is. For half a second it remembers, so that hardly a request asks the database.

    It belongs to the event loop: nothing else may call it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, _Known] = {}

    async def caller_of(self, secret: str) -> Caller | None:
        """Return whose the secret is; None where its key is unknown, revoked or expired."""
        digest = _digest(secret)
        known = self._known.get(digest)
        if known is None or known.fresh_until < time.monotonic():
            known = await to_thread.run_sync(self._find, digest)
            if known is None:
                self._known.pop(digest, None)
                return None
            self._known[digest] = known
        expired = known.expires_at is not None and known.expires_at <= time.time()
        return None if expired else known.caller

    def _find(self, digest: str) -> _Known | None:
        fresh_until = time.monotonic() + FRESH_SECONDS  # from before the look, so that it is never older
        with self._database.read() as session:
            key = session.scalar(select(ApiKey).where(ApiKey.sha256 == digest, ApiKey.revoked_at.is_(None)))
        if key is None:
            return None
        scopes = frozenset(Scope(scope) for scope in key.scopes)
        return _Known(Caller(key.owner, scopes, key.id), key.expires_at, fresh_until)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
