"""A worker's child processes, which train: kept warm, so that a tiny job needn't wait for imports.

Each is a fresh interpreter, never a fork, with a pipe as its only tie. It runs in a session of its own, so that Ctrl-C
in a terminal reaches the worker alone. When the worker is gone, in whatever way, the pipe ends, and the child exits.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing import Pipe

from core.threads import environment
from service.doctor import Finding, tell
from service.protocol import FINAL, Message, Work, receive, send

END_SECONDS = 0.1
EXIT_SECONDS = 1.0
TRY_SECONDS = 10.0
"""How often a device that was lost is tried again, by a new child."""


class ChildDied(Exception):  # noqa: N818 -- what happened
    """The child ended without a final message; the exception says how.

    Attributes:
        number: of the signal that ended it, if one did.
    """

    def __init__(self, message: str, number: int | None = None) -> None:
        super().__init__(message)
        self.number = number


class Child:
    """One process that runs `service.runner`. It takes a job as soon as its imports are done.

    Args:
        device: where it trains jobs that name none.
        threads: how many it has for it.

    Attributes:
        proven: whether it has tried its device, and the device computes.
        fault: why its device doesn't compute, if that is so.
        finding: what it found of its device when it tried it, if that is a GPU.
    """

    def __init__(self, device: str, threads: int) -> None:
        self.device = device
        self._pipe, theirs = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "service.runner", str(theirs.fileno()), str(threads), device],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment(threads),
            start_new_session=True,
        )
        theirs.close()  # so that the pipe ends when the child does
        self._busy, self._failed = False, False
        self.proven, self.fault = False, None
        self.finding: Finding | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def ready(self) -> bool:
        """Whether it can take a job. One that failed at its last may be in a bad state: no memory, perhaps."""
        return not (self._busy or self._failed or self.fault) and self._process.poll() is None

    def start(self, assignment: Work) -> None:
        """Let the child begin; what comes of it is for `receive`."""
        self._busy = True
        self._send(("begin", assignment.model_dump(mode="json")))

    def ask_to_stop(self, *, keep: bool) -> None:
        """Ask the child to end its job, after a checkpoint if it is to `keep` one; raises `ChildDied`."""
        self._send(("stop", {"keep": keep}))

    def receive(self, seconds: float) -> list[Message]:
        """Return what the child says next, waiting for it up to `seconds`; raises `ChildDied`."""
        if not self._busy:
            return []
        messages = self._received(seconds)
        if messages:
            last = messages[-1][0]
            self._busy, self._failed = last not in FINAL, last == "failed"
        return messages

    def look(self) -> None:
        """Take what it says of its device while it has no job."""
        with contextlib.suppress(ChildDied):  # which `ready` tells too
            self._received(0)

    def _received(self, seconds: float) -> list[Message]:
        """Return what it says next of its job; what it says of its device is noted."""
        try:
            messages = receive(self._pipe) if self._pipe.poll(seconds) else []
        except (EOFError, OSError):
            raise self._death() from None
        for kind, data in messages:
            if kind == "device":
                self.fault = data["fault"]
                self.proven = self.fault is None
                if "finding" in data:
                    self.finding = Finding(**data["finding"])
        return [message for message in messages if message[0] != "device"]

    def stop(self, seconds: float) -> None:
        """Let the child end its job, if it has one; a child that doesn't within `seconds` is ended itself."""
        deadline = time.monotonic() + seconds
        try:
            if self._busy:
                self.ask_to_stop(keep=False)
            while self._busy and (left := deadline - time.monotonic()) > 0:
                self.receive(left)
        except ChildDied:
            pass
        if self._busy:
            self.end()

    def end(self) -> None:
        """End the process, by force where it doesn't go, and wait until it is gone."""
        self._pipe.close()
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, message: Message) -> None:
        try:
            send(self._pipe, [message])
        except OSError:
            raise self._death() from None

    def _death(self) -> ChildDied:
        try:
            code = self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return ChildDied("the training process broke off")
        if code >= 0:
            return ChildDied(f"the training process ended with exit code {code}")
        name = signal.Signals(-code).name
        hint = ", most often because memory ran out" if name == "SIGKILL" else ""
        return ChildDied(f"the training process was ended by {name}{hint}", -code)


class Children:
    """The children that are warm and idle, of each device one at least; all end with the `with` block.

    Safe to use from several threads.

    Args:
        devices: of each slot, in which one child trains at a time.
        threads: of each child.
    """

    def __init__(self, devices: Sequence[str], threads: int) -> None:
        self._threads, self._lock = threads, threading.Lock()
        self._idle = [Child(device, threads) for device in devices]
        self._faults: dict[str, str] = {}
        self._told: set[str] = set()
        self._tried = dict.fromkeys(devices, 0.0)

    def take(self, device: str) -> Child:
        """Return a warm child, the caller's until it is given back, and see to it that another warms up."""
        with self._lock:
            for dead in [child for child in self._idle if not child.ready]:
                self._idle.remove(dead)
                dead.end()
            child = self._idle_on(device) or Child(device, self._threads)
            if child in self._idle:
                self._idle.remove(child)
            if self._idle_on(device) is None:
                self._idle.append(Child(device, self._threads))
            return child

    def _idle_on(self, device: str) -> Child | None:
        return next((child for child in reversed(self._idle) if child.device == device), None)

    def give_back(self, child: Child) -> None:
        """Keep `child` for the next job if it is ready for one; else end it, with its like if the device is lost."""
        with self._lock:
            if child.fault:
                self._lose(child.device, child.fault)
            elif child.ready and child.device not in self._faults:
                self._idle.append(child)
                return
        child.end()

    def look(self) -> dict[str, str]:
        """Return the devices that don't compute, with why, from what the idle children say.

        A device that is lost is tried by a new child every 10 s, and is no longer lost once it computes there.
        """
        with self._lock:
            for child in list(self._idle):
                child.look()
                if child.proven:
                    self._faults.pop(child.device, None)
                    self._tell(child)
            for child in list(self._idle):
                if child.fault:
                    self._lose(child.device, child.fault)
            for device in self._faults:
                if self._idle_on(device) is None and time.monotonic() - self._tried[device] >= TRY_SECONDS:
                    self._tried[device] = time.monotonic()
                    self._idle.append(Child(device, self._threads))
            return dict(self._faults)

    def is_lost(self, device: str) -> bool:
        """Return whether `device` doesn't compute, as far as is known."""
        return device in self._faults

    def _tell(self, child: Child) -> None:
        """Log what the first child on each GPU found of it."""
        if child.finding and child.device not in self._told:
            self._told.add(child.device)
            tell([child.finding])

    def _lose(self, device: str, fault: str) -> None:
        """Note the fault, and end the children that have tried `device` before it: only a new one tells of it now."""
        self._faults[device] = fault
        for child in self._idle:
            if child.device == device:
                child.end()
        self._idle = [child for child in self._idle if child.device != device]

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._idle:
            child.end()
