"""Data sets: how their bytes were read, which is part of what tells them apart, and what is remarkable about them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("datasets") as table:
        table.add_column(sa.Column("identity", sa.String(), nullable=False, server_default=""))
        table.add_column(sa.Column("options", sa.JSON(), nullable=False, server_default="{}"))
        table.add_column(sa.Column("warnings", sa.JSON(), nullable=False, server_default="[]"))
    op.execute("UPDATE datasets SET identity = sha256")
    with op.batch_alter_table("datasets") as table:
        table.drop_constraint("uq_datasets_owner_sha256", type_="unique")
        table.create_unique_constraint("uq_datasets_owner_identity", ["owner", "identity"])
