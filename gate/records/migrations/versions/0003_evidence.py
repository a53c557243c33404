"""What proves and measures deployments: seals of their evidence, gaps, readiness, the time of the commit."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("deployments", sa.Column("committed_at", sa.String))
    op.create_table(
        "seals",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("deployment", sa.Integer, sa.ForeignKey("deployments.id"), nullable=False, index=True),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("at", sa.String, nullable=False),
    )
    op.create_table(
        "gaps",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("case", sa.String, nullable=False),
        sa.Column("category", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("message", sa.String, nullable=False),
        sa.Column("opened_in", sa.Integer, sa.ForeignKey("deployments.id"), nullable=False),
        sa.Column("opened_at", sa.String, nullable=False),
        sa.Column("seen_in", sa.Integer, sa.ForeignKey("deployments.id"), nullable=False),
        sa.Column("closed_in", sa.Integer, sa.ForeignKey("deployments.id")),
        sa.Column("closed_at", sa.String),
        sa.Column("closed_as", sa.String),
    )
    op.create_table(
        "readiness",
        sa.Column("deployment", sa.Integer, sa.ForeignKey("deployments.id"), primary_key=True, autoincrement=False),
        sa.Column("total", sa.Float, nullable=False),
        sa.Column("categories", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    for table in ("readiness", "gaps", "seals"):
        op.drop_table(table)
    op.drop_column("deployments", "committed_at")
