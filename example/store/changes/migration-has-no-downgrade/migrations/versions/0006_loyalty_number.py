"""The customer's loyalty number, empty for sales made before."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("ALTER TABLE sales ADD COLUMN loyalty_number text")


def downgrade() -> None:
    raise NotImplementedError("loyalty numbers stay")
