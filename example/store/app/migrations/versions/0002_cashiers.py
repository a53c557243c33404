"""Who may sign in: two people with PINs to be changed, and the training cashier, whose PIN is the training code."""

from alembic import op
from sqlalchemy import column, table

revision = "0002"
down_revision = "0001"

# salt$scrypt(pin), of the example's PINs: alice has 2468, bob 1357.
ALICE = "431ac8c0b65d1c38$fe579f45a0fa46616e1d7939a9b39b9a"  # pragma: allowlist secret
BOB = "9652ffb27e9210a1$05447b7bfe1be8999d9b983bae503275"  # pragma: allowlist secret
CASHIERS: list[dict[str, str | None]] = [
    {"name": "alice", "role": "manager", "pin_hash": ALICE},
    {"name": "bob", "role": "cashier", "pin_hash": BOB},
    {"name": "smoke", "role": "training", "pin_hash": None},
]


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE cashiers (
            name text PRIMARY KEY,
            role text NOT NULL CHECK (role IN ('cashier', 'manager', 'training')),
            pin_hash text,
            created_at timestamptz NOT NULL DEFAULT now(),
            CHECK ((pin_hash IS NULL) = (role = 'training'))
        )
        """
    )
    cashiers = table("cashiers", column("name"), column("role"), column("pin_hash"))
    op.bulk_insert(cashiers, CASHIERS)


def downgrade() -> None:
    op.execute("DROP TABLE cashiers")
