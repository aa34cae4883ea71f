"""What a file is, told by its first bytes and never by its name."""

from __future__ import annotations

from pathlib import Path

from service.datasets.decoding import encoding_of
from service.datasets.expanding import is_compressed, pieces
from service.datasets.limits import Limits
from service.datasets.schemas import Format
from service.datasets.unreadable import fault, unreadable

LOOK = 2**16
_BINARY: dict[bytes, Format] = {b"PAR1": "parquet", b"PK\x03\x04": "npz", b"\x93NUMPY": "npy"}
_TEXTS = ("csv", "jsonl", "json")
_FORMATS: dict[str, Format] = {
    "csv": "csv", "parquet": "parquet", "jsonl": "jsonl", "json": "json", "npy": "npy", "npz": "npz",
}  # fmt: skip
_OTHERS = {
    b"PK\x05\x06": "an empty ZIP file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x04\x22\x4d\x18": "an lz4 file",
    b"\x89HDF": "an HDF5 file",
    b"ARROW1": "an Arrow file",
    b"SQLite format 3": "an SQLite database",
    b"%PDF": "a PDF document",
    b"\x80\x02": "a pickle", b"\x80\x03": "a pickle", b"\x80\x04": "a pickle", b"\x80\x05": "a pickle",
}  # fmt: skip
READABLE = "CSV, JSON lines or JSON records (plain, gzip or zstd), Parquet, NPY or NPZ"


def format_of(path: Path, limits: Limits, given: str = "auto") -> Format:
    """Return the format of the file `path`; raises the `Problem` for one that isn't what was `given`, or can't be read.

    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile() as file:
    ...     _ = file.write(b'{"a": 1}'), file.flush()
    ...     format_of(Path(file.name), Limits.model_construct())
    'jsonl'
    """
    with path.open("rb") as file:
        start = file.read(LOOK)
    found = _binary(start)
    what = next((name for magic, name in _OTHERS.items() if start.startswith(magic)), None)
    if found is None and what is None:
        if is_compressed(start):
            start = next(pieces(path, limits, LOOK), b"")
            if hidden := _binary(start):
                message = f"there is {hidden.upper()} within gzip or zstd, which are for texts"
                raise unreadable(fault(None, message, "the file as it was before it was compressed"))
        found = _text(start)
    if what and given not in _TEXTS:
        hint = "; pickle runs code that the file brings along, and nothing here reads it" if "pickle" in what else ""
        raise unreadable(fault(None, f"the body is {what}{hint}", READABLE))
    if given == "auto":
        return found or "csv"
    chosen = _FORMATS[given]
    # A text may be any text format, as its owner knows best; but never something binary, nor the other way around.
    if chosen != found and not (chosen in _TEXTS and found in (*_TEXTS, None)):
        raise unreadable(fault(given, f"format={given} was asked for, but the body is {str(found).upper()}", READABLE))
    return chosen


def _binary(start: bytes) -> Format | None:
    return next((format for magic, format in _BINARY.items() if start.startswith(magic)), None)


def _text(start: bytes) -> Format:
    text = start.decode(encoding_of(start), "replace").lstrip("\ufeff").lstrip()
    if text.startswith("{"):
        return "jsonl"
    return "json" if text.startswith("[") and text[1:].lstrip().startswith(("{", "]")) else "csv"
