"""The one number of threads: BLAS, and networks side by side, never want more than there are cores."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from core import arguments

VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    *("NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"),
)
"""What libraries read when they are imported, to make as many threads."""

_chosen: ContextVar[int | None] = ContextVar("_chosen", default=None)


def cores() -> int:
    """Return how many cores this process may use: in a container perhaps fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def allowed() -> int:
    """Return how many threads may work: those of the innermost `threads`, or as many as there are cores."""
    return _chosen.get() or cores()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let at most `count` threads work within: those of BLAS, which all of the process has, or a fleet's of its own.

    It also holds for a training that is made within and goes on later, but for BLAS.

    Raises:
        ValueError: for a count below 1.

    >>> with threads(1):
    ...     allowed()
    1
    """
    from threadpoolctl import threadpool_limits

    token = _chosen.set(arguments.integer("count", count, 1))
    try:
        with threadpool_limits(count, user_api="blas"):
            yield
    finally:
        _chosen.reset(token)


def environment(count: int) -> Mapping[str, str]:
    """Return the environment for a process that shall work with `count` threads: this one's, with `VARIABLES`.

    >>> environment(2)["OMP_NUM_THREADS"]
    '2'
    """
    return os.environ | dict.fromkeys(VARIABLES, str(count))
