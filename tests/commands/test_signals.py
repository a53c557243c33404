"""Ctrl-C, SIGTERM and SIGHUP outside of a deployment's steps: exit code 130 always, and what is said is true."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate.machine.shell import wait_until
from gate.machine.supervise import Process
from tests.commands.little import HOUSE, Little, little
from tests.e2e.sites import Ran, Site

SLOW_BUILD = """releases = { source = "releases", build = [
    "{python}", "-c", "import pathlib, time; pathlib.Path('building').touch(); time.sleep(60)", "{version}", "{folder}",
] }"""
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture
def here() -> Iterator[Little]:
    with little() as made:
        yield made


def ended(process: subprocess.Popen[str]) -> Ran:
    out, err = process.communicate(timeout=30)
    return Site.read(process.returncode, out, err)


def test_while_the_release_is_built(here: Little) -> None:
    file = here.root / "environments" / "local.toml"
    file.write_text(file.read_text().replace('releases = { source = "releases" }', SLOW_BUILD))
    building = here.root / "building"
    for number in SIGNALS:
        building.unlink(missing_ok=True)
        process = here.start("--version", "1.0.0")
        assert wait_until(building.exists, timeout=20)
        process.send_signal(number)
        ran = ended(process)
        assert (ran.code, ran.document["outcome"]) == (130, "INTERRUPTED"), ran.told
        assert "nothing was touched" in ran.told
        assert here.gate("history").document["deployments"] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_half_way_down(here: Little, number: signal.Signals) -> None:
    here.release("1.0.0", "ignores-sigterm")
    assert here.deploy("1.0.0").code == 0
    service = Process(here.state / "rel" / "r1", "web")
    process = here.start("down")
    assert process.stderr is not None
    assert "stopping 1.0.0" in process.stderr.readline()
    process.send_signal(number)
    ran = ended(process)
    assert (ran.code, ran.document["outcome"]) == (130, "INTERRUPTED"), ran.told
    assert "nothing was touched" not in ran.told
    assert "half-way" in ran.reasons
    assert ran.document["next"] == "python deploy_gate.py local down --json   does the rest"
    assert here.gate("down").code == 0
    assert not service.alive()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_modules_are_read(tmp_path: Path, number: signal.Signals) -> None:
    shutil.copy(HOUSE / "deploy_gate.py", tmp_path)
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "cli.py").write_text("import pathlib, time\npathlib.Path('read').touch()\ntime.sleep(60)\n")
    argv = [sys.executable, "deploy_gate.py", "local", "status"]
    with subprocess.Popen(argv, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert wait_until((tmp_path / "read").exists, timeout=20)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")
