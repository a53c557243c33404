"""What must be true of the data at any time. Runs late: it sees what the other cases left."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.category("Database Migrations"), pytest.mark.critical, pytest.mark.corruption]


@pytest.mark.requires("invariants")
def test_data_invariants(invariants: Any) -> None:
    """Every data invariant holds"""
    assert invariants, "no invariant was measured"
    broken = [f"{each.name}: {each.rows} rows, such as {each.sample}" for each in invariants if each.rows]
    assert not broken, f"{len(broken)} of {len(invariants)} data invariants are broken: {'; '.join(broken)}"
