"""A limit of memory for one job in a child that trains many.

The kernel's limits of a process count address space (RLIMIT_AS) or private writable memory (RLIMIT_DATA); none counts
what is resident (RLIMIT_RSS has had no effect since Linux 2.4.30, getrlimit(2)). Address space is far off: compiled
code, BLAS and CUDA reserve gigabytes of it that they never touch. RLIMIT_DATA leaves those reservations out, and
counts what an allocation asks for before it is touched, so that the allocation fails and NumPy raises MemoryError,
where a look at the resident memory from outside would come too late. What libraries had mapped writable without using
it when the job begins is added, so that the limit is that of resident memory, to within what the job asks for and
doesn't use.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LINUX = sys.platform == "linux"


@contextmanager
def limited(memory_bytes: int) -> Iterator[None]:
    """Let this process have up to `memory_bytes` of resident memory within; 0 sets no limit.

    An allocation that would exceed it raises MemoryError, or ends the process where a library doesn't bear it. A
    process that has more already can allocate nothing new.
    """
    if not memory_bytes:
        yield
        return
    import resource  # Unix only

    _, hard = before = resource.getrlimit(resource.RLIMIT_DATA)
    resident, writable = _sizes()
    limit = memory_bytes + max(0, writable - resident)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _sizes() -> tuple[int, int]:
    """Return how much of this process is resident, and how much is private and writable, in bytes."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    resident, writable = (int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "VmData"))
    return resident, writable
