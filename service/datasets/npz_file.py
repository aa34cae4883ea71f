"""NPZ: the arrays `x`, (n_samples, n_features) numbers, and `y`, (n_samples,), as written by `numpy.savez`.

A ZIP file says of itself how large its members are, and may lie (CVE-2019-9674): each is unpacked into a file of its
own, for no more bytes than its header declares, and read from there.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from service.datasets.expanding import PIECE, check_expansion
from service.datasets.limits import Limits, up_to
from service.datasets.npy_file import NUMBERS, Header, damage, faults_of, header_of, mapped, tables, too_large
from service.datasets.reading import Reading
from service.datasets.typed import Typed
from service.datasets.unreadable import fault, unreadable
from service.problems import echo
from service.schemas import FieldError

SAVE = "numpy.savez(file, x=x, y=y)"


class NpzFile:
    """A file with the arrays x and y."""

    belied = False

    def __init__(self, path: Path, reading: Reading, limits: Limits) -> None:
        self._path, self._reading, self._limits = path, reading, limits
        self.found: dict[str, str] = {}

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield the columns x_0, x_1, …, y, typed; raises the `Problem` that says what is wrong."""
        # Beside the upload, where there is room for it and where what a killed process leaves is swept.
        with damage("NPZ", SAVE), zipfile.ZipFile(self._path) as archive, _scratch(self._path) as folder:
            self._check_members(archive)
            headers = _header(archive, "x", self._limits), _header(archive, "y", self._limits)
            self._check_headers(*headers)
            arrays = {header.name: mapped(self._unpacked(archive, header, folder), header) for header in headers}
            typed = Typed(self._reading, self._limits)
            for table in tables(arrays):
                yield typed.settled(table)

    def _check_members(self, archive: zipfile.ZipFile) -> None:
        members = sorted(archive.namelist())
        if len(members) > self._limits.max_members:
            allowed = f"{up_to(self._limits.max_members, 'members', 'max_members')}: {SAVE}"
            raise unreadable(fault(len(members), f"the NPZ file has {len(members)} members", allowed))
        if members != ["x.npy", "y.npy"]:
            names = echo(", ".join(member.removesuffix(".npy") for member in members))
            raise unreadable(fault(names, f"the NPZ file holds: {names or 'nothing'}", f"exactly x and y: {SAVE}"))
        if any(info.flag_bits & 1 for info in archive.infolist()):
            raise unreadable(fault(None, "the NPZ file is encrypted", f"a file as written by {SAVE}"))
        # zipfile bounds what comes out of a piece of deflate, and of nothing else.
        if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in archive.infolist()):
            raise unreadable(fault(None, "the NPZ file is neither stored nor deflated", f"a file as written by {SAVE}"))
        size = sum(info.file_size for info in archive.infolist())
        check_expansion(size, self._path.stat().st_size, self._limits)

    def _check_headers(self, x: Header, y: Header) -> None:
        faults: list[FieldError] = [
            *faults_of(x, (2,), NUMBERS, "numbers", SAVE),
            *faults_of(y, (1,), f"{NUMBERS}U", "numbers, booleans or text", SAVE),
        ]
        if not faults and x.shape[0] != y.shape[0]:
            shapes = f"x has the shape {x.shape} and y {y.shape}"
            allowed = "x (n_samples, n_features), y (n_samples,)"
            faults.append(fault(shapes, f"{shapes}: their numbers of rows differ", allowed))
        if not faults:
            faults += too_large(x, self._limits, others=1)
        if faults:
            raise unreadable(*faults)

    def _unpacked(self, archive: zipfile.ZipFile, header: Header, folder: Path) -> Path:
        """Write the member to a file of its own, as many bytes as its header declares, and return that file's path."""
        path, left = folder / f"{header.name}.npy", header.offset + header.bytes
        with archive.open(f"{header.name}.npy") as member, path.open("wb") as file:
            while piece := member.read(PIECE):  # to its end: only there its checksum is compared
                left -= len(piece)
                if left < 0:
                    break
                file.write(piece)
        if left:
            message = f"{header.name} has other bytes than the NPZ file declares"
            raise unreadable(fault(None, message, f"a file as written by {SAVE}"))
        return path


@contextmanager
def _scratch(beside: Path) -> Iterator[Path]:
    with TemporaryDirectory(dir=beside.parent, prefix=f"{beside.name}.") as folder:
        yield Path(folder)


def _header(archive: zipfile.ZipFile, name: str, limits: Limits) -> Header:
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as file:
        return header_of(file, name, info.file_size, limits)  # type: ignore[arg-type] -- it reads and tells, as a file does
