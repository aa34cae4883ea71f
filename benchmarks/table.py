"""The tables, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.bars import Verdict, fraction_of_bound, verdicts
from benchmarks.contestants import BOUNDS, NAMES, US
from benchmarks.measurement import Measurement
from benchmarks.startup import StartUps
from benchmarks.timing import Spread, ratios, step_microseconds


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table.

    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("|" + "|".join(f" {cell} " if cell != "---" else cell for cell in line) + "|" for line in lines)


def number(value: float) -> str:
    """Return three figures, with separators for thousands.

    >>> number(122_345.6), number(86.42), number(0.1234)
    ('122,346', '86.4', '0.123')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def spread(found: Spread) -> str:
    """Return the median and, in brackets, the quartiles."""
    return f"{number(found.median)} [{number(found.lower)}–{number(found.upper)}]"


def ratio_table(measurements: Sequence[Measurement], peers: Sequence[str]) -> str:
    """Return how many times as fast as each of `peers` we are, with its bar."""
    rows = []
    for found in measurements:
        row = [found.shape.label, number(_microseconds(found, US).median)]
        for peer in peers:
            if peer in found.visits:
                measured = Spread.of(ratios(found.shape, found.visits[peer], found.visits[US]))
                verdict = Verdict("", "", found.shape.bar(peer), measured)
                row.append(f"{spread(measured)} (≥ {verdict.bar:g}: {verdict.word})")
            else:
                row.append("—")
        rows.append(row)
    return markdown(["network (batch)", "our µs a step", *(NAMES[peer] for peer in peers)], rows)


def time_table(measurements: Sequence[Measurement]) -> str:
    """Return each contestant's time a step and that of its first epoch."""
    rows = []
    for found in measurements:
        for name in found.visits:
            time = _microseconds(found, name)
            first = Spread.of([visit.seconds[0] for visit in found.visits[name]])
            row = [found.shape.label, NAMES[name], number(time.median), number(time.least)]
            rows.append([*row, f"{number(time.lower)}–{number(time.upper)}", f"{first.greatest:.3f}"])
    head = ["network (batch)", "", "µs a step, median", "least", "quartiles", "slowest first epoch, s"]
    return markdown(head, rows)


def bound_table(measurements: Sequence[Measurement]) -> str:
    """Return the time of the matmuls alone, their rate, and the share of our time that they are."""
    rows = []
    for found in measurements:
        bounds = {name: _microseconds(found, name).median for name in BOUNDS if name in found.visits}
        if not bounds:
            continue
        shape, share = found.shape, Spread.of(fraction_of_bound(found))
        rate = shape.flops / shape.networks / min(bounds.values()) / 1e3
        cells = [number(bounds[name]) if name in bounds else "—" for name in BOUNDS]
        bar = "—"
        if shape.bound_bar is not None:
            bar = f"≥ {shape.bound_bar:g}: {Verdict('', '', shape.bound_bar, share).word}"
        rows.append([shape.label, *cells, number(rate), spread(share), bar])
    head = ["network (batch)", "matmuls, NumPy, µs", "matmuls, PyTorch, µs", "GFLOP/s", "share of our time", "bar"]
    return markdown(head, rows)


def start_up_table(found: StartUps) -> str:
    """Return the seconds of a start."""
    rows = [[NAMES[name], spread(each["library"]), spread(each["first_epoch"])] for name, each in found.items()]
    return markdown(["", "import beyond NumPy's own, s", "then the first epoch of tiny, s"], rows)


def refusal_table(measurements: Sequence[Measurement]) -> str:
    """Return who takes no part in what, and why."""
    rows = [[found.shape.label, NAMES[name], why] for found in measurements for name, why in found.refusals.items()]
    return markdown(["network (batch)", "", "takes no part:"], rows)


def summary(found: Sequence[Verdict]) -> str:
    """Return a line for each bar that isn't met, and how many are."""
    words = [verdict.word for verdict in found]
    lines = [f"{words.count('met')} of {len(found)} bars are met, {words.count('unclear')} are within the noise."]
    for verdict in found:
        if verdict.word != "met":
            sign = "≤" if verdict.at_most else "≥"
            what = f"{verdict.shape}: {spread(verdict.measured)} {verdict.what}"
            lines.append(f"- {verdict.word}: {what}; the bar is {sign} {verdict.bar:g}")
    return "\n".join(lines)


def every_verdict(measurements: Sequence[Measurement]) -> list[Verdict]:
    """Return the verdicts on all shapes."""
    return [verdict for found in measurements for verdict in verdicts(found)]


def _microseconds(found: Measurement, name: str) -> Spread:
    return Spread.of(step_microseconds(found.shape, found.visits[name]))
