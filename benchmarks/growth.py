"""`make growth`: a step's time against batch, width, depth, number of networks and threads, as a picture."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks import machine
from benchmarks.contestants import BOUNDS, NAMES, US
from benchmarks.session import Session
from benchmarks.shapes import Shape
from benchmarks.timing import step_microseconds
from core.threads import cores

PICTURE = Path(__file__).parent / "growth.png"
WORK = 2_000_000_000
"""Floating-point operations of an epoch, so that each takes about as long, within `STEPS`."""
STEPS = (4, 64)
SHOWN = (US, next(iter(BOUNDS)))
VISITS = 3


@dataclass(frozen=True)
class Growth:
    """Shapes that differ in one thing: `make(size)` for each of `sizes`."""

    along: str
    title: str
    sizes: Sequence[int]
    make: Callable[[int], tuple[tuple[int, ...], int, int]]
    """From the size to widths, batch and number of networks."""

    def shape(self, size: int) -> Shape:
        """Return the shape of this size, with as many steps as fit `WORK`."""
        widths, batch, networks = self.make(size)
        one = Shape(f"{self.along} {size}", widths, batch, 1, networks=networks)
        steps = min(max(WORK // one.flops, STEPS[0]), STEPS[1])
        return Shape(one.name, widths, batch, steps, epochs=4, networks=networks)


GROWTHS = (
    Growth("batch", "64-64-10", [2**k for k in range(0, 13, 2)], lambda n: ((64, 64, 10), n, 1)),
    Growth("width n", "n-n-n, batch 64", [2**k for k in range(3, 12)], lambda n: ((n, n, n), 64, 1)),
    Growth("depth", "hidden layers of 64, batch 64", [1, 2, 4, 8, 16, 32], lambda n: ((*[64] * (n + 1), 10), 64, 1)),
    Growth("networks", "64-64-10, batch 64 each", [2**k for k in range(0, 9)], lambda n: ((64, 64, 10), 64, n)),
)
THREADED = (((784, 256, 128, 10), 128), ((1024, 2048, 2048, 1000), 512))


def microseconds(session: Session, shape: Shape, contestant: str) -> float:
    """Return the least time of a step of all networks over `VISITS` visits."""
    visits = [session.ask(contestant, shape, judge=False) for _ in range(VISITS)]
    return min(step_microseconds(shape, [visit for visit in visits if not isinstance(visit, str)])) * shape.networks


def main() -> int:
    """Measure and draw."""
    figure = Figure(figsize=(13, 8), layout="constrained")
    panels = figure.subplots(2, 3).ravel()
    with Session(cores()) as session:
        for panel, growth in zip(panels, GROWTHS, strict=False):
            for contestant in SHOWN:
                shapes = [growth.shape(size) for size in growth.sizes]
                times = [microseconds(session, shape, contestant) for shape in shapes]
                panel.loglog(growth.sizes, times, marker="o", label=NAMES[contestant])
                print(
                    growth.along,
                    contestant,
                    [f"{size}: {time:.0f}" for size, time in zip(growth.sizes, times, strict=True)],
                )
            panel.set(xlabel=growth.along, ylabel="µs a step", title=growth.title)
    threads = range(1, cores() + 1)
    for widths, batch in THREADED:
        shape = Shape("threads", widths, batch, STEPS[0], epochs=4)
        for contestant in SHOWN:
            times = []
            for number in threads:
                with Session(number) as session:
                    times.append(microseconds(session, shape, contestant))
            label = f"{NAMES[contestant]}, {'-'.join(map(str, widths))}"
            panels[4].plot(threads, [times[0] / time for time in times], marker="o", label=label)
            print("threads", shape.label, contestant, times)
    panels[4].set(xlabel="threads", ylabel="times as fast as with one", title="one network")
    panels[4].set_xticks(list(threads))
    for panel in panels[:5]:
        panel.legend(fontsize="small")
        panel.grid(alpha=0.3)
    panels[5].axis("off")
    where = "Where our line nears that of the matmuls,\noverhead ends and arithmetic begins."
    about = f"{machine.cpu()}, {cores()} cores\n{machine.commit()}"
    panels[5].text(0, 0.5, f"{where}\n\n{about}")
    figure.savefig(PICTURE, dpi=110)
    return 0


if __name__ == "__main__":
    sys.exit(main())
