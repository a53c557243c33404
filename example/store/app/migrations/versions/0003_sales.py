"""Sales with their lines, the payments that paid for them and the refunds."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE sales (
            order_id uuid PRIMARY KEY,
            fingerprint text NOT NULL,
            terminal text NOT NULL,
            cashier text NOT NULL,
            total_cents bigint NOT NULL CHECK (total_cents >= 0),
            training boolean NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute("CREATE INDEX sales_training ON sales (order_id) WHERE training")
    op.execute(
        """
        CREATE TABLE sale_lines (
            order_id uuid NOT NULL REFERENCES sales,
            sku text NOT NULL REFERENCES items,
            name text NOT NULL,
            quantity bigint NOT NULL CHECK (quantity > 0),
            price_cents bigint NOT NULL CHECK (price_cents >= 0),
            PRIMARY KEY (order_id, sku)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE payments (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            order_id uuid NOT NULL REFERENCES sales,
            idempotency_key text NOT NULL UNIQUE,
            method text NOT NULL CHECK (method IN ('cash', 'card')),
            state text NOT NULL DEFAULT 'captured' CHECK (state = 'captured'),
            amount_cents bigint NOT NULL CHECK (amount_cents >= 0),
            change_cents bigint NOT NULL CHECK (change_cents >= 0),
            card_last4 text,
            captured text,
            training boolean NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute("CREATE INDEX payments_by_order ON payments (order_id)")
    op.execute("CREATE INDEX payments_training ON payments (id) WHERE training")
    op.execute(
        """
        CREATE TABLE refunds (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            payment_id uuid NOT NULL REFERENCES payments,
            idempotency_key text NOT NULL UNIQUE,
            amount_cents bigint NOT NULL CHECK (amount_cents > 0),
            processor_reference text,
            created_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute("CREATE INDEX refunds_by_payment ON refunds (payment_id)")


def downgrade() -> None:
    op.execute("DROP TABLE refunds")
    op.execute("DROP TABLE payments")
    op.execute("DROP TABLE sale_lines")
    op.execute("DROP TABLE sales")
