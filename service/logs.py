"""Logs: one line an event, as text for people or as JSON for machines, each with what it is about.

No line holds what a user sent: neither headers nor bodies, nor names, nor paths other than the route's own.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

from pythonjsonlogger.json import JsonFormatter

Format = Literal["auto", "text", "json"]
TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
JSON = "%(levelname)s %(name)s %(message)s"

_about: ContextVar[Mapping[str, Any]] = ContextVar("about", default={})  # noqa: B039 -- read only


def configure(format: Format, level: int = logging.INFO) -> None:
    """Write this process's log to standard error; "auto" is text on a terminal, and JSON elsewhere."""
    as_json = format == "json" or (format == "auto" and not sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(_Json(JSON, rename_fields=_NAMES, timestamp="time") if as_json else _Text(TEXT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)  # so that a library's warning is a line like every other, and about the same


@contextmanager
def about(**fields: Any) -> Iterator[None]:
    """Add `fields`, such as `job_id=…`, to every line that is logged within, in this thread or task.

    >>> with about(job_id="job_1"), about(attempt=2):
    ...     print(fields())
    {'job_id': 'job_1', 'attempt': 2}
    """
    token = _about.set({**_about.get(), **fields})
    try:
        yield
    finally:
        _about.reset(token)


def fields() -> Mapping[str, Any]:
    """Return what this thread or task is about just now."""
    return _about.get()


class _Json(JsonFormatter):
    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        super().add_fields(log_data, record, message_dict)
        log_data.update(_about.get())


_NAMES = {"levelname": "level", "name": "logger"}


class _Text(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- the name of logging's own method
        line = super().formatMessage(record)
        told = [
            f"{name}={value}"
            for name, value in _about.get().items()
            if not re.search(rf"\b{re.escape(str(value))}\b", record.message)
        ]
        return f"{line} [{' '.join(told)}]" if told else line
