"""Whose word a deployment has: sign-offs, ticks of the checklist, and the debts that emergencies leave."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_SUBJECT = ("application", "environment", "version", "digest", "migrations", "suite", "policy")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String, nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "signoffs",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        *_texts("role", "by", "login", *_SUBJECT, "signed_at", "expires_at"),
        sa.Column("deployment", sa.Integer, sa.ForeignKey("deployments.id")),
        *_texts("signature", "revoked_by"),
        sa.Column("revoked_at", sa.String),
    )
    op.create_table(
        "checklist_ticks",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        *_texts("item", "text", "digest", "version", "by", "login", "at"),
        sa.Column("done", sa.Boolean, nullable=False),
    )
    op.create_table(
        "debts",
        sa.Column("deployment", sa.Integer, sa.ForeignKey("deployments.id"), primary_key=True, autoincrement=False),
        *_texts("reason", "by", "at", *_SUBJECT),
        *(sa.Column(name, sa.JSON, nullable=False) for name in ("roles", "skipped", "deployers")),
        sa.Column("settled_at", sa.String),
    )


def downgrade() -> None:
    for table in ("debts", "checklist_ticks", "signoffs"):
        op.drop_table(table)
