"""The check of the machine's headroom, in runs that load the machine themselves and beside others that do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from gate.machine import shell
from gate.results import CaseOutcome
from tests.suite.project import HOUSE, Project, case

BUSY = """
import time
@pytest.mark.parametrize("n", range(2))
def test_busy(n):
    began = time.monotonic()
    while time.monotonic() - began < 4: pass
"""
NAME = "test_host_has_headroom"


@contextmanager
def others() -> Iterator[None]:
    """Processes that have nothing to do with us and take whatever they get."""
    cores = psutil.cpu_count() or 1
    told = shell.run(
        ["/bin/sh", "-c", f"for n in $(seq {4 * cores}); do (while :; do :; done) >&- 2>&- & echo $!; done"], timeout=10
    )
    try:
        yield
    finally:
        for pid in map(int, told.out.split()):
            psutil.Process(pid).kill()


def test_a_parallel_run_does_not_fail_on_its_own_load(project: Project) -> None:
    shutil.copy(HOUSE / "checks" / "test_resources.py", project.root / "checks")
    ini = project.root / "pytest.ini"
    ini.write_text(ini.read_text().replace("--tb=native", "--tb=native -n 2"))
    found = case(project.cases(BUSY).run(), NAME)
    assert not [figure for figure in found.measurements if figure.signal == "cpu" and figure.value > 0.9], found.message


def test_others_that_load_the_machine_fail_it(project: Project) -> None:
    shutil.copy(HOUSE / "checks" / "test_resources.py", project.root / "checks")
    with others():
        found = case(project.run(), NAME)
    assert found.outcome is CaseOutcome.FAILED
    assert "cpu" in found.message
