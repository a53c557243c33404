"""What was seen of a release after it was accepted, each time somebody looked."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "monitor_ticks",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("deployment", sa.Integer, sa.ForeignKey("deployments.id"), nullable=False),
        sa.Column("slot", sa.Integer, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("decision", sa.String, nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("notes", sa.JSON, nullable=False),
        sa.Column("acted", sa.String, nullable=False),
    )
    op.create_index("ix_monitor_ticks_deployment", "monitor_ticks", ["deployment"])


def downgrade() -> None:
    op.drop_table("monitor_ticks")
