"""A note on the receipt, empty for sales made before."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("ALTER TABLE sales ADD COLUMN note text")


def downgrade() -> None:
    op.execute("ALTER TABLE sales DROP COLUMN note")
