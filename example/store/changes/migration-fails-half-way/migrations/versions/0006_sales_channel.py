"""Where a sale was made."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE sales ADD COLUMN channel text")
        op.execute("UPDATE sales SET channel = channels.name FROM channels WHERE channels.terminal = sales.terminal")


def downgrade() -> None:
    op.execute("ALTER TABLE sales DROP COLUMN channel")
