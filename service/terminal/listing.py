"""Lists, as columns that are as wide as they have to be."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence


def columns(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return the rows below their head, cells of a column under each other; what is None is a dash.

    >>> print(columns(("ID", "ROWS"), [("ds_1", 344), ("ds_22", None)]))
    ID     ROWS
    ds_1   344
    ds_22  -
    """
    cells = [[str(cell) for cell in head], *(["-" if cell is None else str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "\n".join(lines)


def pairs(told: Mapping[str, object]) -> str:
    """Return names and values, a line each, the values under each other.

    >>> print(pairs({"target": "species", "epochs": 100}))
    target  species
    epochs  100
    """
    width = max(map(len, told))
    return "\n".join(f"{name.ljust(width)}  {'-' if value is None else value}" for name, value in told.items())


def moment(at: float | None) -> str | None:
    """Return Unix seconds as people here write them; None stays None."""
    return None if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
