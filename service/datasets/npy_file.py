"""NPY: one array of numbers, (n_samples, n_features) or (n_samples,), as written by `numpy.save`.

The header is checked against the file before anything is made of it: it may claim to hold a huge array, or objects,
which only pickle could read, and pickle runs code that the file brings along (CVE-2019-6446).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl
from numpy.lib import format as npy

from service.datasets.limits import Limits, up_to
from service.datasets.reading import Reading
from service.datasets.typed import Typed
from service.datasets.unreadable import fault, unreadable
from service.problems import Problem
from service.schemas import FieldError

SAVE = "numpy.save(file, x)"
CELLS = 2**21
NUMBERS = "biuf"  # NumPy's letters for the kinds of a dtype: bool, int, unsigned, float
_FIXES = {
    "O": "objects can only be read with pickle, which runs code that the file brings along",
    "c": "complex numbers have no order and no place in a network's input: save .real and .imag as two columns",
    "S": "bytes have no encoding: save y.astype(str)",
}


@dataclass(frozen=True)
class Header:
    """What an array's file says of it, how many bytes of values follow, and where."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    bytes: int
    offset: int


class NpyFile:
    """A file with one array: columns x_0, x_1, …"""

    belied = False

    def __init__(self, path: Path, reading: Reading, limits: Limits) -> None:
        self._path, self._reading, self._limits = path, reading, limits
        self.found: dict[str, str] = {}

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield the rows, typed; raises the `Problem` that says what is wrong."""
        with damage("NPY", SAVE), self._path.open("rb") as file:
            header = header_of(file, "the array", self._path.stat().st_size, self._limits)
            if faults := [*faults_of(header, (1, 2), NUMBERS, "numbers", SAVE), *too_large(header, self._limits)]:
                raise unreadable(*faults)
            array = mapped(self._path, header)
            typed = Typed(self._reading, self._limits)
            for table in tables({"x": array if array.ndim == 2 else array[:, np.newaxis]}):
                yield typed.settled(table)


@contextmanager
def damage(what: str, save: str) -> Iterator[None]:
    """Turn whatever a damaged file brings about into the `Problem` that says so."""
    try:
        yield
    except Problem:
        raise
    except Exception as error:  # zipfile, zlib, lzma, ast and NumPy have a dozen kinds for a file that is damaged
        message = f"the {what} file is damaged or cut off ({error or type(error).__name__})"
        raise unreadable(fault(None, message, f"a file as written by {save}")) from error


def header_of(file: BinaryIO, name: str, size: int, limits: Limits) -> Header:
    """Read the header of an array; `size` is that of its whole file.

    Raises ValueError for what is no header, and the `Problem` for one that is too long.
    """
    # Version 3 only serves dtypes with named fields, which no table here has.
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        shape, fortran, dtype = read(file, max_header_size=limits.max_header_bytes)
    except ValueError as error:
        if "max_header_size" not in str(error):
            raise
        allowed = up_to(limits.max_header_bytes, "bytes", "max_header_bytes")
        raise unreadable(fault(None, f"the header of {name} is too long", allowed)) from error
    return Header(name, shape, dtype, fortran, size - file.tell(), file.tell())


def faults_of(header: Header, dimensions: tuple[int, ...], kinds: str, allowed: str, save: str) -> Iterator[FieldError]:
    """Yield what is wrong with the array that `header` describes, if something is."""
    name, shape, dtype = header.name, header.shape, header.dtype
    if dtype.kind not in kinds:
        fix = _FIXES.get(dtype.kind, "that is neither a number nor a label")
        example = "y.astype(float) or y.astype(str)" if name == "y" else "x.astype(float)"
        yield fault(str(dtype), f"{name} has the dtype {dtype}: {fix}", f"{allowed}, as from {example}")
    elif len(shape) not in dimensions or min(shape) < 1:
        wanted = "(n_samples, n_features)" if 2 in dimensions else "(n_samples,)"
        yield fault(str(shape), f"{name} has the shape {shape}", f"the shape {wanted}, with at least one value")
    elif (declared := math.prod(shape) * dtype.itemsize) != header.bytes:
        message = f"the header of {name} declares {declared} bytes of values, but {header.bytes} follow"
        yield fault(declared, message, f"a file as written by {save}")


def too_large(header: Header, limits: Limits, others: int = 0) -> Iterator[FieldError]:
    """Yield what is too much of an array, which has `others` columns beside it."""
    if len(header.shape) == 2 and header.shape[1] + others > limits.max_columns:
        count = header.shape[1] + others
        allowed = up_to(limits.max_columns, "columns", "max_columns")
        yield fault(count, f"there are {count} columns", allowed)
    if header.shape and header.shape[0] > limits.max_rows:
        allowed = up_to(limits.max_rows, "rows", "max_rows")
        yield fault(header.shape[0], f"there are {header.shape[0]} rows", allowed)


def mapped(path: Path, header: Header) -> np.ndarray:
    """Return the array in a file whose header was found right; its values are read as they are asked for."""
    order = "F" if header.fortran else "C"
    return np.memmap(path, header.dtype, "r", header.offset, header.shape, order)


def tables(arrays: dict[str, np.ndarray]) -> Iterator[pl.DataFrame]:
    """Yield the arrays as tables, some rows at a time: x as the columns x_0, x_1, …; one with one axis by its name."""
    widths = sum(array.shape[1] if array.ndim == 2 else 1 for array in arrays.values())
    size, rows = max(1, CELLS // widths), min(len(array) for array in arrays.values())
    for start in range(0, rows, size):
        columns: list[pl.Series] = []
        for name, array in arrays.items():
            part = array[start : start + size]
            part = np.asarray(part, _dtype(part))
            if part.ndim == 1:
                columns.append(pl.Series(name, part))
            else:
                columns += [
                    pl.Series(f"{name}_{index}", np.ascontiguousarray(part[:, index])) for index in range(part.shape[1])
                ]
        yield pl.DataFrame(columns)


def _dtype(array: np.ndarray) -> np.dtype:
    """Return the dtype of `array` as polars has it: in the machine's byte order, and floats of 32 or 64 bits."""
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        return np.dtype(np.float64)
    return array.dtype.newbyteorder("=")
