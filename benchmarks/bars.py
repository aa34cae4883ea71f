"""Whether a bar is met, by more than the noise that was measured."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.contestants import BOUNDS, NAMES, US
from benchmarks.measurement import Measurement
from benchmarks.shapes import Shape
from benchmarks.timing import Spread, ratios


@dataclass(frozen=True)
class Verdict:
    """One number that has a bar: at least `bar`, or, for `at_most`, at most.

    >>> Verdict("small", "JAX", 1.3, Spread(1.0, 1.2, 1.25, 1.4, 1.5)).word
    'unclear'
    """

    shape: str
    what: str
    bar: float
    measured: Spread
    at_most: bool = False

    @property
    def word(self) -> str:
        """ "met" by the median; else "unclear" where the better quartile meets the bar, and "missed" where not."""
        better = self.measured.lower if self.at_most else self.measured.upper
        if self._meets(self.measured.median):
            return "met"
        return "unclear" if self._meets(better) else "missed"

    def _meets(self, number: float) -> bool:
        return number <= self.bar if self.at_most else number >= self.bar


def fraction_of_bound(measurement: Measurement) -> list[float]:
    """Return for each round the time of the matmuls alone, by whoever was faster, divided by ours."""
    shape, visits = measurement.shape, measurement.visits
    shares = [ratios(shape, visits[name], visits[US]) for name in BOUNDS if name in visits]
    return [min(each) for each in zip(*shares, strict=True)]


def verdicts(measurement: Measurement) -> list[Verdict]:
    """Return a verdict for each peer, and for the bound where it has a bar."""
    shape: Shape = measurement.shape
    found = []
    for name in measurement.peers:
        spread = Spread.of(ratios(shape, measurement.visits[name], measurement.visits[US]))
        found.append(Verdict(shape.label, f"× as fast as {NAMES[name]}", shape.bar(name), spread))
    fractions = fraction_of_bound(measurement)
    if shape.bound_bar is not None and fractions:
        found.append(Verdict(shape.label, "of the time is matmuls", shape.bound_bar, Spread.of(fractions)))
    return found
