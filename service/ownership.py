"""Whose rows a session finds: those of one owner, whatever is asked of it.

There is no condition on the owner in any query. A `OwnersSession` adds it to every SELECT, UPDATE and DELETE of the
tables that are `Owned`, joined, in a subquery or by primary key, so that a row of another owner is as if it weren't
there, in queries that are yet to be written too. Events have no owner: they are read after their job.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Executable, event
from sqlalchemy.orm import LoaderCriteriaOption, ORMExecuteState, Session, with_loader_criteria

from service.tables import Owned


@lru_cache(1000)  # making it takes about as long as a short query
def _criteria(owner: str) -> LoaderCriteriaOption:
    return with_loader_criteria(Owned, lambda table: table.owner == owner, include_aliases=True)


@lru_cache(1000)  # of statements that are made once, as the others come once only
def _confined(statement: Executable, owner: str) -> Executable:
    return statement.options(_criteria(owner))


class OwnersSession(Session):
    """A session that finds the rows of `owner` only."""

    def __init__(self, owner: str, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.owner = owner


@event.listens_for(OwnersSession, "do_orm_execute")
def _add_owner(execution: ORMExecuteState) -> None:
    session = execution.session
    if isinstance(session, OwnersSession) and (execution.is_select or execution.is_update or execution.is_delete):
        execution.statement = _confined(execution.statement, session.owner)
