"""The command `deltabar`, run to its end."""

from __future__ import annotations

import os
import subprocess

from tests.service.processes import COMMAND


def deltabar(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    wide = {"COLUMNS": "200", "TERM": "dumb"}
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | wide | environment,
        timeout=60,
        check=False,
    )


def assert_one_message(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("deltabar: ")
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr
