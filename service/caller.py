"""Whoever asks for something: whose rows that is about, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LOCAL = "local"
"""The owner of what comes without a key, where keys are off."""


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    WRITE = "write"
    METRICS = "metrics"
    ADMIN = "admin"


SCOPES = {
    Scope.READ: "look at what its owner has, and predict with it",
    Scope.WRITE: "the same, and upload, post, cancel and delete",
    Scope.METRICS: "GET /metrics, and nothing else",
    Scope.ADMIN: "everything, with the rows of every owner",
}


@dataclass(frozen=True)
class Caller:
    """Whose rows requests see and make, and what they may do.

    >>> ann = Caller("ann", frozenset({Scope.WRITE}))
    >>> ann.may(Scope.READ), ann.may(Scope.METRICS)
    (True, False)
    """

    owner: str
    scopes: frozenset[Scope]
    key_id: str | None = None

    def may(self, scope: Scope) -> bool:
        """Return whether the caller may do what needs `scope`."""
        enough = {scope, Scope.ADMIN} | ({Scope.WRITE} if scope == Scope.READ else set())
        return not enough.isdisjoint(self.scopes)

    @property
    def sees_all(self) -> bool:
        """Whether the rows of every owner are there for this caller."""
        return Scope.ADMIN in self.scopes


SERVICE = Caller(LOCAL, frozenset({Scope.ADMIN}))
"""The service itself."""
WITHOUT_KEY = Caller(LOCAL, frozenset({Scope.WRITE, Scope.METRICS}))
"""Whoever comes without a key, where keys are off."""
