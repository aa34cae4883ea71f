"""New files and folders, which are there whole or not at all, and take no other's place unless that is wanted."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.storage import sync


class Taken(Exception):  # noqa: N818 -- it reads as the sentence that it is
    """What is to be written is there already."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is there already; name another one, or say --force to have it overwritten")


def check_free(path: Path, force: bool) -> None:
    """Raise `Taken` if `path` is there and mustn't be overwritten."""
    if path.exists() and not force:
        raise Taken(path)


@contextmanager
def new(path: Path, force: bool) -> Iterator[Path]:
    """Yield where to write a file or a folder, beside `path`, which becomes `path` at the end, and not after an error.

    Raises:
        Taken: when `path` is there, unless `force` says that it may be overwritten.
    """
    check_free(path, force)
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _beside(path)
    try:
        yield draft
        sync(draft)
        _replace(draft, path, force)
    finally:
        _remove(draft)


def _replace(draft: Path, path: Path, force: bool) -> None:
    check_free(path, force)  # somebody may have been faster
    if not path.is_dir() and not draft.is_dir():
        draft.replace(path)
        return
    old = _beside(path)
    with suppress(FileNotFoundError):
        path.rename(old)
    try:
        draft.rename(path)
    except BaseException:
        old.rename(path)
        raise
    _remove(old)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
