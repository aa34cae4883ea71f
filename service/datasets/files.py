"""Where the files of data sets lie, and how those that a killed process left behind are found and removed."""

from __future__ import annotations

from sqlalchemy import select

from service.db import Database
from service.storage import DRAFTS, Storage
from service.tables import Dataset

DATASETS = "datasets"
ABANDONED_SECONDS = 3600.0
"""An upload that is under way writes to its draft, and gets its row right after it is published."""


UPLOAD, TABLE = "upload", "table"
"""Within the folder of a data set: the bytes as they came, and what was read from them (`parts`)."""


def folder_key(dataset_id: str) -> str:
    """Return the storage key of the folder of a data set."""
    return f"{DATASETS}/{dataset_id}"


def upload_key(dataset_id: str) -> str:
    """Return the storage key of the bytes as uploaded."""
    return f"{folder_key(dataset_id)}/{UPLOAD}"


def table_key(dataset_id: str) -> str:
    """Return the storage key of the table, a folder that `parts.read_table` reads."""
    return f"{folder_key(dataset_id)}/{TABLE}"


def sweep(database: Database, storage: Storage) -> None:
    """Remove drafts, and tables without a row, that nothing was written to for an hour."""
    drafts = storage.older_than(ABANDONED_SECONDS, DRAFTS)
    tables = storage.older_than(ABANDONED_SECONDS, DATASETS)
    with database.read() as session:
        alive = {folder_key(dataset_id) for dataset_id in session.scalars(select(Dataset.id))}
    for key in {*drafts, *tables} - alive:
        storage.delete(key)
