"""An age for each item instead of yes or no."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("ALTER TABLE items ADD COLUMN minimum_age bigint NOT NULL DEFAULT 0")
    op.execute("UPDATE items SET minimum_age = 21 WHERE restricted")
    op.execute("ALTER TABLE items DROP COLUMN restricted")


def downgrade() -> None:
    op.execute("ALTER TABLE items ADD COLUMN restricted boolean NOT NULL DEFAULT false")
    op.execute("UPDATE items SET restricted = minimum_age > 0")
    op.execute("ALTER TABLE items ALTER COLUMN restricted DROP DEFAULT, DROP COLUMN minimum_age")
