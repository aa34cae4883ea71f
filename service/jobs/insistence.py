"""Transactions that are tried again while the database is in trouble: for `PATIENCE_SECONDS`, and then no more.

The answer to a commit may have been lost, so that the change was made and is tried once more. A `Try` says so: whoever
writes what must not be there twice looks then, and only then, for what an earlier try has made.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from service.db import Database, DatabaseTrouble

PATIENCE_SECONDS, PAUSE_SECONDS = 60.0, 0.5
P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Try:
    """One try at a transaction on `database`.

    Attributes:
        again: whether there was an earlier one, which may have made the change.
    """

    database: Database
    again: bool


def insistent(function: Callable[Concatenate[Try, P], T]) -> Callable[Concatenate[Database, P], T]:
    """Let `function`, one transaction, be tried again while the database is in trouble."""

    @functools.wraps(function)
    def insist(database: Database, *args: P.args, **options: P.kwargs) -> T:
        deadline, again = time.monotonic() + PATIENCE_SECONDS, False
        while True:
            try:
                return function(Try(database, again), *args, **options)
            except DatabaseTrouble as trouble:
                if time.monotonic() > deadline:
                    raise
                log.warning("%s: %s, it is tried again (%s)", function.__name__, trouble.code, trouble)
                time.sleep(PAUSE_SECONDS)
                again = True

    return insist
