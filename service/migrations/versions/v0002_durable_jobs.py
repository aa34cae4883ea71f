"""Owners, priorities, deadlines, checkpoints; workers, API keys, idempotency keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def owner() -> sa.Column[str]:
    return sa.Column("owner", sa.String(), nullable=False, server_default="local")


def upgrade() -> None:
    with op.batch_alter_table("datasets") as table:
        table.add_column(owner())
        table.alter_column("bytes", existing_type=sa.Integer(), type_=sa.BigInteger(), existing_nullable=False)
        table.drop_constraint("uq_datasets_sha256", type_="unique")
        table.create_unique_constraint("uq_datasets_owner_sha256", ["owner", "sha256"])
    with op.batch_alter_table("models") as table:
        table.add_column(owner())
    op.add_column("events", sa.Column("epochs", sa.LargeBinary()))
    with op.batch_alter_table("jobs") as table:
        table.add_column(owner())
        table.add_column(sa.Column("key_id", sa.String()))
        table.add_column(sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("deadline_seconds", sa.Double()))
        table.add_column(sa.Column("max_attempts", sa.Integer(), nullable=False, server_default="3"))
        table.add_column(sa.Column("run_seconds", sa.Double(), nullable=False, server_default="0"))
        table.add_column(sa.Column("steps_done", sa.BigInteger(), nullable=False, server_default="0"))
        table.add_column(sa.Column("claimed_at", sa.Double()))
        table.add_column(sa.Column("worker_id", sa.String()))
        table.add_column(sa.Column("checkpoint_id", sa.String()))
        table.add_column(sa.Column("init_from", sa.String()))
        table.add_column(sa.Column("estimate", sa.JSON()))
        table.drop_index("ix_jobs_state_id")
        table.create_index("ix_jobs_queue", ["state", sa.text("priority DESC"), "id", "key_id"])
        table.create_index("ix_jobs_owner_id", ["owner", "id"])
        table.create_index("ix_jobs_init_from", ["init_from"])
    op.create_table(
        "checkpoints",
        sa.Column("id", sa.String(), primary_key=True),
        owner(),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
    )
    op.create_index("ix_checkpoints_job_id", "checkpoints", ["job_id"])
    op.create_table(
        "workers",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("devices", sa.JSON(), nullable=False),
        sa.Column("calibration", sa.JSON()),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False, unique=True),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("max_running", sa.Integer()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double()),
        sa.Column("revoked_at", sa.Double()),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.String(), primary_key=True),
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
    )
    op.create_table(
        "tallies",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("label", sa.String(), primary_key=True),
        sa.Column("part", sa.String(), primary_key=True),
        sa.Column("value", sa.Double(), nullable=False),
    )


def downgrade() -> None:
    for table in ("tallies", "idempotency_keys", "api_keys", "workers", "checkpoints"):
        op.drop_table(table)
    op.drop_column("events", "epochs")
    with op.batch_alter_table("jobs") as table:
        table.drop_index("ix_jobs_init_from")
        table.drop_index("ix_jobs_owner_id")
        table.drop_index("ix_jobs_queue")
        for column in (
            *("owner", "key_id", "priority", "deadline_seconds", "max_attempts", "run_seconds", "steps_done"),
            *("claimed_at", "worker_id", "checkpoint_id", "init_from", "estimate"),
        ):
            table.drop_column(column)
        table.create_index("ix_jobs_state_id", ["state", "id"])
    with op.batch_alter_table("models") as table:
        table.drop_column("owner")
    with op.batch_alter_table("datasets") as table:
        table.drop_constraint("uq_datasets_owner_sha256", type_="unique")
        table.create_unique_constraint("uq_datasets_sha256", ["sha256"])
        table.alter_column("bytes", existing_type=sa.BigInteger(), type_=sa.Integer(), existing_nullable=False)
        table.drop_column("owner")
