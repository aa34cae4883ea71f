"""Files: written whole under a draft name, synced, then renamed. A file that is visible is complete."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.ids import new_id

DRAFTS = "drafts"


class Storage:
    """A local folder. Keys are made from our own ids only, never from what a user typed."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._drafts = self._root / DRAFTS
        self._drafts.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """Yield a path of its own to write a file or a folder to; what is not published is deleted at the end."""
        path = self._drafts / new_id("draft").partition("_")[2]
        try:
            yield path
        finally:
            _remove(path)

    def publish(self, draft: Path, key: str, *, synced: bool = False) -> Path:
        """Make `draft`, a file or a folder, visible under `key`, durably, and return its path.

        Args:
            draft: what was written.
            key: where it is to be.
            synced: whether who wrote it has waited until the disk has it.
        """
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not synced:
            sync(draft)
        draft.rename(target)
        _sync(target.parent)
        return target

    def path(self, key: str) -> Path:
        """Return where `key` lies; raises ValueError for one that would leave the folder."""
        path = (self._root / key).resolve()
        if not path.is_relative_to(self._root) or path == self._root:
            raise ValueError(f"storage key {key!r} leaves the storage folder")
        return path

    def older_than(self, seconds: float, folder: str) -> list[str]:
        """Return the keys right below `folder` that nothing was written to for so long."""
        before = time.time() - seconds
        root = self.path(folder)
        return [
            f"{folder}/{path.name}" for path in (root.iterdir() if root.is_dir() else ()) if _changed(path) < before
        ]

    def delete(self, key: str) -> None:
        """Delete `key`, a file or a folder, if it is there."""
        _remove(self.path(key))


def sync(draft: Path) -> None:
    """Wait until the disk has `draft`, a file or a folder with all that is in it."""
    for path in [*draft.rglob("*"), draft] if draft.is_dir() else [draft]:
        _sync(path)


def _remove(path: Path) -> None:
    if not path.is_dir():
        path.unlink(missing_ok=True)
    while path.is_dir():
        with suppress(FileNotFoundError):  # another process is removing it too
            shutil.rmtree(path)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # published or deleted by now
        return math.inf


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
