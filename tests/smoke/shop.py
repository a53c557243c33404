"""The shop for these tests: its servers, its releases, and a look into its database."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from example.store import build
from gate import releases
from gate.database import migrations
from gate.engines.base import Instance
from gate.releases import Release
from gate.stack.cache import Cache
from gate.stack.postgres import Postgres
from tests.smoke.rig import SHOP, Place, place

BASE = "1.1.0"
# Every table with a mark of training mode, and the rows of a shelf that was never used.
TRAINING = """
SELECT (SELECT count(*) FROM sales WHERE training) + (SELECT count(*) FROM payments WHERE training)
     + (SELECT count(*) FROM age_refusals WHERE training)
     + (SELECT count(*) FROM stock_movements WHERE training AND kind <> 'opening')
     + (SELECT count(*) FROM stock WHERE training AND quantity <> 1000000)
"""
NOT_TRAINING = """
SELECT (SELECT count(*) FROM sales WHERE NOT training), (SELECT count(*) FROM payments WHERE NOT training),
       (SELECT count(*) FROM stock_movements WHERE NOT training), (SELECT sum(quantity) FROM stock WHERE NOT training)
"""


class Shop:
    """The shop's servers are up and its database is at the head of the base release."""

    def __init__(self, here: Place) -> None:
        self.place = here
        self.backup = here.environment.state_folder / "backups" / "latest.json"
        self._numbers = count(1)
        # The example's defects, and more of them for cases that none of those trips.
        self._changes = here.root / "changes"
        for folder in (build.CHANGES, Path(__file__).parent / "changes"):
            shutil.copytree(folder, self._changes, dirs_exist_ok=True)

    def release(self, version: str) -> Release:
        folder = self.place.root / "releases" / version
        if not folder.exists():
            build.build(version, folder, changes=self._changes)
        return releases.read(folder)

    def next_id(self) -> str:
        return f"r{next(self._numbers)}"

    @contextmanager
    def serving(self, version: str) -> Iterator[Instance]:
        """An instance of a version for the time of the block, without traffic."""
        instance = self.place.start(self.release(version), self.next_id())
        try:
            yield instance
        finally:
            self.place.engine.stop(instance, grace=0)

    @contextmanager
    def without(self, server: Cache | Postgres) -> Iterator[None]:
        """One of the servers down for the time of the block, and known to be back after it."""
        server.down()
        try:
            yield
        finally:
            server.up()

    @property
    def cache(self) -> Cache:
        stack = self.place.environment.stack
        assert stack is not None
        assert stack.cache is not None
        return Cache(self.place.environment, stack.cache)

    @property
    def postgres(self) -> Postgres:
        stack = self.place.environment.stack
        assert stack is not None
        assert stack.postgres is not None
        return Postgres(self.place.environment, stack.postgres)

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        database = self.place.environment.database
        assert database is not None
        with psycopg.connect(database.url.reveal(), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def training_left(self) -> int:
        return int(self.execute(TRAINING)[0][0])

    def everything_but_training(self) -> tuple[Any, ...]:
        return self.execute(NOT_TRAINING)[0]


@contextmanager
def shop_open(more: str = "") -> Iterator[Shop]:
    """Servers, a migrated database and a fresh backup's note, for the time of the block.

    ``more`` is added to the environment file.
    """
    with place("shop", SHOP + more) as here:
        shop = Shop(here)
        database = here.environment.database
        assert database is not None
        tool = migrations.create(here.environment, shop.release(BASE))
        assert tool is not None
        tool.upgrade(database.url)
        shop.backup.parent.mkdir(parents=True)
        note = {"id": "b1", "finished_at": datetime.now(UTC).isoformat(), "bytes": 1000, "verified": True}
        shop.backup.write_text(json.dumps(note))
        yield shop
