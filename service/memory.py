"""How much memory this process has, and has had: from Linux's /proc, where there is one."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"


def resident_bytes() -> int | None:
    """Return what is resident now (VmRSS), in bytes; None where the system doesn't say."""
    return _read("VmRSS")


def peak_bytes() -> int | None:
    """Return the most that was resident at a time since `forget_peak` (VmHWM), in bytes; None where it isn't said."""
    return _read("VmHWM")


def forget_peak() -> None:
    """Let the peak begin anew at what is resident now (proc(5), /proc/pid/clear_refs)."""
    with contextlib.suppress(
        OSError
    ):  # another system, or a container that forbids it: then it stays that of the process
        _CLEAR.write_text(_FORGET_PEAK)


def _read(name: str) -> int | None:
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), re.M)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
