"""From what a program has of a table to what is sent: the bytes of a file, a frame or arrays; or rows as JSON."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import polars as pl

    Table: TypeAlias = str | Path | pl.DataFrame | pd.DataFrame | np.ndarray | tuple[np.ndarray, np.ndarray]
    """The path of a file in any format that the service reads; a frame; an array, or the arrays x and y."""
    Rows: TypeAlias = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]] | pl.DataFrame | pd.DataFrame
    """One mapping a row, from columns to cells; or one from columns to all their cells; or a frame."""

PIECE = 2**20
UNNAMED = "untitled"


@dataclass(frozen=True)
class Upload:
    """Bytes on their way: an open file, its size, and what to call it."""

    file: IO[bytes]
    name: str
    size: int

    def pieces(self, progress: Callable[[int, int], None] | None) -> Iterator[bytes]:
        """Yield the bytes; `progress` is called with how many are sent and how many there are."""
        sent = 0
        while piece := self.file.read(PIECE):
            yield piece
            sent += len(piece)
            if progress:
                progress(sent, self.size)


@contextmanager
def upload_of(table: Table) -> Iterator[Upload]:
    """Yield the bytes of a table.

    Frames become Parquet, so that every number, text and date arrives as it is; arrays become NPY or NPZ.

    Raises:
        OSError: there is no such file.
        TypeError: it is nothing of the kind, or a column holds what no data set can.
    """
    if isinstance(table, str | Path):
        path = Path(table)
        with path.open("rb") as file:
            yield Upload(file, path.name, path.stat().st_size)
        return
    with tempfile.TemporaryFile() as file:
        _write(table, file)
        size = file.tell()
        file.seek(0)
        yield Upload(file, UNNAMED, size)


def body_of(rows: Any) -> dict[str, Any]:
    """Return rows as a predict call has them: dates in ISO 8601, and None for what is missing."""
    match type(rows).__module__.partition(".")[0], rows:
        case "polars", frame:
            return {"columns": _cells(frame)}
        case "pandas", frame:
            return {"columns": _cells(_of_pandas(frame))}
        case _, Mapping():
            return {"columns": dict(rows)}
        case _:
            return {"rows": [dict(row) for row in rows]}


def _cells(frame: Any) -> dict[str, list[Any]]:
    import polars as pl
    from polars import selectors

    texts = frame.select(
        selectors.temporal().dt.to_string("iso:strict"), (selectors.categorical() | selectors.enum()).cast(pl.String)
    )
    return frame.with_columns(texts).with_columns(selectors.float().fill_nan(None)).to_dict(as_series=False)


def _write(table: Any, file: IO[bytes]) -> None:
    match type(table).__module__.partition(".")[0], table:
        case "polars", _:
            table.write_parquet(file)
        case "pandas", _:
            _of_pandas(table).write_parquet(file)
        case "numpy", _:
            import numpy as np

            np.save(file, table, allow_pickle=False)
        case _, (x, y):
            import numpy as np

            np.savez(file, allow_pickle=False, x=np.asarray(x), y=np.asarray(y))
        case _:
            raise TypeError(
                f"a table can't be made of a {type(table).__name__}; allowed: the path of a file, a frame of pandas or "
                "polars, a NumPy array, or a pair of arrays (x, y)"
            )


def _of_pandas(frame: pd.DataFrame) -> pl.DataFrame:
    """Return the frame's columns, without its index; polars' own way to do this needs PyArrow."""
    import polars as pl

    return pl.DataFrame([_series(str(name), column) for name, column in frame.items()])


def _series(name: str, column: pd.Series) -> pl.Series:
    import numpy as np
    import polars as pl

    dtype = column.dtype
    if dtype.kind == "M" and not isinstance(dtype, np.dtype):  # with a time zone: as a point in time, which is UTC
        return pl.Series(name, column.dt.tz_convert(None).to_numpy())
    if isinstance(dtype, np.dtype) and dtype.kind in "biufM":
        return pl.Series(name, column.to_numpy())
    missing = column.isna().tolist()
    return pl.Series(name, [None if gone else cell for cell, gone in zip(column.tolist(), missing, strict=True)])
