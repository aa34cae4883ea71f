"""A worker lets its machine be measured while it has nothing to do, so that jobs are told how long they take."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from core.threads import environment
from service.doctor import Finding, tell

IDLE_SECONDS = 2.0
"""How long a worker has had no job before it measures: those that come at its start are more urgent."""
log = logging.getLogger(__name__)


class Measuring:
    """One measurement, with `threads` threads, in a process of its own (`service.calibration`)."""

    def __init__(self, threads: int, store: Callable[[dict[str, Any]], None]) -> None:
        self._threads, self._store = threads, store
        self._process: subprocess.Popen[str] | None = None
        self._idle_since = time.monotonic()
        self._over = False

    def go_on(self, *, idle: bool) -> None:
        """Begin once the worker was idle for 2 s, begin anew where a job comes meanwhile, and store what was found."""
        if self._over:
            return
        if not idle:
            self.close()
            self._idle_since = time.monotonic()
        elif self._process is None:
            if time.monotonic() - self._idle_since >= IDLE_SECONDS:
                self._begin()
        elif self._process.poll() is not None:
            process, self._process, self._over = self._process, None, True
            said, _ = process.communicate()
            if process.returncode == 0:
                found = json.loads(said)
                self._store(found["calibration"])
                tell(Finding(**each) for each in found["findings"])
                log.info("this machine is measured; jobs are told how long they will take")
            else:
                log.warning("the machine could not be measured; jobs are estimated without seconds")

    def close(self) -> None:
        """End the process, if it runs, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _begin(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "service.calibration", str(self._threads)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=environment(self._threads),
            text=True,
            start_new_session=True,
        )
