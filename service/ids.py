"""Identifiers: a prefix that says what the thing is, then a value that sorts by time of creation."""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Literal

from pydantic import StringConstraints

Prefix = Literal["ds", "job", "model", "ckpt", "worker", "key", "draft", "req"]


def new_id(prefix: Prefix) -> str:
    """Return a fresh id such as `job_0193…`: 48 bits of Unix milliseconds, then 80 random bits, in hexadecimal.

    The layout is that of a UUIDv7 (RFC 9562, section 5.7) without its version bits: ids sort by creation time, to the
    millisecond, and none can be guessed.

    >>> new_id("job").startswith("job_")
    True
    """
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


DatasetId = Annotated[str, StringConstraints(pattern=r"^ds_[0-9a-f]{32}$")]
JobId = Annotated[str, StringConstraints(pattern=r"^job_[0-9a-f]{32}$")]
ModelId = Annotated[str, StringConstraints(pattern=r"^model_[0-9a-f]{32}$")]
StartId = Annotated[str, StringConstraints(pattern=r"^(model|ckpt)_[0-9a-f]{32}$")]
CheckpointId = Annotated[str, StringConstraints(pattern=r"^ckpt_[0-9a-f]{32}$")]
