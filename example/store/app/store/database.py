"""The shop's PostgreSQL, through a pool of connections."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import psycopg
from fastapi import Depends, Request
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

Connection: TypeAlias = AsyncConnection[DictRow]
Pool: TypeAlias = AsyncConnectionPool[Connection]

# A stuck query may not hold a till for longer than a customer waits; milliseconds.
_SESSION_OPTIONS = "-c statement_timeout=10000 -c lock_timeout=5000"


def make_pool(url: str) -> Pool:
    """A pool, not yet open. Connections are tested before use: a restarted database delays sales and costs none."""

    async def check(connection: Connection) -> None:
        try:
            await AsyncConnectionPool.check_connection(connection)
        except psycopg.OperationalError:
            # One dead connection is seldom alone, and found one by one each would cost a second.
            await pool.check()
            raise

    pool: Pool = AsyncConnectionPool(
        url,
        connection_class=AsyncConnection[DictRow],
        kwargs={
            "autocommit": True,  # transactions are opened where they are meant
            "row_factory": dict_row,
            "connect_timeout": 5,
            "application_name": "store",
            "options": _SESSION_OPTIONS,
        },
        check=check,
        min_size=2,
        max_size=10,
        timeout=5,
        # Otherwise the pauses between attempts double while the database is away, and go on when it is back.
        reconnect_timeout=1,
        open=False,
    )
    return pool


async def _pool(request: Request) -> Pool:
    pool: Pool = request.app.state.pool
    return pool


Database = Annotated[Pool, Depends(_pool)]
