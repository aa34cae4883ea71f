"""The progress of a job: a bar with what is measured and the time that is left on a terminal, some lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

MEASURES = {"loss": "loss", "validation loss": "validation_loss", "accuracy": "accuracy", "rmse": "rmse"}
PLAIN_LINES = 10


class Progressing:
    """Shows what `train`, or the events of a job, tell of how far it is; used as a context manager.

    Args:
        console: where to show it.
        total: how many epochs, or rows, there are to be.
        waiting: what it says until the first one is done.
    """

    def __init__(self, console: Console, total: int, waiting: str) -> None:
        self._console, self._total, self._shown = console, total, 0
        measures = TextColumn("{task.description}", markup=False)
        self._bar = Progress(
            BarColumn(16), MofNCompleteColumn(), TimeRemainingColumn(compact=True), measures, console=console
        )
        self._task = self._bar.add_task(waiting, total=total)
        self._live: AbstractContextManager[Any] = self._bar if console.is_terminal else nullcontext()

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def epoch(self, told: Mapping[str, Any]) -> None:
        """Show an epoch; `told` is what an event of the kind "metrics" has."""
        line = "  ".join(f"{name} {number(told[key])}" for name, key in MEASURES.items() if key in told)
        self._reach("epoch", told["epoch"], line)

    def rows(self, told: Mapping[str, Any]) -> None:
        """Show how many rows are done; `told` is what an event of the kind "rows" has."""
        self._reach("row", told["rows_done"], f"{told['rows_done'] / max(told['seconds'], 1e-3):,.0f} rows a second")

    def _reach(self, what: str, done: int, line: str) -> None:
        self._bar.update(self._task, completed=done, description=line)
        every = max(1, self._total // PLAIN_LINES)
        if not self._console.is_terminal and (done // every > self._shown // every or done == self._total):
            self._console.print(f"{what} {done}/{self._total}  {line}")
        self._shown = done

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text)


def number(value: float | None) -> str:
    """Return a measure as it is shown.

    >>> number(0.12345), number(0.0000123), number(None)
    ('0.1235', '1.23e-05', '–')
    """
    if value is None:
        return "–"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.3g}"
