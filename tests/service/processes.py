"""Real processes for the tests: `deltabar serve`, and what is left of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

COMMAND = [sys.executable, "-m", "service.cli"]
PATIENCE = 300.0
"""Seconds that a busy machine may take for what an idle one does in one or two."""


@dataclass
class Serving:
    """A running `deltabar serve`."""

    url: str
    data_dir: Path
    process: subprocess.Popen[str]
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(folder: Path, *options: str, port: int = 0, **settings: object) -> Iterator[Serving]:
    """Run `deltabar serve` with its data in `folder`, on a free port; killed at the end if it still runs."""
    folder.mkdir(parents=True, exist_ok=True)
    data_dir, log = folder / "data", folder / "service.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            # It ends with these tests, in whatever way they do.
            [*COMMAND, "serve", "--port", str(port), "--data-dir", str(data_dir), "--watch-stdin", *options],
            env=os.environ | {f"DELTABAR_{name.upper()}": str(value) for name, value in settings.items()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        found = re.search(r"http://[^\s\"]+", first)
        assert found, f"no address in {first!r}; the log says:\n{log.read_text()}"
        yield Serving(found[0], data_dir, process, log)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def processes_on(data_dir: Path) -> set[int]:
    """Return the ids of all processes that work on `data_dir`: it stands in their environment or command line."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            said = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
        except OSError:  # gone by now, or another user's
            continue
        if str(data_dir).encode() in said:
            found.add(int(folder.name))
    return found


def eventually(condition: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Return whether `condition` comes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
