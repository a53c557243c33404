"""Items, their stock on two shelves (real and training) and the ledger that explains it; a small catalogue."""

from alembic import op
from sqlalchemy import column, table

revision = "0001"
down_revision = None

# sku, name, price in cents, restricted to customers of age
CATALOGUE = [
    ("apple", "Apple", 60, False),
    ("bacon", "Bacon 200 g", 329, False),
    ("banana", "Banana", 45, False),
    ("batteries-aa", "Batteries AA, 4", 549, False),
    ("beer-lager", "Lager 0.5 l", 149, True),
    ("bread-rye", "Rye bread", 319, False),
    ("butter", "Butter 250 g", 279, False),
    ("chocolate", "Chocolate 100 g", 189, False),
    ("cider-dry", "Dry cider 0.33 l", 219, True),
    ("cigars", "Cigars, 5", 1250, True),
    ("coffee", "Coffee 500 g", 699, False),
    ("eggs-10", "Eggs, 10", 349, False),
    ("gin", "Gin 0.7 l", 2199, True),
    ("lighter", "Lighter", 129, False),
    ("milk", "Milk 1 l", 129, False),
    ("newspaper", "Newspaper", 250, False),
    ("pasta", "Pasta 500 g", 139, False),
    ("soap", "Soap", 99, False),
    ("tea-black", "Black tea, 20 bags", 259, False),
    ("water", "Water 1 l", 89, False),
    ("wine-red", "Red wine 0.75 l", 899, True),
]
OPENING_STOCK = 10_000
OPENING_TRAINING_STOCK = 1_000_000


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE schema_history (
            revision text PRIMARY KEY,
            applied_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute(
        """
        CREATE TABLE items (
            sku text PRIMARY KEY,
            name text NOT NULL,
            price_cents bigint NOT NULL CHECK (price_cents >= 0),
            restricted boolean NOT NULL
        )
        """
    )
    op.execute(
        """
        CREATE TABLE stock (
            sku text NOT NULL REFERENCES items,
            training boolean NOT NULL,
            quantity bigint NOT NULL CONSTRAINT stock_not_below_zero CHECK (quantity >= 0),
            PRIMARY KEY (sku, training)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE stock_movements (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            sku text NOT NULL,
            training boolean NOT NULL,
            kind text NOT NULL CHECK (kind IN ('opening', 'receive', 'adjust', 'sale')),
            change bigint NOT NULL CHECK (change <> 0),
            order_id uuid,
            reference text,
            created_at timestamptz NOT NULL DEFAULT now(),
            FOREIGN KEY (sku, training) REFERENCES stock
        )
        """
    )
    op.execute("CREATE INDEX stock_movements_by_item ON stock_movements (sku, training, id)")
    op.execute("CREATE INDEX stock_movements_by_order ON stock_movements (order_id)")
    op.execute("CREATE INDEX stock_movements_training ON stock_movements (id) WHERE training")
    items = table("items", column("sku"), column("name"), column("price_cents"), column("restricted"))
    op.bulk_insert(items, [dict(zip(items.c.keys(), item, strict=True)) for item in CATALOGUE])
    stock = table("stock", column("sku"), column("training"), column("quantity"))
    for training, quantity in [(False, OPENING_STOCK), (True, OPENING_TRAINING_STOCK)]:
        op.bulk_insert(stock, [{"sku": sku, "training": training, "quantity": quantity} for sku, *_ in CATALOGUE])
    op.execute(
        """
        INSERT INTO stock_movements (sku, training, kind, change)
        SELECT sku, training, 'opening', quantity FROM stock ORDER BY training, sku
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE stock_movements")
    op.execute("DROP TABLE stock")
    op.execute("DROP TABLE items")
    op.execute("DROP TABLE schema_history")
