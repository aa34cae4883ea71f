"""The command `deltabar`, run to its end."""

from __future__ import annotations

import os
import subprocess

from typer.testing import CliRunner

from service.cli import app
from tests.service.processes import COMMAND, PATIENCE


def deltabar(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    wide = {"COLUMNS": "200", "TERM": "dumb"}
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | wide | environment,
        timeout=PATIENCE,
        check=False,
    )


def assert_one_message(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("deltabar: ")
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr


def invoke(*arguments: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """The same within this process, which spares it to import everything anew."""
    wide = {"COLUMNS": "200", "TERM": "dumb"}
    done = CliRunner().invoke(app, list(arguments), input=given, env=wide | environment, prog_name="deltabar")
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def ok(*arguments: str, **environment: str) -> str:
    """What a command that succeeds says on standard output."""
    done = invoke(*arguments, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout
