"""Every defect is wrong in the one way it says, and in no other; a good release is wrong in none."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from example.store import build
from tests.store.look import Look, settings_with_backup
from tests.store.running import command, serving, wait_until
from tests.store.test_live_defects import EXPECTED as LIVE

# What a look at the running shop finds wrong. Migrations have their own tests.
EXPECTED = {
    "breaks-api": {"receipt"},
    "burns-cpu": {"cpu"},
    "cache-ignored": {"cache"},
    "checkout-500s": {"checkout", "logs"},
    "corrupts-stock": {"invariants"},
    "double-charges": {"payment", "invariants"},
    "inventory-broken": {"inventory"},
    "leaks-memory": {"memory"},
    "logs-errors": {"logs"},
    "never-healthy": {"health"},
    "no-security-headers": {"headers"},
    "not-ready": {"ready"},
    "page-without-assets": {"page"},
    "refund-twice": {"refund"},
    "sells-to-minors": {"age"},
    "sign-in-broken": {"sign-in"},
    "slow-checkout": {"slow"},
    "stale-backup": {"backup"},
    "wrong-version": {"identity"},
}
TESTED_APART = {
    "crashes-at-start",
    "ignores-sigterm",
    "migration-breaks-old",
    "migration-fails-half-way",
    "migration-has-no-downgrade",
    "no-way-back",
}


@pytest.fixture(scope="module")
def settings(
    migrated: Callable[[str], str], cache_url: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    return settings_with_backup(migrated("1.1.0"), cache_url, tmp_path_factory.mktemp("status"))


@pytest.mark.parametrize("version", ["1.1.0", *(f"1.1.0+{defect}" for defect in EXPECTED)])
def test_a_defect_is_wrong_in_its_own_way_only(
    assembled: Callable[[str], Path], settings: dict[str, str], version: str
) -> None:
    with serving(assembled(version), settings) as shop:
        assert Look(shop, version).all() == EXPECTED.get(version.partition("+")[2], set())


def test_every_defect_is_looked_at() -> None:
    defects = {name for name, change in build.read_changes().items() if change.kind == "defect"}
    assert defects == EXPECTED.keys() | TESTED_APART | LIVE.keys()


def test_crashes_at_start(assembled: Callable[[str], Path], settings: dict[str, str], tmp_path: Path) -> None:
    ended = subprocess.run(
        command(str(tmp_path / "socket")),
        cwd=assembled("1.1.0+crashes-at-start"),
        env=settings,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 1
    assert "RuntimeError: the tax table is missing" in ended.stderr


def test_ignores_sigterm(assembled: Callable[[str], Path], settings: dict[str, str]) -> None:
    with serving(assembled("1.1.0+ignores-sigterm"), settings) as shop:
        assert Look(shop, "1.1.0+ignores-sigterm").all() == set()
        shop.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            shop.process.wait(timeout=1)
        assert shop.client.get("/health").status_code == 200
        shop.process.kill()
        wait_until(lambda: shop.process.poll() == -signal.SIGKILL, "the end")
