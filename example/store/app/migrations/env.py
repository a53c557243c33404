"""How migrations run: against DATABASE_URL, one transaction each, never waiting long for a lock.

A lock that does not come within `lock_timeout` fails the migration instead of holding up every query behind it.
`schema_history` keeps the revisions applied, so that a release can tell whether the schema knows its own.
"""

import os
import sys
from collections.abc import Collection, Mapping
from typing import Any

from alembic import context
from sqlalchemy import String, column, create_engine, delete, insert, pool, table

TIMEOUTS = {"lock_timeout": "3s", "statement_timeout": "5min"}
HISTORY = table("schema_history", column("revision", String))


def database_url() -> str:
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.exit("migrations: DATABASE_URL is not set: expected a postgresql:// URL")
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def keep_history(ctx: Any, step: Any, heads: Collection[Any], run_args: Mapping[str, Any]) -> None:  # noqa: ARG001
    """After each migration. The table itself comes with the first one and goes with it."""
    if step.is_upgrade:
        context.execute(insert(HISTORY).values(revision=step.up_revision_id))
    elif heads:
        context.execute(delete(HISTORY).where(HISTORY.c.revision == step.up_revision_id))


def configure(**where: Any) -> None:
    context.configure(transaction_per_migration=True, on_version_apply=keep_history, **where)
    with context.begin_transaction():
        if context.is_offline_mode():
            for name, limit in TIMEOUTS.items():
                context.execute(f"SET {name} = '{limit}'")
        context.run_migrations()


if context.is_offline_mode():
    configure(url=database_url(), literal_binds=True)
else:
    engine = create_engine(
        database_url(),
        poolclass=pool.NullPool,
        connect_args={
            "options": " ".join(f"-c {name}={limit}" for name, limit in TIMEOUTS.items()),
            "application_name": "store-migrations",
        },
    )
    with engine.connect() as connection:
        configure(connection=connection)
