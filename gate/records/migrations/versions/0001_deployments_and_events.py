"""Deployments and the lines of their journals; a file from before records were numbered has both already."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "deployments",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("commit", sa.String),
        sa.Column("folder", sa.String, nullable=False),
        sa.Column("stable_version", sa.String),
        sa.Column("stable_instance", sa.String),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("started_at", sa.String, nullable=False),
        sa.Column("ended_at", sa.String),
        sa.Column("outcome", sa.String),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("cases", sa.Integer, nullable=False),
        sa.Column("checks", sa.Integer, nullable=False),
        sa.Column("report", sa.String),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("deployment", sa.Integer, sa.ForeignKey("deployments.id"), nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_events_deployment", "events", ["deployment"], if_not_exists=True)


def downgrade() -> None:
    op.drop_table("events")
    op.drop_table("deployments")
