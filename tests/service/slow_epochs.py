"""Epochs that take their time without computing: so a job is met in its midst on a fast machine and on a busy one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import core
from tests.service.in_children import search_path


def in_children(folder: Path, seconds: float, over: Path) -> str:
    """Return a search path with which every child takes so many seconds more for an epoch, until `over` is there."""
    code = "from pathlib import Path\nfrom tests.service.slow_epochs import slow\n"
    return search_path(folder, f"{code}slow({seconds}, Path({str(over)!r}))")


def slow(seconds: float, over: Path) -> None:
    """Let every epoch of this process take so much longer: it is told of afterwards."""
    advance = core.Training.advance

    def advance_slowly(training: core.Training, **options: Any) -> core.Record | None:
        record = advance(training, **options)
        if record is not None and not over.exists():
            time.sleep(seconds)
        return record

    core.Training.advance = advance_slowly  # type: ignore[method-assign]
