"""`make bench`: measure every shape, print the tables, write RESULTS.md, and fail where a bar is missed."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from benchmarks import machine, mapped, results, startup
from benchmarks.contestants import BOUNDS, FLEET_PEERS, PEERS, US
from benchmarks.measurement import measure
from benchmarks.results_file import keep
from benchmarks.session import Session
from benchmarks.shapes import EVERY, FLEETS, TABLE, Shape
from core.threads import cores

MOST_OTHER_WORK = 0.03
"""Share of the cores' time that others may have; beyond it a result isn't kept."""


def arguments() -> argparse.Namespace:
    """Return what was typed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="the issue's shapes and a fleet, two rounds; keeps nothing"
    )
    parser.add_argument(
        "--shape", action="append", choices=[shape.name for shape in EVERY], help="only this one; again"
    )
    parser.add_argument("--rounds", type=int, help="visits to each contestant; 7, or 2 with --quick")
    parser.add_argument("--threads", type=int, default=cores(), help="of each contestant; all cores")
    parser.add_argument("--busy", action="store_true", help="write RESULTS.md even where the machine has other work")
    return parser.parse_args()


def main() -> int:
    """Return 1 where contestants disagree or a bar is missed by more than the noise, else 0."""
    typed = arguments()
    rounds = typed.rounds or (2 if typed.quick else 7)
    shapes: list[Shape] = [shape for shape in EVERY if not typed.shape or shape.name in typed.shape]
    if typed.quick:
        shapes = [replace(shape, epochs=3) for shape in shapes if typed.shape or shape in (*TABLE, FLEETS[0])]
    others = machine.OtherWork()
    measurements = []
    with Session(typed.threads) as session:
        about = machine.description(typed.threads)
        for shape in shapes:
            print(f"{shape.label} …", file=sys.stderr, flush=True)
            peers = FLEET_PEERS if shape.networks > 1 else PEERS
            measurements.append(measure(session, shape, [US, *peers, *BOUNDS], rounds))
        about |= {"Versions": ", ".join(f"{name} {version}" for name, version in sorted(session.versions.items()))}
    repetitions = 1 if typed.quick else rounds
    starts = startup.start_ups(typed.threads, repetitions)
    found = results.Found(measurements, starts, mapped.speeds(typed.threads, min(repetitions, 3)))
    share = others.share()
    about["Other work meanwhile"] = f"{share:.1%} of the cores' time"
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    report = results.report(about, command, rounds, found)
    print(report)
    if share > MOST_OTHER_WORK and not typed.busy:
        print(f"Others had {share:.0%} of the cores: these figures are for trying out only.", file=sys.stderr)
    elif not typed.quick and not typed.shape:
        keep("deltabar and its peers", report)
    missed = any(verdict.word == "missed" for verdict in found.verdicts)
    return int(bool(found.disagreements) or (missed and not typed.quick))


if __name__ == "__main__":
    sys.exit(main())
