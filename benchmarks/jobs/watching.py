"""`python benchmarks/jobs/watching.py HOST PORT PATH VIEWERS`: many who follow one event stream, as cheap as can be.

It prints "connected" once every viewer has had its first event, and at the end how many saw the job succeed. It imports
nothing of this project, and takes no answer apart: what that costs isn't the service's.
"""

from __future__ import annotations

import selectors
import socket
import sys

FIRST, LAST = b"id: 1\n", b'"succeeded"'
PIECE, TAIL = 2**16, 1000


def main(host: str, port: str, path: str, viewers: str) -> None:
    """Follow the stream to its end with so many connections."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode()
    selector, tails, waiting, saw = selectors.DefaultSelector(), dict[socket.socket, bytes](), set[socket.socket](), 0
    for _ in range(int(viewers)):
        connection = socket.create_connection((host, int(port)))
        connection.sendall(request)
        selector.register(connection, selectors.EVENT_READ)
        tails[connection] = b""
        waiting.add(connection)
    while tails:
        for key, _ in selector.select():
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            piece = connection.recv(PIECE)
            if piece:
                tails[connection] = (tails[connection] + piece)[-TAIL:]
                if connection in waiting and FIRST in tails[connection]:
                    waiting.remove(connection)
                    if not waiting:
                        print("connected", flush=True)
            else:
                selector.unregister(connection)
                connection.close()
                saw += LAST in tails.pop(connection)
    print(saw, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
