"""One shape measured: round after round, every contestant once a round, the first another one each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.agreement import disagreements
from benchmarks.contestants import BOUNDS, US
from benchmarks.session import Session, Visit
from benchmarks.shapes import Shape


@dataclass
class Measurement:
    """What was seen of `shape`.

    Attributes:
        visits: by contestant, one a round.
        refusals: by contestant, why it takes no part.
        disagreements: sentences of contestants that didn't reach our loss.
    """

    shape: Shape
    visits: dict[str, list[Visit]] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    disagreements: list[str] = field(default_factory=list)

    @property
    def peers(self) -> list[str]:
        """Those that took part, but ourselves and the bounds."""
        return [name for name in self.visits if name != US and name not in BOUNDS]


def measure(session: Session, shape: Shape, contestants: Sequence[str], rounds: int) -> Measurement:
    """Return `rounds` visits to each contestant; the first round's losses are compared."""
    found = Measurement(shape)
    here = list(contestants)
    for each in range(rounds):
        turn = each % len(here)
        for name in here[turn:] + here[:turn]:
            visit = session.ask(name, shape, judge=each == 0)
            if isinstance(visit, str):
                found.refusals[name] = visit
            else:
                found.visits.setdefault(name, []).append(visit)
        here = [name for name in here if name not in found.refusals]
        for name in found.refusals:
            found.visits.pop(name, None)  # one that failed halfway has no ratio for each round
        if US not in here:
            raise RuntimeError(f"{shape.name}: {US} {found.refusals[US]}")
        if each == 0:
            first = {name: visits[0] for name, visits in found.visits.items() if name not in BOUNDS}
            found.disagreements = disagreements(shape, first)
    return found
