"""The loss curve as a picture, drawn by Matplotlib in a process of its own.

The web process doesn't import Matplotlib: drawing takes a good part of a second of one core, which must not be the one
that answers requests.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Literal

from service.aside import Aside

Format = Literal["png", "svg"]
Columns = Mapping[str, Sequence[int | float | None]]

TRAINING, VALIDATION, INK, GRID = "#1f5fa8", "#d1660a", "#333333", "#e3e3e3"
WIDE_RANGE = 100.0


def draw(columns: Columns, title: str, format: Format) -> bytes:
    """Return the picture of training and validation loss over epochs, as a PNG or SVG file.

    The loss axis is logarithmic where the losses are positive and span more than a factor of 100.
    """
    # The object API throughout: pyplot keeps global state, and looks for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    epochs = _points(columns["epoch"])
    curves = [("training", columns["loss"], TRAINING), ("validation", columns["validation_loss"], VALIDATION)]
    curves = [(name, _points(losses), colour) for name, losses, colour in curves if set(losses) != {None}]
    for name, losses, colour in curves:
        marker = "o" if len(losses) == 1 else None  # a line through one point is invisible
        axes.plot(epochs, losses, color=colour, linewidth=1.8, label=name, marker=marker)
    numbers = [loss for _, losses, _ in curves for loss in losses if not math.isnan(loss)]
    if numbers and min(numbers) > 0 and max(numbers) / min(numbers) > WIDE_RANGE:
        axes.set_yscale("log")

    axes.set_title(title, color=INK, fontsize=10, loc="left")
    axes.set_xlabel("epoch", color=INK)
    axes.set_ylabel("loss", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.margins(x=0.02)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if curves:
        axes.legend(frameon=False, labelcolor=INK)
    file = io.BytesIO()
    figure.savefig(file, format=format)
    return file.getvalue()


def _points(values: Sequence[int | float | None]) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]


class Artist(Aside):
    """The process that draws."""

    def draw(self, columns: Columns, title: str, format: Format) -> Future[bytes]:
        """Return the picture to come; see the function `draw`."""
        return self.submit(draw, columns, title, format)
