"""Which document proved the customer's age, and who was refused."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("ALTER TABLE sales ADD COLUMN age_proof text")
    op.execute(
        """
        CREATE TABLE age_refusals (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            order_id uuid NOT NULL,
            skus text[] NOT NULL,
            reason text NOT NULL CHECK (reason IN ('age_proof_required', 'under_age')),
            terminal text NOT NULL,
            cashier text NOT NULL,
            training boolean NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute("CREATE INDEX age_refusals_by_training ON age_refusals (training, id)")


def downgrade() -> None:
    op.execute("DROP TABLE age_refusals")
    op.execute("ALTER TABLE sales DROP COLUMN age_proof")
