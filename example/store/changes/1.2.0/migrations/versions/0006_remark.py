"""The note becomes the remark, and where a sale was made is kept.

The release before writes to the old name, so users wait while this runs, and while it is taken back.
"""

# gate: contract

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("ALTER TABLE sales RENAME note TO remark")
    op.execute("ALTER TABLE sales ADD COLUMN place text NOT NULL DEFAULT 'counter'")


def downgrade() -> None:
    op.execute("ALTER TABLE sales DROP COLUMN place")
    op.execute("ALTER TABLE sales RENAME remark TO note")
