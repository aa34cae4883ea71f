"""How numbers, times and sizes are written on a page."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime

MISSING = "–"


def number(value: float | None, digits: int = 4) -> str:
    """Write a number with so many significant digits, and a larger one whole.

    >>> number(12345), number(0.123456), number(7853.2, 3), number(None)
    ('12,345', '0.1235', '7,853', '–')
    """
    if value is None:
        return MISSING
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return f"{value:,.0f}" if 10**digits <= abs(value) < 1e9 else f"{value:.{digits}g}"


def duration(seconds: float | None) -> str:
    """Write a duration.

    >>> duration(0.25), duration(42), duration(200), duration(7500)
    ('0.25 s', '42 s', '3 min 20 s', '2 h 5 min')
    """
    if seconds is None:
        return MISSING
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: float | None) -> str:
    """Write a number of bytes.

    >>> size(512), size(2**20), size(1.5 * 2**30)
    ('512 bytes', '1.0 MiB', '1.5 GiB')
    """
    if count is None:
        return MISSING
    if count < 1024:
        return f"{count:.0f} bytes"
    power = min(4, int(math.log2(count) // 10))
    return f"{count / 1024**power:.1f} {' KMGT'[power]}iB"


def moment(seconds: float) -> str:
    """Write a time as in ISO 8601, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ago(seconds: float) -> str:
    """Write how long ago a time was, so coarsely that it changes once a minute at most."""
    passed = time.time() - seconds
    for unit, length in (("days", 2 * 86_400), ("h", 2 * 3600), ("min", 60)):
        if passed >= length:
            return f"{passed // {'days': 86_400, 'h': 3600, 'min': 60}[unit]:.0f} {unit} ago"
    return "just now"


def short(identifier: str) -> str:
    """Write an id so short that it can still be told from others.

    >>> short("job_019abc4d5e6f0123456789abcdef0123")
    'job_…ef0123'
    """
    kind, _, value = identifier.partition("_")
    return f"{kind}_…{value[-6:]}"
