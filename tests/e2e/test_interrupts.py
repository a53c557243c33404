"""Ctrl-C and SIGTERM in every step: undone, proven, exit code 130, nothing left behind.

While users wait for a migration: ``test_pause``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gate.deployment.sequences import DEPLOY
from tests.e2e.sites import Site

DRIVER = Path(__file__).with_name("interrupting.py")
STEPS = ["checks", *(step.name for step in DEPLOY)]


WATCHED = ("canary", "bake")


@pytest.fixture
def site(brief_site: Site) -> Site:
    """Few cases are enough: they stop nothing here."""
    return brief_site


@pytest.mark.parametrize("step", [step for step in STEPS if step not in (*WATCHED, "pause")][1::5])
def test_ctrl_c_as_a_step_begins(site: Site, step: str) -> None:
    interrupted(site, step, 0.0, "SIGINT")


@pytest.mark.parametrize("step", WATCHED[1:])
def test_ctrl_c_under_live_traffic(site: Site, step: str) -> None:
    file = site.root / "environments" / "local.toml"
    kept = file.read_text()
    assert "steps = []" in kept
    file.write_text(kept.replace("steps = []", 'steps = ["50% 20s", "100% 60s"]'))
    try:
        interrupted(site, step, 0.0, "SIGINT")
    finally:
        file.write_text(kept)


@pytest.mark.parametrize(("step", "delay"), [("checks", 1.0), ("smoke", 0.5)])
def test_signal_in_the_middle_of_a_long_step(site: Site, step: str, delay: float) -> None:
    interrupted(site, step, delay, "SIGTERM")


def interrupted(site: Site, step: str, delay: float, signal: str) -> None:
    before = site.traces()
    ended = subprocess.run(
        [sys.executable, DRIVER, "1.1.0", step, str(delay), signal],
        cwd=site.root,
        env=site.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    ran = Site.read(ended.returncode, ended.stdout, ended.stderr)
    assert (ran.code, ran.document.get("outcome")) == (130, "INTERRUPTED"), ran.told
    assert site.traces() == before
