"""Ctrl-C, and the signals that mean the same, in commands that take their time."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class Stop:
    """Whether this process has been asked to end."""

    def __init__(self) -> None:
        self._asked = self._watched = False

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Let signals raise nothing within; whoever works there calls `look` again and again, and a last time is here.

        The exception of a signal may strike where Python can only ignore it, as in a finalizer; and where many are
        called, some will. Who asks a second time is impatient, and gets the exception wherever it strikes.
        """
        self._watched = True
        try:
            yield
        finally:
            self._watched = False
        self.look()

    def look(self) -> None:
        """Raise KeyboardInterrupt if there was a signal."""
        if self._asked:
            raise KeyboardInterrupt

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        again, self._asked = self._asked, True
        if again or not self._watched:
            raise KeyboardInterrupt


@contextlib.contextmanager
def stops_on_signals() -> Iterator[Stop]:
    """Make SIGTERM and SIGHUP end this process as Ctrl-C does, so that it cleans up then too."""
    stop = Stop()
    handlers = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def apart(work: Callable[[], T]) -> T:
    """Do `work` in a thread of its own, and return or raise what it does.

    A signal's exception is raised in the main thread, wherever that is; in the midst of the HTTP client it may leave a
    lock taken, on which closing the client then waits for ever. Here it finds the main thread waiting, and the work is
    left behind.
    """
    done: Future[T] = Future()

    def run_work() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run_work, daemon=True).start()
    return done.result()
