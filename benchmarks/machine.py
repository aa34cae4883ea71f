"""What a result depends on: the machine, the software, the commit, the day."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.session import ROOT
from core.threads import cores


def description(threads: int) -> dict[str, str]:
    """Return what a reader needs to judge a table, or to make it again, by name."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "Date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Commit": commit(),
        "CPU": f"{cpu()}, {cores()} cores, {threads} threads for every contestant",
        "System": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "NumPy's BLAS": f"{blas['name']} {blas['version']}",
    }


def cpu() -> str:
    """Return the processor's model."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def commit() -> str:
    """Return the commit that was measured, and whether files differ from it; the results' own don't count."""
    head = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--", ".", ":!benchmarks/RESULTS.md", ":!benchmarks/growth.png")
    return (head or "unknown") + (", with changes that aren't committed" if changed else "")


def _git(*arguments: str) -> str:
    try:
        ran = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return ran.stdout.strip()


class OtherWork:
    """How busy others keep the machine, from its making on: what makes a measurement worthless."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._busy, self._own = _busy_seconds(), _own_seconds()

    def share(self) -> float:
        """Return which part of all cores' time others had, those of this machine's host too; NaN where unknown.

        Our own is that of this process and of those of its children that have ended.
        """
        elapsed = (time.monotonic() - self._began) * (os.cpu_count() or 1)
        return max(0.0, (_busy_seconds() - self._busy) - (_own_seconds() - self._own)) / elapsed


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _busy_seconds() -> float:
    """Return the seconds that all cores have worked: of Linux's fields all but idle, iowait and guest. (proc(5))"""
    stat = Path("/proc/stat")
    if not stat.exists():
        return float("nan")
    user, nice, system, _, _, irq, softirq, steal = map(int, stat.read_text(encoding="utf-8").split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
