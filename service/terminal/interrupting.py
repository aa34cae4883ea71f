"""Ctrl-C, and the signals that mean the same, in commands that take their time."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import FrameType


@contextlib.contextmanager
def stops_on_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end this process as Ctrl-C does, so that it cleans up then too."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    handlers = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def apart(work: Callable[[], None]) -> None:
    """Do `work` in a thread of its own, and raise what it raises.

    A signal's exception is raised in the main thread, wherever that is; in the midst of the HTTP client it may leave a
    lock taken, on which closing the client then waits for ever. Here it finds the main thread waiting, and the work is
    left behind.
    """
    done: Future[None] = Future()

    def run_work() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run_work, daemon=True).start()
    done.result()
