"""What a CSV file is written like, told by its first lines where its owner hasn't said it."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass

from service.datasets.reading import DELIMITERS, QUOTES, Reading
from service.datasets.unreadable import fault, unreadable
from service.datasets.values import MISSING

LINES = 50
LONGEST = 2**16
_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?")
_WITH_COMMA, _WITH_POINT = re.compile(r"[-+]?\d*,\d+"), re.compile(r"[-+]?\d*\.\d+")


@dataclass(frozen=True)
class Dialect:
    """One character between fields, one around them or none, and whether the first line has the names."""

    delimiter: str
    quote: str | None
    header: bool
    decimal_comma: bool

    def fields(self, record: bytes) -> list[str]:
        """Return the fields of one record."""
        quoting = csv.QUOTE_NONE if self.quote is None else csv.QUOTE_MINIMAL
        text = io.StringIO(record.decode().rstrip("\r\n"), newline="")
        return next(csv.reader(text, delimiter=self.delimiter, quotechar=self.quote or '"', quoting=quoting), None) or [
            ""
        ]


def dialect_of(start: bytes, reading: Reading) -> Dialect:
    """Return the dialect of a CSV text in UTF-8 that begins with `start`, by `reading` and by its first lines."""
    lines = start[:LONGEST].decode("utf-8", "replace").splitlines()
    lines = (lines if len(start) <= LONGEST or len(lines) < 2 else lines[:-1])[:LINES]
    quote = QUOTES[reading.quote]
    delimiter = DELIMITERS.get(reading.delimiter) or _delimiter(lines, quote)
    rows = [[field.strip().strip(quote or "") for field in _bare(line, quote).split(delimiter)] for line in lines]
    header = reading.header == "yes" or (reading.header == "auto" and not _are_numbers(rows[0] if rows else [""]))
    comma = reading.decimal == "comma" or (reading.decimal == "auto" and delimiter != "," and _have_commas(rows))
    if comma and delimiter == ",":
        message = "fields can't be separated by commas when numbers are written with one"
        raise unreadable(fault(reading.decimal, message, "another delimiter, or decimal=point"))
    return Dialect(delimiter, quote, header, comma)


def _bare(line: str, quote: str | None) -> str:
    """Return the line with x for each quoted field: what is in quotes says nothing of the delimiter."""
    return line if quote is None or quote not in line else re.sub(f"{quote}[^{quote}]*{quote}", "x", line)


def _delimiter(lines: list[str], quote: str | None) -> str:
    """Return the delimiter that most lines have as often as the first has; of several the one that it has most."""
    bare = [_bare(line, quote) for line in lines if line.strip()]

    def evidence(delimiter: str) -> tuple[float, int]:
        counts = [line.count(delimiter) for line in bare]
        if not counts or counts[0] == 0:
            return 0.0, 0
        return sum(count == counts[0] for count in counts) / len(counts), counts[0]

    return max(DELIMITERS.values(), key=evidence)  # the comma, where there is none at all


def _are_numbers(fields: list[str]) -> bool:
    present = [field for field in fields if field not in MISSING]
    return bool(present) and all(_NUMBER.fullmatch(field) for field in present)


def _have_commas(rows: list[list[str]]) -> bool:
    fields = [field for row in rows[1:] or rows for field in row]
    return any(map(_WITH_COMMA.fullmatch, fields)) and not any(map(_WITH_POINT.fullmatch, fields))
