"""The cores that every contestant gets; how many threads work on them is said by `core.threads.environment`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cores_for(threads: int) -> Iterator[None]:
    """Let processes that are started within run on `threads` cores only: XLA makes as many threads as it sees cores."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
