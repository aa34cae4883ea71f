"""The loss curve in the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import plotext
from rich.console import Console
from rich.text import Text

WIDTH, HEIGHT = 100, 18
WIDE_RANGE = 100.0
TICKS = 6
MARKERS = {"training": None, "validation": "·"}
"""Told apart by their shapes, as there may be no colours; None is plotext's own, the finest."""
Columns = Mapping[str, Sequence[float | None]]


def draw(columns: Columns, console: Console) -> None:
    """Print training and validation loss over epochs; nothing where there are fewer than two epochs.

    The losses are on a logarithmic axis where they are positive and span more than a factor of 100.

    Args:
        columns: `epoch`, `loss` and, where it was measured, `validation_loss`.
        console: where to print it.
    """
    curves = {"training": _points(columns, "loss"), "validation": _points(columns, "validation_loss")}
    losses = [loss for _, curve in curves.values() for loss in curve]
    if len(columns["epoch"]) < 2 or not losses:
        return
    wide = min(losses) > 0 and max(losses) / min(losses) > WIDE_RANGE
    figure = plotext.figure  # there is but one, of the whole process
    figure.clear()
    figure.theme("simple" if console.is_terminal else "colorless")
    figure.plot_size(min(console.width, WIDTH), HEIGHT)
    for name, (epochs, curve) in curves.items():
        if curve:
            signal = figure.signal(
                epochs, [math.log10(loss) for loss in curve] if wide else curve, marker=MARKERS[name]
            )
            signal.lines()
            figure.draw(signal)
    figure.title("loss by epoch: ▚ training" + ("  · validation" if curves["validation"][0] else ""))
    first, last = curves["training"][0][0], curves["training"][0][-1]
    ticks = sorted({round(first + (last - first) * k / (TICKS - 1)) for k in range(TICKS)})
    figure.ruler("x").ticks(ticks, [str(tick) for tick in ticks])
    if wide:
        powers = range(math.ceil(math.log10(min(losses))), math.floor(math.log10(max(losses))) + 1)
        powers = powers[:: max(1, len(powers) // TICKS)]
        figure.ruler("y").ticks(list(powers), [f"1e{power}" for power in powers])
    drawn = str(figure.build())
    console.print(Text.from_ansi(drawn if console.is_terminal else plotext.uncolorize(drawn)))


def _points(columns: Columns, key: str) -> tuple[list[float], list[float]]:
    there = [
        (float(epoch), float(loss))
        for epoch, loss in zip(columns["epoch"], columns.get(key, ()), strict=False)
        if epoch is not None and loss is not None
    ]
    return [epoch for epoch, _ in there], [loss for _, loss in there]
