"""What is signed for names the commit and the author of its release; what was signed before names neither."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for table in ("signoffs", "debts"):
        for name in ("commit", "author"):
            op.add_column(table, sa.Column(name, sa.String, nullable=False, server_default=""))
    debts = sa.table("debts", sa.column("deployment"), sa.column("commit"))
    runs = sa.table("deployments", sa.column("id"), sa.column("commit"))
    known = sa.select(sa.func.coalesce(runs.c.commit, "")).where(runs.c.id == debts.c.deployment).scalar_subquery()
    op.execute(sa.update(debts).values(commit=sa.func.coalesce(known, "")))


def downgrade() -> None:
    for table in ("debts", "signoffs"):
        with op.batch_alter_table(table) as batch:
            for name in ("author", "commit"):
                batch.drop_column(name)
