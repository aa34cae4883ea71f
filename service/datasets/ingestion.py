"""The processes that read uploaded files, so that the web process neither grows nor stops answering.

Parsing gets a process of its own, and not a thread with bounded batches, because of what a hostile file can do: take
memory within a decoder, where no batch bounds it, run for ever, or crash a library. The kernel limits the process's
memory, the clock its time, and whatever becomes of it becomes an answer to the one who sent the file.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from functools import cached_property

import anyio

from service.datasets.ingest import Request, Table
from service.datasets.unreadable import fault, unreadable
from service.problems import Problem
from service.schemas import FieldError
from service.settings import Settings

LARGE = 16 * 2**20
"""A process that has read a larger file ends: it would keep much of the memory that it took."""
MOST_THREADS = 8


class Ingestion:
    """The processes that are warm and idle; each reads one file at a time. Safe to use from several threads."""

    def __init__(self) -> None:
        self._idle: list[_Process] = []
        self._lock = threading.Lock()

    @cached_property
    def limiter(self) -> anyio.CapacityLimiter:
        """How many files may be read at a time; `Settings.ingest_processes` is put in by the first who asks."""
        return anyio.CapacityLimiter(1)

    async def ingest(self, request: Request, settings: Settings) -> Table:
        """Read the file in one of the processes, once one is free; raises `Problem` as `ingest.ingest` does."""
        self.limiter.total_tokens = settings.ingest_processes
        return await anyio.to_thread.run_sync(self._ingest, request, settings, limiter=self.limiter)

    def close(self) -> None:
        """End every process."""
        with self._lock:
            for process in self._idle:
                process.end()
            self._idle.clear()

    def _ingest(self, request: Request, settings: Settings) -> Table:
        with self._lock:
            process = self._idle.pop() if self._idle else None
        if process is None or not process.alive:
            process = _Process(settings.ingest_memory_bytes)
        try:
            return process.ask(request, settings.ingest_seconds)
        finally:
            if process.fit and request.path.stat().st_size <= LARGE:
                with self._lock:
                    self._idle.append(process)
            else:
                process.end()


class _Process:
    """One process that runs `service.datasets.ingest`; it ends when its standard input does, with us at the latest.

    Attributes:
        fit: whether it may read another file: it has answered, and that it is as it was before.
    """

    def __init__(self, memory: int) -> None:
        self._memory, self.fit = memory, False
        threads = str(min(MOST_THREADS, os.cpu_count() or 1))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "service.datasets.ingest", str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Each thread takes address space, and a backtrace of Rust's would fill the log.
            env=os.environ | {"POLARS_MAX_THREADS": threads, "OPENBLAS_NUM_THREADS": "1", "RUST_BACKTRACE": "0"},
            start_new_session=True,  # Ctrl-C in a terminal is for the web process
        )

    @property
    def alive(self) -> bool:
        """Whether it can take a request."""
        return self._process.poll() is None

    def ask(self, request: Request, seconds: float) -> Table:
        """Send a request and return what comes of it; raises `Problem`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.fit = False
        try:
            self._process.stdin.write(request.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._died() from None
        line, deadline = bytearray(), time.monotonic() + seconds
        descriptor = self._process.stdout.fileno()
        while not line.endswith(b"\n"):
            if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
                allowed = f"a file that is read within {seconds:g} s (the setting DELTABAR_INGEST_SECONDS)"
                raise unreadable(fault(None, f"it was not read after {seconds:g} s", allowed))
            piece = os.read(descriptor, 2**20)
            if not piece:
                raise self._died()
            line += piece
        answer = json.loads(line)
        self.fit = not answer["spent"]
        if "problem" in answer:
            raise _problem(answer["problem"])
        return Table.model_validate(answer["table"])

    def end(self) -> None:
        """End the process and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _died(self) -> Exception:
        code = self._process.wait()
        if code >= 0:  # an exception of ours, which it has logged
            return RuntimeError(f"the process that reads files ended with exit code {code}")
        allowed = f"a whole file that takes up to {self._memory} bytes (the setting DELTABAR_INGEST_MEMORY_BYTES)"
        message = f"reading it took too much memory, or the file is damaged ({signal.Signals(-code).name})"
        return unreadable(fault(None, message, allowed))


def _problem(document: dict[str, object]) -> Problem:
    errors = [FieldError.model_validate(error) for error in document["errors"]]  # type: ignore[attr-defined]
    return Problem(int(str(document["status"])), str(document["code"]), str(document["detail"]), errors)
