"""The list envelope: `data`, `has_more`, and the ids to go on from, as in OpenAI's API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Query
from sqlalchemy import Select
from sqlalchemy.orm import Session

from service.schemas import Item, Page

Limit = Annotated[int, Query(ge=1, le=100, description="How many to return")]
After = Annotated[str | None, Query(max_length=64, description="Return those that follow this id")]

Row = TypeVar("Row")


def newest_first(
    session: Session, query: Select[Row], id_column: Any, limit: int, after: str | None
) -> tuple[Sequence[Row], bool]:
    """Return up to `limit` rows of `query`, newest first, and whether more follow."""
    if after is not None:
        query = query.where(id_column < after)
    rows = session.scalars(query.order_by(id_column.desc()).limit(limit + 1)).all()
    return rows[:limit], len(rows) > limit


def page(items: list[Item], has_more: bool) -> Page[Item]:
    """Wrap `items`, each with an `id`, in the envelope."""
    ids: list[str] = [item.id for item in items]  # type: ignore[attr-defined]
    return Page(data=items, has_more=has_more, first_id=ids[0] if ids else None, last_id=ids[-1] if ids else None)
