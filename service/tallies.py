"""Counters of what has happened to jobs, kept in the table `tallies` in the very transaction in which it happens.

What several workers and web processes count together can't be counted in any of them, and not from the rows of jobs
either: whoever deletes a job would turn the counters back. Here each thing is counted when its transaction commits,
once, whatever is killed or repeated, and for as long as the database lives.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from typing import NamedTuple

from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from service.tables import Tally

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)
"""Upper limits of the buckets of every histogram: a tiny job takes milliseconds, a long one a day."""
INFINITE, SUM = "+Inf", "sum"
ATTEMPTS, EVENTS, FAILURES, STEPS = "attempts", "events", "failures", "steps"
WAIT, RUN = "wait_seconds", "run_seconds"

_ADD = text(
    "INSERT INTO tallies (name, label, part, value) VALUES (:name, :label, :part, :value) "
    "ON CONFLICT (name, label, part) DO UPDATE SET value = tallies.value + excluded.value"
)


class Key(NamedTuple):
    """What is counted: a name, the value of its label, and for histograms the bucket, or "sum"."""

    name: str
    label: str = ""
    part: str = ""


def count(session: Session, name: str, label: str = "", amount: float = 1.0) -> None:
    """Add `amount` to a counter when the session commits."""
    _pending(session)[Key(name, label)] += amount


def observe(session: Session, name: str, seconds: float, label: str = "") -> None:
    """Add a duration to a histogram when the session commits."""
    pending = _pending(session)
    pending[Key(name, label, _bucket(seconds))] += 1
    pending[Key(name, label, SUM)] += seconds


def read(session: Session) -> dict[Key, float]:
    """Return everything that was counted."""
    return {Key(name, label, part): value for name, label, part, value in session.execute(select(*_COLUMNS))}


def cumulative(buckets: dict[str, float]) -> list[tuple[str, float]]:
    """Return pairs of upper limit and the count of durations up to it, from counts that are each of one bucket.

    >>> cumulative({"0.1": 2, "+Inf": 1})[1:5]
    [('0.03', 0.0), ('0.1', 2.0), ('0.3', 2.0), ('1', 2.0)]
    """
    total, pairs = 0.0, []
    for limit in (*(str(limit) for limit in SECONDS), INFINITE):
        total += buckets.get(limit, 0.0)
        pairs.append((limit, total))
    return pairs


_COLUMNS = (Tally.name, Tally.label, Tally.part, Tally.value)


def _bucket(seconds: float) -> str:
    place = bisect_left(SECONDS, seconds)
    return str(SECONDS[place]) if place < len(SECONDS) else INFINITE


def _pending(session: Session) -> defaultdict[Key, float]:
    return session.info.setdefault("tallies", defaultdict(float))


@event.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    # At the end of the transaction and in one order, so that writers hold these rows, which all of them want, for no
    # longer than the commit takes, and never wait for each other in a circle.
    if pending := session.info.get("tallies"):
        session.execute(_ADD, [{**key._asdict(), "value": value} for key, value in sorted(pending.items())])
        pending.clear()
