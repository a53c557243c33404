"""Backup and recovery: a manager sees at the till when the last backup was made.

Where the shop runs on another machine than the gate it cannot read what the gate wrote, and the environment does not
say ``shows_backups``.
"""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.category("Database Migrations"), pytest.mark.requires("database", "option:shows_backups")]


def test_backup_is_visible(till: Any, last_backup: Any) -> None:
    """The shop shows the last backup that the gate made"""
    assert last_backup is not None, "no backup is known; `python deploy_gate.py ENV` makes one with every deployment"
    shown = till.ask("GET", "/api/admin/backup")
    assert shown["id"] == last_backup["id"], f"the shop shows backup {shown['id']}, the last one is {last_backup['id']}"
    assert shown["verified"] is True, f"the shop shows backup {shown['id']} as not verified"
