"""A process beside the web process, for work that would hold up the answers to others: drawing, writing ONNX files."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Aside:
    """One process, started with the first piece of work, ended by `close`. Safe to use from several threads."""

    def __init__(self) -> None:
        self._executor: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    def submit(
        self, work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Future[Result]:
        """Return what `work(*arguments)` will be, one piece of work after the other."""
        with self._lock:
            try:
                return self._started().submit(work, *arguments, **named)
            except BrokenProcessPool:  # the process was killed since the last piece of work
                self._executor = None
                return self._started().submit(work, *arguments, **named)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._executor is not None:
                self._executor.shutdown(cancel_futures=True)
                self._executor = None

    def _started(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_set_up_process)
        return self._executor


def _set_up_process() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the web process, which then calls `close`
    # A pool's process holds both ends of its queue, so it would wait for work for ever if the web process were killed.
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
