"""The whole report, which `make bench` prints and keeps as RESULTS.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import mapped, startup, table
from benchmarks.bars import Verdict
from benchmarks.contestants import FLEET_PEERS, PEERS
from benchmarks.measurement import Measurement

HOW = """\
Every contestant has a process of its own that is kept alive, with the same number of threads, and only one works at a
time. In each round every contestant trains each shape once from the same initial weights, on the same data in the same
order, in float32, with Adam at the rate 0.001; who begins changes from round to round. We train through the public
`core.fit`, a peer through its own usual loop. Shuffling, and drawing the order, is within the time. A step's time is
that of the median epoch after the first, divided by its steps. A ratio is that of two times of one round; numbers are
medians of the rounds, and in brackets are the quartiles. A bar is missed where even the better quartile misses it.
All contestants' losses, at the end and, where a library tells it, after each epoch, agree within 0.001 of the first
epoch's loss (0.05 with dropout, where each draws masks of its own); the harness computes the one at the end itself.
"""


@dataclass(frozen=True)
class Found:
    """Everything that was measured.

    Attributes:
        measurements: one a shape.
        starts: of new processes.
        mapped: of `benchmarks.mapped`, round by round.
    """

    measurements: Sequence[Measurement]
    starts: startup.StartUps
    mapped: list[float]

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts on all of it."""
        return [*table.every_verdict(self.measurements), *startup.verdicts(self.starts), mapped.verdict(self.mapped)]

    @property
    def disagreements(self) -> list[str]:
        """Who didn't reach our loss."""
        return [sentence for each in self.measurements for sentence in each.disagreements]


def report(description: Mapping[str, str], command: str, rounds: int, found: Found) -> str:
    """Return the report as Markdown."""
    alone = [each for each in found.measurements if each.shape.networks == 1]
    fleets = [each for each in found.measurements if each.shape.networks > 1]
    about = {"Command": f"`{command}`", "Rounds": str(rounds)} | dict(description)
    others = "\n".join(["\nNot the same training, so not to be compared:", *found.disagreements])
    memory = mapped.verdict(found.mapped)
    parts = [
        table.markdown(["", ""], list(about.items())),
        "",
        table.summary(found.verdicts),
        *([others] if found.disagreements else []),
        "\n## How many times as fast we are\n",
        table.ratio_table(alone, list(PEERS)),
        *(["\n## Fleets: µs a step of one network\n", table.ratio_table(fleets, list(FLEET_PEERS))] if fleets else []),
        "\n## The bound: a step's matrix products alone\n",
        table.bound_table(found.measurements),
        "\n## Start-up\n",
        table.start_up_table(found.starts),
        "\n## Memory\n",
        f"{memory.shape}: {table.spread(memory.measured)} {memory.what}.",
        "\n## Every time\n",
        table.time_table(found.measurements),
        "\n## Who takes no part\n",
        table.refusal_table(found.measurements),
        "\n## How it is measured\n",
        HOW,
    ]
    return "\n".join(parts)
