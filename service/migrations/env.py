"""Runs the migrations on the connection that `Database.migrate` hands over, or on the default database."""

from __future__ import annotations

from alembic import context

from service.db import Database
from service.settings import Settings
from service.tables import Base


def _run(connection: object) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)  # type: ignore[arg-type]
    with context.begin_transaction():
        context.run_migrations()


handed_over = context.config.attributes.get("connection")
if handed_over is not None:
    _run(handed_over)
else:
    # `alembic revision --autogenerate`, typed by a developer
    with Database(Settings().database_url).engine.begin() as own:
        _run(own)
