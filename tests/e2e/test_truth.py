"""What the exit code says is so, whatever happens to the gate, its reader or the candidate."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.sites import FEW_CHECKS, FEW_SMOKE, Ran, Site

DRIVER = Path(__file__).with_name("interrupting.py")


def drive(site: Site, version: str, step: str, signal: str, delay: float = 0.0) -> Ran:
    argv = [sys.executable, str(DRIVER), version, step, str(delay), signal]
    ended = subprocess.run(
        argv, cwd=site.root, env=site.environment, capture_output=True, text=True, timeout=120, check=False
    )
    return Site.read(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture
def site(brief_site: Site) -> Site:
    """Few cases are enough: they stop nothing here."""
    return brief_site


@pytest.mark.parametrize("lines", [7])
def test_a_reader_that_goes_away_changes_nothing(site: Site, lines: int) -> None:
    before = site.traces()
    argv = [word for word in site.argv("--version", "1.1.0+wrong-version", "--again", "a test") if word != "--json"]
    variables = {**site.environment, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(argv, cwd=site.root, env=variables, stdout=subprocess.PIPE, text=True) as gate:
        assert gate.stdout is not None
        for _ in range(lines):
            gate.stdout.readline()
        gate.stdout.close()
        assert gate.wait(timeout=120) == 1
    assert site.traces() == before


def test_a_candidate_that_dies_at_the_last_moment_is_not_kept(site: Site) -> None:
    before = site.traces()
    ran = drive(site, "1.1.0", "drain", "CANDIDATE")
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), ran.told
    assert "accept" in ran.told
    assert site.traces() == before


def test_ctrl_c_after_the_decision_comes_too_late(site: Site) -> None:
    ran = drive(site, "1.1.0", "retire", "SIGINT")
    assert (ran.code, ran.document["outcome"]) == (0, "RELEASED"), ran.told
    assert site.serving() == "1.1.0"
    assert site.gate("recover").document["outcome"] == "DONE"


def test_a_gate_killed_after_the_decision_has_released(site: Site) -> None:
    killed = drive(site, "1.1.0", "retire", "SIGKILL")
    assert killed.code == -9
    recovered = site.gate("recover")
    assert (recovered.code, recovered.document["outcome"]) == (0, "RELEASED"), recovered.told
    assert site.serving() == "1.1.0"
    assert len(site.traces()["instances"]) == 1


@contextmanager
def changed(file: Path, text: str) -> Iterator[None]:
    before = file.read_text() if file.exists() else None
    file.write_text(text)
    try:
        yield
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_text(before)


def test_smoke_tests_that_cannot_run_refuse_before_anything(site: Site) -> None:
    before = site.traces()
    with changed(site.root / "smoke" / "test_alive.py", "raise RuntimeError('planted')\n"):
        ran = site.deploy("1.1.0")
    assert ran.code == 3, ran.told
    assert "cannot be collected" in ran.reasons
    assert site.traces() == before


def test_fewer_checks_than_last_time_refuse(site: Site) -> None:
    file = site.root / "environments" / "local.toml"
    with changed(file, file.read_text().replace(FEW_CHECKS, '["checks/test_documentation.py"]')):
        ran = site.deploy("1.1.0")
    assert ran.code == 3, ran.told
    assert "for the last accepted release" in ran.reasons


def test_no_smoke_case_is_critical(site: Site) -> None:
    file = site.root / "environments" / "local.toml"
    with changed(file, file.read_text().replace(FEW_SMOKE, '["smoke/test_security_headers.py"]')):
        ran = site.deploy("1.1.0")
    assert ran.code == 3, ran.told
    assert "is critical, so a rollback could not be proven" in ran.reasons
