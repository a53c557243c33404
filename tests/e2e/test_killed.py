"""A gate that was killed: the next one says so and touches nothing, and ``recover`` finishes the undo."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.sites import Site

DRIVER = Path(__file__).with_name("interrupting.py")


@pytest.fixture
def site(brief_site: Site) -> Site:
    """Few cases are enough: they stop nothing here."""
    return brief_site


@pytest.mark.parametrize(("step", "delay"), [("migrate", 0.2)])
def test_recover_undoes_what_a_killed_gate_began(site: Site, step: str, delay: float) -> None:
    before = site.traces()
    argv = [sys.executable, str(DRIVER), "1.1.0", step, str(delay), "SIGKILL"]
    killed = subprocess.run(argv, cwd=site.root, env=site.environment, capture_output=True, timeout=120, check=False)
    assert killed.returncode == -9, killed.stderr.decode()

    refused = site.deploy("1.1.0")
    assert refused.code == 5, refused.told
    assert "died unfinished; begun:" in refused.told
    assert "recover" in refused.document["next"]

    recovered = site.gate("recover")
    assert (recovered.code, recovered.document["outcome"]) == (1, "ROLLED_BACK"), recovered.told
    assert site.traces() == before


@pytest.mark.parametrize("step", ["bake"])
def test_recover_undoes_a_gate_killed_under_live_traffic(site: Site, step: str) -> None:
    file = site.root / "environments" / "local.toml"
    kept = file.read_text()
    assert "steps = []" in kept
    file.write_text(kept.replace("steps = []", 'steps = ["50% 20s", "100% 60s"]'))
    try:
        test_recover_undoes_what_a_killed_gate_began(site, step, 0.5)
    finally:
        file.write_text(kept)


def test_nothing_to_recover(site: Site) -> None:
    ran = site.gate("recover")
    assert ran.code == 0
    assert "Nothing to recover" in ran.told


def test_a_gate_killed_during_the_checks_blocks_nobody(site: Site) -> None:
    argv = [sys.executable, str(DRIVER), "1.1.0", "checks", "0.5", "SIGKILL"]
    subprocess.run(argv, cwd=site.root, env=site.environment, capture_output=True, timeout=120, check=False)
    ran = site.deploy("1.1.0", "--dry-run")
    assert ran.code == 0, ran.told


def test_recover_with_a_lost_database_says_so_and_does_the_rest_later(site: Site) -> None:
    before = site.traces()
    argv = [sys.executable, str(DRIVER), "1.1.0", "smoke", "0.3", "SIGKILL"]
    killed = subprocess.run(argv, cwd=site.root, env=site.environment, capture_output=True, timeout=120, check=False)
    assert killed.returncode == -9, killed.stderr.decode()
    (lock,) = (site.state / "stack").rglob("postgres.lock")
    os.killpg(int(lock.read_text().split()[0]), signal.SIGKILL)

    first = site.gate("recover")
    assert (first.code, first.document["outcome"]) == (4, "ROLLBACK_FAILED"), first.told
    assert "migrate could not be undone" in first.reasons
    assert site.deploy("1.1.0").code == 5, "what is not undone stands in the way"

    assert site.gate("up").code == 0
    again = site.gate("recover")
    assert (again.code, again.document["outcome"]) == (1, "ROLLED_BACK"), again.told
    assert site.traces() == before
