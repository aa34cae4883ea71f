"""`make bench-service`: measure the service, print the table, keep it in RESULTS.md, and fail where a bar is missed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from benchmarks import machine
from benchmarks.jobs import alone, burst, estimates, overhead, predicting, reaction, reads, viewers
from benchmarks.results_file import keep
from benchmarks.table import markdown, number
from core.threads import cores

HOW = """\
All of it over HTTP on loopback, with the Python client, against `deltabar serve` on its embedded default (SQLite, a
local folder). A tiny job is one epoch on the irises. In the burst, 20 clients post 1,000 tiny jobs at once to a service
with 2 workers and wait for all of them; each must have succeeded, in its first attempt. A job's turnaround there is
that of its row, from its making to its end; alone, it is what its client measures, from the POST until it knows.
The half-minute job's time is its client's too, against `core.fit` on the same rows in a process of its own, and both
must reach the same loss. The viewers connect while the job is queued, so that what they cost is that of a job being
watched; the work of their own process, which has the same cores, is in it. A row is predicted by the default model of
the penguins, and the seconds are its client's. The data set predicted has 2,000,000 rows of 32 numbers, 512 MB of them,
in a process that may have 400 MB, interpreter and libraries included, and comes out as CSV.
"""


def main() -> int:
    """Return 1 where a bar is missed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer jobs, shorter ones; keeps nothing")
    quick = parser.parse_args().quick
    many = burst.burst(100 if quick else burst.JOBS)
    single = alone.turnarounds(10 if quick else 60)
    reading = reads.reads(3.0 if quick else 15.0)
    added = overhead.overheads(*((5.0, 1) if quick else (30.0, 3)))
    reacted = reaction.reactions(2 if quick else 10)
    told = estimates.factors()
    worst = max(told, key=told.__getitem__)
    slower = viewers.slowdowns(*((3.0, 1) if quick else (10.0, 9)))
    single_rows = predicting.one_row(50 if quick else 500)
    batch = predicting.batch(100_000 if quick else predicting.ROWS)
    rows = [
        _row("burst: tiny jobs a second", many.rate, at_least=50),
        _row("burst: turnaround, median, s", _share(many.turnaround, 50)),
        _row("burst: turnaround, 99 % within, s", _share(many.turnaround, 99)),
        _row("a tiny job alone: median, ms", 1e3 * _share(single, 50), at_most=50),
        _row("a tiny job alone: 99 % within, ms", 1e3 * _share(single, 99)),
        _row("reading while all cores train: 99 % within, ms", 1e3 * _share(reading, 99), at_most=50),
        _row("added to a job of 30 s, %", 1e2 * float(np.median(added)), at_most=2),
        _row("cancelling a job that trains: the slowest, ms", 1e3 * max(reacted.cancelled), at_most=500),
        _row(
            "pausing a job that trains, its checkpoint written: the slowest, ms", 1e3 * max(reacted.paused), at_most=500
        ),
        _row("kill -9 of a child, until the next attempt: the slowest, ms", 1e3 * max(reacted.on_again), at_most=1000),
        _row(f"seconds told beforehand, of ten jobs, off by a factor of at most: {worst}", told[worst], at_most=2),
        _row("200 viewers of a job: it takes longer by, %", 1e2 * float(np.median(slower)), at_most=5),
        _row("one row predicted: median, ms", 1e3 * _share(single_rows, 50), at_most=5),
        _row("one row predicted: 99 % within, ms", 1e3 * _share(single_rows, 99)),
        _row("a data set predicted: rows a second", batch.rate),
        _row("a data set predicted: peak of memory, MB", batch.peak_bytes / 1e6, at_most=predicting.MEMORY_MB),
    ]
    about = machine.description(cores())
    table = markdown(["", "measured", "bar", ""], rows)
    report = "\n".join([markdown(["", ""], list(about.items())), "", table, "", HOW])
    print(report)
    if not quick:
        keep("The service", report)
    return int(any(row[-1] == "missed" for row in rows))


def _share(seconds: Sequence[float], percent: float) -> float:
    return float(np.percentile(seconds, percent))


def _row(what: str, measured: float, *, at_least: float | None = None, at_most: float | None = None) -> list[str]:
    if at_least is not None:
        return [what, number(measured), f"≥ {at_least:g}", "met" if measured >= at_least else "missed"]
    if at_most is not None:
        return [what, number(measured), f"≤ {at_most:g}", "met" if measured <= at_most else "missed"]
    return [what, number(measured), "—", ""]


if __name__ == "__main__":
    sys.exit(main())
