"""What was done and what was wrong, from all threads."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Record:
    """What was done; safe to be added to by all."""

    counts: Counter[str] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1
