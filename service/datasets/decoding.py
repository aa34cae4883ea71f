"""Text in any of the encodings, as UTF-8, piece by piece."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

from service.datasets.reading import ENCODINGS
from service.datasets.signs import count
from service.datasets.unreadable import fault, unreadable

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
OTHERS = "text in UTF-8, or the encoding named, as in ?encoding=latin-1"


def encoding_of(start: bytes, given: str = "auto") -> str:
    """Return the encoding of a text that begins with `start`: what was `given`, or what its byte order mark says.

    Raises the `Problem` for "utf-16" without a mark, which may be either of two.

    >>> encoding_of("ä".encode("utf-16"))
    'utf-16-le'
    """
    for mark, encoding in _MARKS.items():
        if start.startswith(mark) and given in ("auto", "utf-16"):
            return encoding
    if given == "utf-16":
        message = "the text has no byte order mark, which would say what UTF-16 it is"
        raise unreadable(fault(given, message, "?encoding=utf-16-le or utf-16-be, or a text that begins with the mark"))
    return "utf-8" if given == "auto" else ENCODINGS[given]


def utf8(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the text in `pieces`, in `encoding`, as UTF-8 without a byte order mark and without a NUL.

    Raises the `Problem` that names the first byte which isn't text in that encoding.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    offset, line, first = 0, 1, True
    for piece in pieces:
        pending = decoder.getstate()[0]
        if first and encoding == "utf-8" and piece.startswith(codecs.BOM_UTF8):
            piece = piece[len(codecs.BOM_UTF8) :]  # noqa: PLW2901 -- from here on it is no part of the text
            offset += len(codecs.BOM_UTF8)
        if encoding == "utf-8" and not pending and piece.isascii():
            text = piece
        else:
            try:
                decoded = decoder.decode(piece)
            except UnicodeDecodeError as error:
                position, byte = error.start - len(pending), error.object[error.start]
                raise _not_text(piece, position, byte, offset, line, encoding) from error
            if encoding == "utf-8":
                left = decoder.getstate()[0]
                text = (pending + piece)[: len(pending) + len(piece) - len(left)] if pending or left else piece
            else:
                text = (decoded.removeprefix("\ufeff") if first else decoded).encode()
        if (position := text.find(b"\0")) >= 0:
            raise _not_text(text, position, 0, offset, line, encoding)
        offset, first = offset + len(piece), False
        line += count(text, b"\n")
        yield text
    if pending := decoder.getstate()[0]:
        raise _not_text(pending, 0, pending[0], offset - len(pending), line, encoding)


def _not_text(piece: bytes, position: int, byte: int, offset: int, line: int, encoding: str) -> Exception:
    line += piece.count(b"\n", 0, max(position, 0))
    name = encoding.upper() if encoding.startswith("utf") else encoding
    message = f"byte {offset + position} of the text, in line {line}, is 0x{byte:02x}, which isn't {name} text"
    return unreadable(fault(f"0x{byte:02x}", message, OTHERS))
