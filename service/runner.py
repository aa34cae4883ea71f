"""The child process of a worker: takes an assignment from its pipe, trains or predicts, and says what happens."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any

import core
from service import logs
from service.doctor import product_on
from service.jobs.epochs import pack
from service.predictions.batches import predict
from service.protocol import ASSIGNMENT, FINAL, Assignment, Message, PredictionAssignment, receive, send
from service.training.cannot_train import CannotTrain
from service.training.course import Wish, train
from service.training.device import DeviceFailed, backend_name, fault_of, warm_up, watched
from service.training.memory_limit import limited
from service.training.samples import Tables

GATHER_SECONDS = 0.1
LOOK_SECONDS = 10.0
"""How often a child that waits for a job looks whether its GPU still computes."""
TRY_SECONDS = 0.02
"""How long a child that becomes warm multiplies matrices on its GPU."""
log = logging.getLogger("service.runner")  # as a program, this module is called "__main__"


def main() -> None:
    """Train what comes over the pipe whose file descriptor is the first argument, until the worker closes it.

    The second is how many threads there may be, the third the device for jobs that don't name one.
    """
    logs.configure(os.environ.get("DELTABAR_LOG_FORMAT", "auto"), logging.WARNING)  # type: ignore[arg-type] -- checked by the worker
    descriptor, threads, device = sys.argv[1:]
    os.set_inheritable(int(descriptor), False)
    pipe = Connection(int(descriptor))
    assignments: SimpleQueue[dict[str, Any]] = SimpleQueue()
    wish, tables, outbox = Wish(), Tables(), Outbox(pipe)
    threading.Thread(target=_listen, args=(pipe, assignments, wish), daemon=True).start()
    # Where the pipe is broken, the worker is gone, and nobody is left to train for.
    with core.threads(int(threads)), contextlib.suppress(BrokenPipeError):
        warm_up(device)
        outbox.put(("device", _tried(device)))
        while True:
            for message in messages_of(_next(assignments, device, outbox), wish, tables):
                outbox.put(message)
            _free_device_memory()


def _tried(device: str) -> dict[str, Any]:
    """Return why `device` doesn't compute, if that is so, and of a GPU what there is to say of it."""
    if device == "cpu":
        return {"fault": fault_of(device)}
    found = product_on(backend_name(device), TRY_SECONDS)
    return {"fault": found.says if found.state == "bad" else None, "finding": asdict(found)}


def _next(assignments: SimpleQueue[dict[str, Any]], device: str, outbox: Outbox) -> dict[str, Any]:
    """Wait for an assignment; meanwhile say so when the device no longer computes."""
    while device != "cpu":
        try:
            return assignments.get(timeout=LOOK_SECONDS)
        except Empty:
            if fault := fault_of(device):
                outbox.put(("device", {"fault": fault}))
    return assignments.get()


def _listen(pipe: Connection, assignments: SimpleQueue[dict[str, Any]], wish: Wish) -> None:
    try:
        while True:
            for kind, data in receive(pipe):
                if kind == "begin":
                    wish.stop = wish.keep = False
                    assignments.put(data)
                else:
                    wish.keep = data["keep"]
                    wish.stop = True
    except (EOFError, OSError):
        pass  # the worker is gone, and nobody is left to train for
    except Exception:
        log.exception("the worker said what can't be understood")
    finally:
        os._exit(0)  # in whatever the main thread is


class Outbox:
    """Sends messages, several at a time where they come fast: epochs may take microseconds."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._gathered: list[Message] = []
        self._sent = 0.0

    def put(self, message: Message) -> None:
        """Send `message` at once if others shall act on it, and within 0.1 s of training otherwise."""
        self._gathered.append(message)
        now = time.monotonic()
        if message[0] not in ("metrics", "rows", "progress", "log") or now - self._sent >= GATHER_SECONDS:
            send(self._pipe, list(_packed(self._gathered)))
            self._gathered, self._sent = [], now


def _packed(gathered: Sequence[Message]) -> Iterator[Message]:
    """Yield the messages, with one for all the epochs that follow each other."""
    for kind, group in groupby(gathered, key=lambda message: message[0]):
        if kind == "metrics":
            records = [data for _, data in group]
            yield kind, {"last": records[-1], "packed": b64encode(pack(records)).decode()}
        else:
            yield from group


def messages_of(given: dict[str, Any], wish: Wish, tables: Tables) -> Iterator[Message]:
    """Do what is `given`, an assignment as JSON; yield what happens up to a final message, whatever goes wrong."""
    with logs.about(**given.get("about", {})):
        try:
            assignment = ASSIGNMENT.validate_python(given)
            with limited(assignment.memory_bytes):
                for message in _begun(assignment, wish, tables):
                    yield message
                    if wish.stop and message[0] not in FINAL and not wish.keep:
                        yield "stopped", {}
                        return
        except CannotTrain as error:
            yield "failed", {"code": error.code, "message": str(error)}
        except DeviceFailed as error:
            log.exception("the device is lost")
            yield "device", {"fault": str(error)}
            yield "failed", {"code": "device_failed", "message": str(error)}
        except OSError as error:
            log.exception("a file can't be read or written")
            yield "failed", {"code": "storage_failed", "message": f"a file can't be read or written: {error}"}
        except MemoryError as error:
            most = [f"{given[name]} bytes of {whose}" for name, whose in _LIMITS.items() if given.get(name)]
            limit = f"the {' and the '.join(most)} that a job may have" if most else "there is"
            message = f"the job needs more memory than {limit} ({error}); try fewer units, or a smaller batch_size"
            yield "failed", {"code": "out_of_memory", "message": message}
        except Exception as error:
            log.exception("unexpected error in a job")
            message = f"the job failed unexpectedly ({type(error).__name__}: {error}); the worker's log says more"
            yield "failed", {"code": "internal_error", "message": message}


def _begun(assignment: Assignment | PredictionAssignment, wish: Wish, tables: Tables) -> Iterator[Message]:
    if isinstance(assignment, PredictionAssignment):
        yield from predict(assignment, wish)
    else:
        with watched(assignment.spec, assignment.device):
            yield from train(assignment, wish, tables)


_LIMITS = {"memory_bytes": "memory", "device_memory_bytes": "a GPU's memory"}


def _free_device_memory() -> None:
    # The next job of this GPU may be another process's. A training's parts refer to each other, so its arrays are there
    # until Python looks for such; and CuPy keeps what it has freed, pinned memory too, for the next allocation.
    if cupy := sys.modules.get("cupy"):
        gc.collect()
        with contextlib.suppress(cupy.cuda.runtime.CUDARuntimeError):  # the device may be lost
            cupy.get_default_memory_pool().free_all_blocks()
            cupy.get_default_pinned_memory_pool().free_all_blocks()


if __name__ == "__main__":
    main()
