"""The one number of threads: BLAS, and networks side by side, never want more than there are cores."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from core import arguments

VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    *("NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"),
)
"""What libraries read when they are imported, to make as many threads."""

_chosen: ContextVar[int | None] = ContextVar("_chosen", default=None)


def cores() -> int:
    """Return how many cores this process may use: in a container perhaps fewer than the machine has.

    A container may be kept to some of the cores, or to a share of the time of all: a quota of 1.5 cores counts as 2.
    """
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(there, quota())))


@cache
def quota(groups: Path = Path("/sys/fs/cgroup"), member: Path = Path("/proc/self/cgroup")) -> float:
    """Return how many cores' time Linux gives to this process's control group, the first time it is asked; inf for all.

    The smallest share of the group and of those above it counts, in either version of control groups
    (https://docs.kernel.org/admin-guide/cgroup-v2.html, .../cgroup-v1/cgroups.html, .../scheduler/sched-bwc.html).

    Args:
        groups: where they are mounted; a container may see its own group there, and none of those above.
        member: the file that says which of them is this process's.
    """
    try:
        lines = member.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return math.inf
    least = math.inf
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = Path(path.lstrip("/"))
        for above in (group, *group.parents):
            least = min(least, _share(groups / controllers / above))
    return least


def _share(group: Path) -> float:
    """Return how many cores' time the files of a group allow; inf where there are none."""
    try:
        share, period = (group / "cpu.max").read_text(encoding="ascii").split()
    except OSError:
        try:
            share, period = (
                (group / name).read_text(encoding="ascii") for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            )
        except OSError:
            return math.inf
    unlimited = share == "max" or int(share) < 0
    return math.inf if unlimited else int(share) / int(period)


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


def one_of_blas() -> AbstractContextManager[Any]:
    """Let a product take one thread within, as far as this Python thread is the one that may say so.

    After a product of several, OpenBLAS's threads keep their cores busy for some 25 milliseconds, waiting for the next.
    Threads that wait for each other meanwhile, as those of compiled steps do, were seen to take ten times as long.
    """
    return _blas().limit(limits=1)


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")  # found once: to look for it takes milliseconds


def environment(count: int) -> Mapping[str, str]:
    """Return the environment for a process that shall work with `count` threads: this one's, with `VARIABLES`.

    >>> environment(2)["OMP_NUM_THREADS"]
    '2'
    """
    return os.environ | dict.fromkeys(VARIABLES, str(count))
