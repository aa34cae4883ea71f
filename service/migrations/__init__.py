"""Alembic's migrations; `Database.migrate` applies them at start."""
