"""The contestants' processes: each kept alive from round to round, with the same threads, and only one at work."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.shapes import Shape
from benchmarks.threads import cores_for
from core.threads import environment

ROOT = Path(__file__).parent.parent
PAUSE = 0.1
"""Seconds between two visits. Threads of a pool that has just worked may go on spinning for some milliseconds."""


class ThreadsError(RuntimeError):
    """A contestant works with more threads than it was given."""


@dataclass(frozen=True)
class Visit:
    """What one contestant did in one round.

    Attributes:
        seconds: of each epoch; the first, with all the setting up, is not in the steady state.
        losses: of each epoch, for each network where there are several; empty where the library tells none.
        final: each network's loss over all samples at the end; empty where it wasn't asked for.
    """

    seconds: list[float]
    losses: list[Any] = field(default_factory=list)
    final: list[float] = field(default_factory=list)


class Session:
    """Asks contestants, each in its own process, which starts when it is first asked, with so many threads.

    Attributes:
        versions: of the libraries of those that have answered.
    """

    def __init__(self, threads: int, device: str = "cpu") -> None:
        self._threads, self._device = threads, device
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self.versions: dict[str, str] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes.values():
            process.communicate()  # closes its standard input, upon which it ends

    def ask(self, contestant: str, shape: Shape, *, judge: bool) -> Visit | str:
        """Return a visit to `contestant`, or the reason why it takes no part.

        Args:
            contestant: the name of its module.
            shape: what to train, for `shape.epochs` epochs.
            judge: whether to compute the loss over all samples at the end, which takes its time.

        Raises:
            ThreadsError: where one of the contestant's pools has more threads than the session gives.
        """
        process = self._processes.get(contestant) or self._start(contestant)
        assert process.stdin is not None
        assert process.stdout is not None
        time.sleep(PAUSE)
        try:
            process.stdin.write(json.dumps({"shape": asdict(shape), "epochs": shape.epochs, "judge": judge}) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # then there is no answer either
        line = process.stdout.readline()
        if not line:
            del self._processes[contestant]
            return f"failed: its process ended with {process.wait()}"
        answer = json.loads(line)
        self.versions |= answer.pop("versions", {})
        if "refused" in answer:
            return answer["refused"]
        if wrong := {pool: n for pool, n in answer.pop("threads").items() if n > self._threads}:
            raise ThreadsError(f"{contestant}: {wrong} threads, where all contestants have {self._threads}")
        return Visit(**answer)

    def _start(self, contestant: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "benchmarks.child", contestant, self._device]
        with cores_for(self._threads):
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env=environment(self._threads),
            )
        self._processes[contestant] = process
        return process
