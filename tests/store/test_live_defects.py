"""Defects that only live traffic shows: training finds nothing wrong, real sales find the one thing that is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from example.store import build
from tests.store.look import Look, settings_with_backup
from tests.store.running import serving

LATE = "1.1.0+late-500s"
# What a look at the shop by real sales finds wrong.
EXPECTED: dict[str, set[str]] = {
    "burns-cpu-live": {"cpu"},
    "corrupts-stock-live": {"invariants"},
    "fails-real-sales": {"checkout", "logs"},
    "late-500s": set(),  # not yet
    "leaks-real-sales": {"memory"},
    "logs-errors-live": {"logs"},
    "slow-real-sales": {"slow"},
}


@pytest.fixture
def settings(migrated: Callable[[str], str], cache_url: str, tmp_path: Path) -> dict[str, str]:
    return settings_with_backup(migrated("1.1.0"), cache_url, tmp_path)


@pytest.mark.parametrize("defect", EXPECTED)
def test_only_real_sales_show_it(assembled: Callable[[str], Path], settings: dict[str, str], defect: str) -> None:
    version = f"1.1.0+{defect}"
    with serving(assembled(version), settings) as shop:
        assert Look(shop, version).all() == set()
        assert Look(shop, version, real=True).all() == EXPECTED[defect]


def test_late_is_thirty_seconds_after_the_first_real_sale(settings: dict[str, str], tmp_path: Path) -> None:
    changes = tmp_path / "changes"
    shutil.copytree(build.CHANGES, changes)
    file = changes / "late-500s" / "change.toml"
    assert file.read_text().count("seconds >= 30 and") == 1
    file.write_text(file.read_text().replace("seconds >= 30 and", "seconds >= -1 and"))  # nobody has to wait
    build.assemble(LATE, build.plan(LATE, build.read_changes(changes)), tmp_path / "release", changes)
    with serving(tmp_path / "release", settings) as shop:
        assert Look(shop, LATE).all() == set()
        assert Look(shop, LATE, real=True).all() == {"checkout", "logs"}
