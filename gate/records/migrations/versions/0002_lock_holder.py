"""Who holds the lock of a shared environment; a file of one machine has its lock beside it and leaves this empty."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "lock_holder",
        sa.Column("session", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("told", sa.String, nullable=False),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("boot", sa.String, nullable=False),
        sa.Column("process", sa.Integer, nullable=False),
        sa.Column("since", sa.String, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("lock_holder")
