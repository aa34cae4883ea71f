"""Standard input as a sign of life: it ends when the process that holds its other end does, however that goes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


def at_its_end(call: Callable[[], object]) -> None:
    """Call `call`, in a thread, when standard input ends; what comes over it until then is thrown away."""

    def watch() -> None:
        while os.read(0, 4096):  # not sys.stdin, whose lock a thread must not hold when Python ends
            pass
        call()

    threading.Thread(target=watch, name="standard-input", daemon=True).start()
