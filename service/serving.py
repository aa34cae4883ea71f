"""`deltabar serve`: the web application in this process, and each worker in a process of its own."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from core.threads import cores
from service import standard_input
from service.data_dir import CannotStart
from service.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

FIRST_PAUSE, LONGEST_PAUSE, LIVED_WELL = 0.5, 30.0, 60.0
REQUEST_PATIENCE, WORKER_PATIENCE = 10, 20.0
log = logging.getLogger(__name__)


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens on the address of `settings`; raises `CannotStart` when it is taken."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise CannotStart(
            f"can't listen on {settings.host!r}: {error.strerror}. Choose another address with --host "
            "(or DELTABAR_HOST); 127.0.0.1 is this machine alone."
        ) from error
    family, kind, protocol, _, address = found[0]
    # asyncio switches Nagle's algorithm off, which costs 40 ms an answer, only where the protocol is named.
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        bound.listen()
    except OSError as error:
        bound.close()
        raise CannotStart(
            f"can't listen on {settings.host} port {settings.port}: {error.strerror}. "
            "Choose another port with --port (or DELTABAR_PORT); --port 0 takes a free one."
        ) from error
    return bound


def url_of(bound: socket.socket) -> str:
    """Return the address of `bound` as a URL."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    settings: Settings, app: FastAPI, bound: socket.socket, announce: Callable[[], None], watch_stdin: bool = False
) -> None:
    """Serve `app` on `bound`, with its workers beside it, until SIGINT or SIGTERM; returns once all have stopped.

    A second signal doesn't wait for open answers, nor for the workers to hand back their jobs.

    Args:
        settings: given to the workers too; `workers` is how many there are.
        app: the web application.
        bound: the socket that listens.
        announce: called once the application accepts requests.
        watch_stdin: stop when standard input ends as well.

    Raises:
        CannotStart: when the application fails to start.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=REQUEST_PATIENCE,
        lifespan="on",
        # To a container a proxy comes from any address. All that rests on what it says is whether the browser sends the
        # cookie with the key over TLS alone; nothing rests on where a request comes from.
        forwarded_allow_ips="*",
    )
    server = _Server(config, app, announce)
    workers = Workers(settings)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if server.should_exit:
            server.force_exit = True
            workers.kill()
        server.should_exit = True

    handlers = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    if watch_stdin:
        standard_input.at_its_end(lambda: setattr(server, "should_exit", True))
    try:
        with workers:
            server.run(sockets=[bound])
    except SystemExit as error:
        raise CannotStart("the application failed to start; its log says why.") from error
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    """Uvicorn, which here says when it is up, and tells the application before it waits for open answers."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._app, self._announce = app, announce

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # `serve` has handlers already, for as long as the worker runs

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.context.stopping.set()
        await super().shutdown(sockets)


class Workers:
    """As many workers as `settings` say, which share the cores; stopped at the end of the `with` block."""

    def __init__(self, settings: Settings) -> None:
        if settings.workers > 1 and not settings.threads:
            settings = settings.model_copy(update={"threads": max(1, cores() // settings.workers)})
        self._processes = [WorkerProcess(settings) for _ in range(settings.workers)]

    def __enter__(self) -> Workers:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.ask_to_stop()
        for process in self._processes:
            process.join()

    def kill(self) -> None:
        """Kill them without waiting; their jobs go to other workers once the leases have run out."""
        for process in self._processes:
            process.kill()


class WorkerProcess:
    """One `python -m service.worker`, started again when it dies, until it is asked to stop.

    It has a session of its own, so that Ctrl-C reaches only this process, which then stops it in order. It also stops
    when its standard input ends, as happens when this process is killed.
    """

    def __init__(self, settings: Settings) -> None:
        values = settings.model_dump(mode="json")
        self._environment = os.environ | {f"DELTABAR_{name.upper()}": str(value) for name, value in values.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._supervise, name="worker-supervisor")

    def start(self) -> None:
        """Start it, and see to it that it runs."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Let it hand back its job and end; nothing starts it again."""
        with self._lock:
            self._stopping.set()
            if self._process is not None:
                self._process.terminate()

    def join(self) -> None:
        """Wait until it has ended, by force where it doesn't go."""
        self._thread.join(WORKER_PATIENCE)
        if self._thread.is_alive():
            log.warning("the worker did not stop within %.0f s and is killed", WORKER_PATIENCE)
            self.kill()
            self._thread.join()

    def kill(self) -> None:
        """Kill it without waiting."""
        if self._process is not None:
            self._process.kill()

    def _supervise(self) -> None:
        pause = FIRST_PAUSE
        while process := self._start():
            started = time.monotonic()
            code = process.wait()
            if process.stdin is not None:
                process.stdin.close()
            if self._stopping.is_set():
                return
            if time.monotonic() - started > LIVED_WELL:
                pause = FIRST_PAUSE
            log.error("the worker ended unexpectedly (exit code %d); it is started again in %.1f s", code, pause)
            self._stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _start(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service.worker", "--watch-stdin"],
                env=self._environment,
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
            return self._process
