"""Answers that become files."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.client.steps import Open, Read, Steps

PIECE = 2**20


def saved(url: str, path: Path, params: Mapping[str, Any] | None = None) -> Steps[Path]:
    """Write the answer to `path`, which it returns; nothing stands there until it is complete."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield Open("GET", url, params=params or {}, piece=PIECE)
        with partial.open("wb") as file:
            while piece := (yield Read()):
                file.write(piece)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
