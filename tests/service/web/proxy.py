"""Stands between a browser and the service, and breaks their connections when it is told to."""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import threading
from collections.abc import Iterator

LOOK_SECONDS = 0.02


class Proxy(socketserver.ThreadingTCPServer):
    """Hands on what comes to a port of its own on loopback to `port`."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        self.port, self.down = port, threading.Event()
        super().__init__(("127.0.0.1", 0), _Connection)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def cut(self) -> None:
        """Break every connection, and take no other until `mend`."""
        self.down.set()

    def mend(self) -> None:
        """Take connections again."""
        self.down.clear()


class _Connection(socketserver.BaseRequestHandler):
    """One connection of the browser's, until one of the two ends it or the proxy is cut."""

    def handle(self) -> None:
        assert isinstance(self.server, Proxy)
        if self.server.down.is_set():
            return
        with socket.create_connection(("127.0.0.1", self.server.port)) as far, contextlib.suppress(OSError):
            others = {self.request: far, far: self.request}
            while not self.server.down.is_set():
                for source in select.select(list(others), [], [], LOOK_SECONDS)[0]:
                    piece = source.recv(65536)
                    if not piece:
                        return
                    others[source].sendall(piece)


@contextlib.contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    """Yield a proxy for `port`."""
    with Proxy(port) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": LOOK_SECONDS})
        thread.start()
        try:
            yield running
        finally:
            running.cut()
            running.shutdown()
            thread.join()
