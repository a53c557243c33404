"""Could it be put back? The last backup, as the gate made and restored it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

pytestmark = pytest.mark.category("Database Migrations")

OLDEST = timedelta(hours=24)


@pytest.mark.requires("database")
def test_last_backup(last_backup: Any) -> None:
    """The last backup is fresh and was restored to prove it"""
    assert last_backup is not None, "no backup is known; `python deploy_gate.py ENV` makes one with every deployment"
    age = datetime.now(UTC) - datetime.fromisoformat(last_backup["finished_at"])
    assert age <= OLDEST, f"backup {last_backup['id']} is {age / timedelta(hours=1):.1f} h old, the limit is 24 h"
    assert last_backup["verified"] is True, f"backup {last_backup['id']} was never restored to verify it"
    assert last_backup["bytes"] > 0, f"backup {last_backup['id']} is empty"
