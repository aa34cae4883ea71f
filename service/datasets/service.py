"""What can be done with data sets: upload, list, get, look into, delete."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import polars as pl
from anyio import to_thread
from polars import selectors
from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service import tables
from service.context import Context
from service.datasets.files import TABLE, UPLOAD, folder_key, table_key, upload_key
from service.datasets.ingest import Request, Table
from service.datasets.limits import Limits
from service.datasets.parts import read_head
from service.datasets.reading import Reading
from service.datasets.schemas import Dataset, Format, Preview
from service.datasets.unreadable import fault, unreadable
from service.datasets.upload import Received, receive
from service.db import DatabaseTrouble
from service.ids import new_id
from service.pages import newest_first
from service.problems import Problem, not_found

MOST_CELLS = 100_000
LONGEST_TEXT = 1000
EMPTY = "a table (curl -T data.csv …)"


async def upload(
    context: Context, name: str, body: AsyncIterator[bytes], announced: int | None, reading: Reading | None = None
) -> tuple[Dataset, bool]:
    """Store the data set whose bytes are `body`, read as `reading` says; return it, and whether it is new.

    Raises `Problem` for a body that is too large, cut off or no table; nothing of it is kept then.
    """
    reading, settings = reading or Reading(), context.settings
    with context.storage.draft() as draft:
        draft.mkdir()
        received = await receive(body, draft / UPLOAD, announced, settings.max_upload_bytes)
        if received.bytes == 0:
            raise unreadable(fault(None, "the body is empty", EMPTY))
        identity = reading.identity(received.sha256)
        if known := await to_thread.run_sync(_known, context, identity):
            return known, False
        request = Request(path=draft / UPLOAD, folder=draft / TABLE, reading=reading, limits=Limits.of(settings))
        table = await context.ingestion.ingest(request, settings)
        return await to_thread.run_sync(_store, context, name, draft, received, identity, table)


def list_datasets(context: Context, limit: int, after: str | None) -> tuple[list[Dataset], bool]:
    """Return up to `limit` data sets, newest first, and whether more follow."""
    with context.database.read() as session:
        rows, has_more = newest_first(session, select(tables.Dataset), tables.Dataset.id, limit, after)
    return [_shape(row) for row in rows], has_more


def names(context: Context, dataset_ids: Collection[str]) -> dict[str, str]:
    """Return what people call these data sets, of those that there are."""
    dataset = tables.Dataset
    with context.database.read() as session:
        return dict(session.execute(select(dataset.id, dataset.name).where(dataset.id.in_(dataset_ids))).all())


def get_dataset(context: Context, dataset_id: str) -> Dataset:
    """Return the data set; 404 when there is none."""
    with context.database.read() as session:
        return _shape(_row(session, dataset_id))


def preview(context: Context, dataset_id: str, rows: int) -> Preview:
    """Return the first `rows` rows of the data set; fewer of a very wide one, and long texts cut off."""
    dataset = get_dataset(context, dataset_id)
    rows = min(rows, max(1, MOST_CELLS // len(dataset.columns)))
    head = read_head(_path(context, dataset, table_key(dataset.id)), rows)
    cut = pl.when(selectors.string().str.len_chars() > LONGEST_TEXT)
    texts = cut.then(selectors.string().str.head(LONGEST_TEXT) + "…").otherwise(selectors.string())
    head = head.with_columns(texts, selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.f"))
    return Preview(columns=head.columns, rows=[list(row) for row in head.rows()])


def content(context: Context, dataset_id: str) -> tuple[Path, Format, str]:
    """Return the path of the bytes as uploaded, their format and their sha-256."""
    dataset = get_dataset(context, dataset_id)
    return _path(context, dataset, upload_key(dataset.id)), dataset.format, dataset.sha256


def delete_dataset(context: Context, dataset_id: str) -> None:
    """Delete the data set; 409 while a job that isn't over uses it."""
    with context.database.write() as session:
        row = _row(session, dataset_id, for_update=True)  # whoever posts a job locks it too
        split = tables.Job.spec["split"]
        named = [split[part].as_string() == dataset_id for part in ("validation", "test")]
        using = select(tables.Job).where(
            tables.Job.state.in_(("queued", "running", "paused")), or_(tables.Job.dataset_id == dataset_id, *named)
        )
        if jobs := session.scalars(using.order_by(tables.Job.id).limit(3)).all():
            raise Problem(
                409,
                "dataset_in_use",
                f"The data set {dataset_id} is used by {', '.join(job.id for job in jobs)}. Wait for its jobs to end, "
                f"or cancel them (POST {jobs[0].path}/{jobs[0].id}/cancel), then delete it.",
            )
        session.delete(row)
    context.storage.delete(folder_key(dataset_id))


def _known(context: Context, identity: str) -> Dataset | None:
    with context.database.read() as session:
        row = _same(session, context.caller.owner, identity)
        return _shape(row) if row else None


def _store(
    context: Context, name: str, draft: Path, received: Received, identity: str, table: Table
) -> tuple[Dataset, bool]:
    described: dict[str, Any] = table.model_dump(mode="json")
    row = tables.Dataset(
        id=new_id("ds"),
        owner=context.caller.owner,
        name=name,
        sha256=received.sha256,
        identity=identity,
        bytes=received.bytes,
        **described,
    )
    with ExitStack() as undo:
        undo.callback(context.storage.delete, folder_key(row.id))
        context.storage.publish(draft, folder_key(row.id))
        try:
            stored = _insert(context, row)
        except DatabaseTrouble as trouble:
            if trouble.in_doubt:  # the file may have its row by now; if it hasn't, `files.sweep` finds it
                undo.pop_all()
            raise
        if stored is row:
            undo.pop_all()
    return _shape(stored), stored is row


def _insert(context: Context, row: tables.Dataset) -> tables.Dataset:
    """Return the row of these bytes, read so: `row`, unless another upload of them was faster."""
    while True:
        with context.database.read() as session:
            if known := _same(session, row.owner, row.identity):
                return known
        # The constraint decides between two; if the faster one has been deleted since, the next round takes this one.
        with suppress(IntegrityError):
            with context.database.write() as session:
                session.add(row)
            return row


def _same(session: Session, owner: str, identity: str) -> tables.Dataset | None:
    there = select(tables.Dataset).where(tables.Dataset.owner == owner, tables.Dataset.identity == identity)
    return session.scalar(there)


def _row(session: Session, dataset_id: str, *, for_update: bool = False) -> tables.Dataset:
    row = session.get(tables.Dataset, dataset_id, with_for_update=for_update or None)
    if row is None:
        raise not_found("data set", dataset_id)
    return row


def _path(context: Context, dataset: Dataset, key: str) -> Path:
    path = context.storage.path(key)
    if not path.exists():  # it was deleted in between
        raise not_found("data set", dataset.id)
    return path


def _shape(row: tables.Dataset) -> Dataset:
    return Dataset.model_validate(row, from_attributes=True)
