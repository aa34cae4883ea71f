"""JSON lines, one object a line, and JSON records, one list of objects; read by polars, a few megabytes at a time."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import polars as pl

from service.datasets.decoding import encoding_of, utf8
from service.datasets.expanding import pieces
from service.datasets.limits import Limits, up_to
from service.datasets.reading import Reading
from service.datasets.signs import count
from service.datasets.typed import FIX, Typed
from service.datasets.unreadable import fault, unreadable

LINES = 'one JSON object a line, as in {"a": 1, "b": "x"}'
RECORDS = 'a list of JSON objects, as in [{"a": 1, "b": "x"}, …]'
_BLANKS = " \t\r\n"


class JsonFile:
    """A file of JSON lines, or with `records` of one list of records."""

    belied = False

    def __init__(self, path: Path, reading: Reading, limits: Limits, *, records: bool) -> None:
        self._path, self._reading, self._limits, self._records = path, reading, limits, records
        self.found: dict[str, str] = {}

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield the rows, typed; raises the `Problem` that says what is wrong and where."""
        raw = pieces(self._path, self._limits)
        first = next(raw, b"")
        encoding = encoding_of(first, self._reading.encoding)
        self.found = {"encoding": encoding}
        text = utf8(chain([first], raw), encoding)
        typed = Typed(self._reading, self._limits)
        first_line = 1
        for lines in _as_lines(text, self._limits) if self._records else _lines(text, self._limits):
            yield typed.settled(_table(lines, None if self._records else first_line))
            first_line += count(lines, b"\n")


def _table(lines: bytes, first_line: int | None) -> pl.DataFrame:
    try:
        table = pl.read_ndjson(lines, infer_schema_length=None)
    except (pl.exceptions.PolarsError, RuntimeError) as error:
        raise _fault_in(lines, first_line, str(error).partition("\n")[0]) from error
    if not table.width:
        raise unreadable(fault("{}", "its records have no fields", LINES if first_line else RECORDS))
    return table


def _fault_in(lines: bytes, first_line: int | None, reason: str) -> Exception:
    for number, line in enumerate(lines.split(b"\n"), first_line or 0):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_constant=lambda constant: json.loads("?"))
        except (ValueError, RecursionError) as error:
            what = f"line {number} isn't JSON ({error})" if first_line else f"a record isn't JSON ({error})"
        else:
            if isinstance(value, dict):
                continue
            what = f"line {number} isn't a JSON object" if first_line else "an entry of the list isn't a JSON object"
        return unreadable(fault(line[:200].decode("utf-8", "replace"), what, LINES if first_line else RECORDS))
    return unreadable(fault(None, f"the JSON reader says: {reason}", FIX))


def _lines(text: Iterable[bytes], limits: Limits) -> Iterator[bytes]:
    """Yield whole lines, many at a time."""
    rest = b""
    for piece in text:
        end = piece.rfind(b"\n") + 1
        if end and (lines := rest + piece[:end]).strip():
            yield lines
        rest = piece[end:] if end else rest + piece
        _check_length(len(rest), limits)
    if rest.strip():
        yield rest


def _as_lines(text: Iterable[bytes], limits: Limits) -> Iterator[bytes]:
    """Yield the records of one list as JSON lines, many at a time."""
    decoder, utf = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")()
    rest, opened, closed, wants_comma = "", False, False, False
    for piece in chain(text, (b"",)):
        last = not piece
        rest += utf.decode(piece, last)
        position, records = 0, []
        while True:
            while position < len(rest) and rest[position] in _BLANKS:
                position += 1
            if position == len(rest):
                break
            sign = rest[position]
            if closed:
                raise unreadable(fault(rest[position : position + 50], "something follows the list", RECORDS))
            if not opened or sign == "]" or wants_comma:
                opened, closed, wants_comma = _structure(sign, opened, wants_comma)
                position += 1
                continue
            try:
                _, end = decoder.raw_decode(rest, position)
            except (ValueError, RecursionError) as error:
                # It may only be cut off here; how long it may go on is limited.
                if last or isinstance(error, RecursionError):
                    value = rest[position : position + 200]
                    raise unreadable(fault(value, f"a record isn't JSON ({error})", RECORDS)) from error
                break
            if end == len(rest) and not last:
                break
            # Line ends between tokens mean nothing, and within texts they can't be.
            records.append(rest[position:end].replace("\n", " ").replace("\r", " "))
            position, wants_comma = end, True
        rest = rest[position:]
        _check_length(len(rest), limits)
        if records:
            yield ("\n".join(records) + "\n").encode()
    if not closed:
        raise unreadable(fault(None, "the list of records never ends", RECORDS))


def _structure(sign: str, opened: bool, wants_comma: bool) -> tuple[bool, bool, bool]:
    """Take a sign that is outside of records, and return whether the list is open, closed, and waits for a comma."""
    if not opened and sign == "[":
        return True, False, False
    if opened and sign == "]":
        return True, True, False
    if wants_comma and sign == ",":
        return True, False, False
    raise unreadable(fault(sign, f"there is a {sign!r} where the list of records has no place for it", RECORDS))


def _check_length(length: int, limits: Limits) -> None:
    if length > limits.max_record_bytes:
        message = f"a record of the file has more than {length} bytes"
        raise unreadable(fault(None, message, up_to(limits.max_record_bytes, "bytes a record", "max_record_bytes")))
