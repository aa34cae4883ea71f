"""Stand-ins for a service that is hard to reach: connections that break, and answers that aren't its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.service.processes import Serving

WHOLE = 10**9
"""More bytes than any connection here carries."""


@contextmanager
def listening(answer: Callable[[socket.socket, int], None]) -> Iterator[tuple[str, list[int]]]:
    """Accept connections, hand each to `answer` with its number, and yield the address and the numbers so far."""
    seen: list[int] = []
    threads: list[threading.Thread] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=answer, args=(connection, len(seen))))
            seen.append(len(seen))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for thread in threads:
                thread.join()


@contextmanager
def cut_off(service: Serving, limits: list[int]) -> Iterator[tuple[str, list[int]]]:
    """Stand between client and service, and break the k-th connection after `limits[k]` bytes of answers."""
    with relaying(service.port, lambda number: limits[number] if number < len(limits) else WHOLE) as running:
        yield running


@contextmanager
def relaying(port: int, limit_of: Callable[[int], int]) -> Iterator[tuple[str, list[int]]]:
    """Stand before a service, which may be away, and break the k-th connection after `limit_of(k)` bytes of answers."""

    def relay(client: socket.socket, number: int) -> None:
        with client, suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as upstream:
            forward = threading.Thread(target=pump, args=(client, upstream, WHOLE))
            forward.start()
            pump(upstream, client, limit_of(number))
            forward.join()

    with listening(relay) as running:
        yield running


@contextmanager
def answering(response: bytes) -> Iterator[str]:
    def answer(client: socket.socket, _: int) -> None:
        with client:
            client.recv(65536)
            client.sendall(response)

    with listening(answer) as (url, _):
        yield url


def pump(source: socket.socket, target: socket.socket, left: int) -> None:
    with suppress(OSError):
        while left > 0 and (piece := source.recv(min(left, 4096))):
            target.sendall(piece)
            left -= len(piece)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
