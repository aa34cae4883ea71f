"""Checks the structure of a CSV file (RFC 4180) in one pass over its bytes, and names the line of every fault.

polars alone isn't strict: it fills up rows that are too short, and doesn't say where a quote is out of place. Most
pieces of most files have no quote at all; of these it is enough to count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from service.datasets.csv_dialect import Dialect
from service.datasets.limits import Limits, up_to
from service.datasets.signs import count
from service.datasets.unreadable import MOST_FAULTS, fault, unreadable
from service.schemas import FieldError

LOOK = 2**18  # bytes, of which a dozen arrays of flags stay in the processor's cache
_LF, _CR = b"\n\r"


@dataclass(frozen=True)
class Records:
    """Whole records, each with its line end: their bytes, how many they are, and the line where the first begins."""

    text: bytes
    count: int
    line: int
    width: int


def scan(pieces: Iterable[bytes], dialect: Dialect, limits: Limits) -> Iterator[Records]:
    """Yield the records of a CSV text in UTF-8, as many at a time as a piece has; the first alone, for it may be names.

    Raises the `Problem` with the first faults: quotes out of place, records with more or fewer fields than the first,
    too many fields, a record that is too long, no row.
    """
    scanner = _Scanner(dialect, limits)
    waiting = iter(pieces)
    piece = next(waiting, b"")
    while piece:
        following = next(waiting, b"")
        yield from scanner.feed(piece if following or piece.endswith(b"\n") else piece + b"\n")
        piece = following
    scanner.end()


class _Scanner:
    """What a piece must know of those before it."""

    def __init__(self, dialect: Dialect, limits: Limits) -> None:
        self._delimiter = ord(dialect.delimiter)
        self._quote = None if dialect.quote is None else ord(dialect.quote)
        self._dialect, self._limits = dialect, limits
        self._width = 0
        self._records = 0
        self._last = _LF
        self._line = 1
        self._inside = False  # of quotes
        self._quote_line = 1  # of the last quote
        self._record_line = 1  # where the unfinished record began
        self._separators = 0  # in the unfinished record
        self._unfinished: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[Records]:
        """Check the next bytes, and yield the records that end in them."""
        line = self._record_line
        stops = self._counted(piece) or self.look_at(piece)
        self._last = piece[-1]
        if stops is None:
            self._unfinished.append(piece)
        else:
            first, last, records = stops
            end = first + 1 + sum(map(len, self._unfinished))
            whole = not self._unfinished and last + 1 == len(piece)  # as `pieces` gives them: to join would copy
            text = piece if whole else b"".join([*self._unfinished, memoryview(piece)[: last + 1]])
            self._unfinished = [] if last + 1 == len(piece) else [piece[last + 1 :]]
            if not self._records:
                yield Records(text[:end], 1, line, self._width)
                text, line, records = text[end:], line + text.count(b"\n", 0, end), records - 1
                self._records = 1
            self._records += records
            self._record_line = self._line - piece.count(b"\n", last + 1)
            if records:
                yield Records(text, records, line, self._width)
        self._check_length()

    def end(self) -> None:
        """Check what shows only at the end of the file."""
        if self._inside:
            quote = self._dialect.quote
            message = f"the quote in line {self._quote_line} opens a field that never ends"
            allowed = f"quotes in pairs; a quote inside of a quoted field is written {quote}{quote}"
            raise unreadable(fault(quote, message, allowed))
        if self._records <= self._dialect.header:
            message = "there is no header" if self._records == 0 else "there is a header but no row below it"
            raise unreadable(fault(None, message, "a header with the names of the columns, then at least one row"))

    def _counted(self, piece: bytes) -> tuple[int, int, int] | None:
        """Return where the first and the last record end, and how many, if counting shows that all is well."""
        quiet = self._quote is None or (not self._inside and self._last != self._quote and self._quote not in piece)
        if not quiet or self._last == _CR or piece.endswith(b"\r") or (last := piece.rfind(b"\n")) < 0:
            return None
        whole = memoryview(piece)[: last + 1]
        lines, delimiters = count(whole, b"\n"), count(whole, self._dialect.delimiter.encode())
        if b"\r" in piece and count(whole, b"\r") != count(whole, b"\r\n"):
            return None
        first = piece.find(b"\n")
        width = self._width or 1 + self._separators + piece.count(self._delimiter, 0, first)
        # A record too long and one too short would cancel out; polars refuses the former, and `check` finds both then.
        if self._separators + delimiters + lines != width * lines or not self._sized(width):
            return None
        self._separators = piece.count(self._delimiter, last + 1)
        self._line += lines
        return first, last, lines

    def look_at(self, piece: bytes) -> tuple[int, int, int] | None:
        """Return the same after a look at every quote and every record; raise for what is wrong."""
        found: list[tuple[int, int, int]] = []
        for at in range(0, len(piece), LOOK):
            part = piece[at : at + LOOK]
            if stops := self._looked_at(part):
                first, last, records = stops
                found.append((at + first, at + last, records))
                self._record_line = self._line - part.count(b"\n", last + 1)
            self._last = part[-1]
        return (found[0][0], found[-1][1], sum(records for *_, records in found)) if found else None

    def _looked_at(self, piece: bytes) -> tuple[int, int, int] | None:
        data = np.frombuffer(piece, np.uint8)
        marked = (data == self._delimiter) | (data == _LF)
        if self._quote is not None:
            marked |= data == self._quote
        places = np.flatnonzero(marked)
        marks = data[places]
        quotes = marks == self._quote if self._quote is not None else np.zeros(len(marks), bool)
        # Every quote turns "inside" over, the two of an escaped quote twice: parity is all there is to know.
        inside = (np.bitwise_xor.accumulate(quotes.view(np.uint8)) ^ self._inside).astype(bool)
        self._check_quotes(data, places[quotes], inside[quotes])
        stops = self._check_widths(piece, data, places[~quotes & ~inside])
        if quotes.any():
            self._quote_line = self._line_at(data, int(places[quotes][-1]))
            self._inside = bool(inside[-1])
        self._line += int(np.count_nonzero(marks == _LF))
        return stops

    def _line_at(self, data: np.ndarray, position: int) -> int:
        return self._line + int(np.count_nonzero(data[:position] == _LF))

    def _check_quotes(self, data: np.ndarray, quotes: np.ndarray, opening: np.ndarray) -> None:
        """Raise for the first quote or carriage return that is out of place; what follows it can't be told.

        Args:
            data: some bytes.
            quotes: where in them the quotes are.
            opening: which of these are followed by what is inside of quotes.
        """
        wrong = self._lone_returns(data, quotes)
        opens, closes = quotes[opening], quotes[~opening]
        before = np.where(opens > 0, data[opens - 1], self._last)
        begins = [self._delimiter, _LF, *([] if self._quote is None else [self._quote])]
        wrong += [(int(at), "opens") for at in opens[~np.isin(before, begins)][:1]]
        ends = [*begins, _CR]
        if self._last == self._quote and not self._inside and data[0] not in ends:
            wrong.append((0, "closes"))
        after = closes[closes < len(data) - 1] + 1
        wrong += [(int(at), "closes") for at in after[~np.isin(data[after], ends)][:1]]
        if not wrong:
            return
        position, what = min(wrong, key=lambda each: each[0])
        line = self._line_at(data, position)
        if what == "returns":
            message = f"line {line} has a carriage return that no line feed follows"
            raise unreadable(fault("\r", message, "lines that end with LF or CRLF"))
        sign = self._dialect.quote
        message = f"line {line} has a quote that {what} in the middle of a field"
        allowed = f"quotes around whole fields; a quote inside of them is written {sign}{sign}"
        raise unreadable(fault(sign, message, allowed))

    def _lone_returns(self, data: np.ndarray, quotes: np.ndarray) -> list[tuple[int, str]]:
        """Return the place after the first carriage return outside of quotes that no line feed follows."""
        if self._last == _CR and not self._inside and data[0] != _LF:
            return [(0, "returns")]
        returns = np.flatnonzero(data[:-1] == _CR)
        returns = returns[data[returns + 1] != _LF]
        outside = np.searchsorted(quotes, returns) % 2 == self._inside
        return [(int(at) + 1, "returns") for at in returns[outside][:1]]

    def _check_widths(self, piece: bytes, data: np.ndarray, separators: np.ndarray) -> tuple[int, int, int] | None:
        """Count the fields of every record that ends in the piece; raise for those that differ from the first."""
        ends = np.flatnonzero(data[separators] == _LF)
        if not len(ends):
            self._separators += len(separators)
            return None
        widths = np.diff(ends, prepend=-1)
        widths[0] += self._separators
        stops = separators[ends]
        self._sized(self._width or int(widths[0]))
        faults: list[FieldError] = []
        for record in np.flatnonzero(widths != self._width)[:MOST_FAULTS]:
            start = int(stops[record - 1]) + 1 if record else 0
            line = self._line_at(data, start) if record else self._record_line
            faults.append(self._ragged(piece[start : stops[record]], line, int(widths[record])))
        if faults:
            raise unreadable(*faults)
        self._separators = len(separators) - 1 - int(ends[-1])
        return int(stops[0]), int(stops[-1]), len(ends)

    def _sized(self, width: int) -> bool:
        """Take `width` for that of the first record; raise where it is too large."""
        if width > self._limits.max_columns:
            allowed = up_to(self._limits.max_columns, "columns", "max_columns")
            raise unreadable(fault(width, f"there are {width} columns", allowed))
        self._width = width
        return True

    def _ragged(self, record: bytes, line: int, fields: int) -> FieldError:
        first = "header" if self._dialect.header else "first line"
        message = f"line {line} has {_fields(fields)}, but the {first} has {self._width}"
        value = record[:1000].decode("utf-8", "replace").rstrip("\r")
        return fault(value, message, f"{_fields(self._width)} in every row")

    def _check_length(self) -> None:
        length = sum(map(len, self._unfinished))
        if length > self._limits.max_record_bytes:
            message = f"line {self._record_line} begins a record of more than {length} bytes"
            allowed = up_to(self._limits.max_record_bytes, "bytes a record", "max_record_bytes")
            raise unreadable(fault(None, message, allowed))


def check(records: Records, dialect: Dialect, limits: Limits) -> None:
    """Look at each of these `records` by itself, and raise for those of another width than the first of the file."""
    scanner = _Scanner(dialect, limits)
    scanner._width, scanner._line, scanner._record_line = records.width, records.line, records.line
    scanner.look_at(records.text)


def _fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"
