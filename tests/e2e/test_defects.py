"""Each defect, deployed on a healthy shop: refused or rolled back, for the right reason, with nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.sites import Site


@dataclass(frozen=True)
class Expected:
    """How the gate must end: its exit code, and words of the reason that only the case that should see it says."""

    code: int
    outcome: str
    reason: str


REFUSED = "REFUSED"
ROLLED_BACK = "ROLLED_BACK"

DEFECTS = {
    "breaks-api": Expected(3, REFUSED, "total_cents is gone"),
    "migration-breaks-old": Expected(3, REFUSED, "drop"),
    "migration-has-no-downgrade": Expected(3, REFUSED, "downgrade"),
    "migration-fails-half-way": Expected(3, REFUSED, "upgrade of 0006"),
    "crashes-at-start": Expected(1, ROLLED_BACK, "web has ended"),
    "never-healthy": Expected(1, ROLLED_BACK, "not healthy"),
    "wrong-version": Expected(1, ROLLED_BACK, "web answers as 0.9.9"),
    "checkout-500s": Expected(1, ROLLED_BACK, "4 of 24 sales failed"),
    "slow-checkout": Expected(1, ROLLED_BACK, "response_time"),
    "sells-to-minors": Expected(1, ROLLED_BACK, "nothing restricted is sold"),
    "corrupts-stock": Expected(1, ROLLED_BACK, "the ledger says"),
    "double-charges": Expected(1, ROLLED_BACK, "A card is charged once"),
    "cache-ignored": Expected(1, ROLLED_BACK, "X-Cache: miss"),
    "leaks-memory": Expected(1, ROLLED_BACK, "memory grows by"),
    "burns-cpu": Expected(1, ROLLED_BACK, "cpu"),
    "logs-errors": Expected(1, ROLLED_BACK, "log_errors"),
    "ignores-sigterm": Expected(1, ROLLED_BACK, "after SIGTERM"),
}

# No smoke test can see these: they are wrong in real sales only, and watched live traffic tells.
LIVE = {
    "burns-cpu-live",
    "corrupts-stock-live",
    "fails-real-sales",
    "late-500s",
    "leaks-real-sales",
    "logs-errors-live",
    "slow-real-sales",
}


SEEN_IN_EVERY_RUN_BY_ITS_SUITE = {
    "cache-ignored",
    "double-charges",
    "logs-errors",
    "migration-breaks-old",
    "migration-has-no-downgrade",
    "sells-to-minors",
    "wrong-version",
}
"""What the gate makes of them is what it makes of others that fail a case (``tests/smoke``, ``tests/checks``)."""


def _tried(defect: str) -> Any:
    marks = [pytest.mark.whole] if defect in SEEN_IN_EVERY_RUN_BY_ITS_SUITE else []
    return pytest.param(defect, marks=marks)


@pytest.fixture(scope="module")
def before(site: Site) -> dict[str, Any]:
    """What must be so before each of them, because it was so after the one before."""
    found = site.traces()
    assert found["serving"] == "1.1.0"
    return found


@contextmanager
def limited(site: Site, cores: float) -> Iterator[None]:
    """No more than it gets for sure on a machine that has other tests to run: what is starved cannot burn."""
    file = site.root / "environments" / "local.toml"
    kept = file.read_text()
    assert "limits = { cpu = 1.0," in kept
    file.write_text(kept.replace("limits = { cpu = 1.0,", f"limits = {{ cpu = {cores},"))
    try:
        yield
    finally:
        file.write_text(kept)


@pytest.mark.parametrize("defect", [_tried(defect) for defect in sorted(DEFECTS)])
def test_defect_is_stopped(site: Site, before: dict[str, Any], defect: str) -> None:
    with limited(site, 0.5 if defect == "burns-cpu" else 1.0):
        ran = site.deploy(f"1.1.0+{defect}")
    if ran.code == 6:  # held is not what is expected, and must not stand in the way of the other defects
        site.gate("rollback")

    expected = DEFECTS[defect]
    assert (ran.code, ran.document["outcome"]) == (expected.code, expected.outcome), f"{ran.reasons}\n{ran.told}"
    assert expected.reason in ran.reasons, f"{ran.reasons}\n{ran.told}"
    assert ran.document["stable"]["version"] == "1.1.0"
    assert site.traces() == before


def test_every_named_defect_is_tried_here(site: Site) -> None:
    changes = {folder.name for folder in (site.root / "example" / "store" / "changes").iterdir() if folder.is_dir()}
    faults_for_single_cases = {
        "inventory-broken",
        "no-security-headers",
        "not-ready",
        "page-without-assets",
        "refund-twice",
        "sign-in-broken",
        "stale-backup",
    }
    on_another_release = {"no-way-back"}  # tests/e2e/test_pause.py
    rest = changes - {"1.1.0", "1.2.0"} - faults_for_single_cases - LIVE - on_another_release
    assert rest == set(DEFECTS)
