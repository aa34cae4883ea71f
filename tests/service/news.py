"""News of epochs, as a worker has them from its child."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.jobs.epochs import pack
from service.jobs.held import News


def of_epoch(record: Mapping[str, Any], at: float) -> News:
    """Return the news that an epoch has ended, of which `record` is what it reports."""
    return News("metrics", dict(record), at, pack([record]))
