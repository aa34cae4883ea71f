"""Predictions of whole data sets: jobs of another kind than trainings, in the same queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs") as table:
        table.add_column(sa.Column("kind", sa.String(), nullable=False, server_default="training"))


def downgrade() -> None:
    op.execute("DELETE FROM events WHERE job_id IN (SELECT id FROM jobs WHERE kind <> 'training')")
    op.execute("DELETE FROM jobs WHERE kind <> 'training'")
    with op.batch_alter_table("jobs") as table:
        table.drop_column("kind")
