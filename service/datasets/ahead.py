"""Lets a generator run ahead in a thread of its own, by a little, while its consumer works on what came before."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from queue import Queue
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def ahead(items: Iterable[Item]) -> Iterator[Iterator[Item]]:
    """Yield an iterator of the same `items`, the next of which is made while one is looked at.

    An exception of the generator comes out of the iterator. At the end of the block the thread is gone.

    >>> with ahead(range(3)) as numbers:
    ...     list(numbers)
    [0, 1, 2]
    """
    waiting: Queue[tuple[bool, Item | BaseException | None]] = Queue(maxsize=1)
    stop = threading.Event()

    def run() -> None:
        try:
            for item in items:
                waiting.put((True, item))
                if stop.is_set():
                    return
            waiting.put((False, None))
        except BaseException as error:  # polars' panics are no Exception
            waiting.put((False, error))

    def given() -> Iterator[Item]:
        while True:
            more, item = waiting.get()
            if more:
                yield item  # type: ignore[misc] -- an item, as it says
            elif isinstance(item, BaseException):
                raise item
            else:
                return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield given()
    finally:
        stop.set()
        while thread.is_alive():
            while not waiting.empty():
                waiting.get()
            thread.join(0.01)
