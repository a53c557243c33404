"""What the gate adds to pytest on the same cases. Run: python -m benchmarks.overhead [--cases 200] [--runs 5]

The same made-up cases run three times over, in turn: by bare pytest, by pytest with the project's own configuration
(plugin, readiness summary, pytest-html), and by the gate (a child process whose events are read, judged and written
as JUnit). Ratios of medians; on standard error a table, on standard output one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gate.config import Environment
from gate.environments import load
from gate.suites import suite
from gate.suites.context import CHECKS, Context

# No configuration and no plugin: the least that pytest can do.
BARE = ("-c", "/dev/null", "-p", "no:cacheprovider", "--disable-plugin-autoload", "--noconftest")
REPOSITORY = Path(__file__).parents[1]
CASE = '''

@pytest.mark.{severity}
def test_case_{number}(environment):
    """Case {number} holds"""
    assert environment.name == "local"
'''
PLAIN = '''

def test_case_{number}():
    """Case {number} holds"""
    assert "local" == "local"
'''


def project(folder: Path, cases: int) -> Environment:
    """A project with the repository's configuration and made-up cases, and the same cases for bare pytest."""
    for name in ("fixtures", "environments", "conftest.py", "pytest.ini"):
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    (folder / "checks").mkdir()
    (folder / "bare").mkdir()
    severities = ("critical", "high", "minor")
    ours = "".join(CASE.format(number=number, severity=severities[number % 3]) for number in range(cases))
    head = 'import pytest\n\npytestmark = pytest.mark.category("Documentation")\n'
    (folder / "checks" / "test_made_up.py").write_text(head + ours)
    (folder / "bare" / "test_made_up.py").write_text("".join(PLAIN.format(number=number) for number in range(cases)))
    return load("local", folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        environment = project(folder, arguments.cases)
        ways: dict[str, Callable[[], None]] = {
            "bare pytest": lambda: _pytest(folder, "bare", arguments.cases, *BARE),
            "pytest checks/": lambda: _pytest(folder, "checks", arguments.cases, "-c", "pytest.ini"),
            "the gate": lambda: _gate(environment, arguments.cases, folder),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(arguments.runs + 1):
            for way, act in ways.items():
                began = time.monotonic()
                act()
                if number:  # the first round warms up
                    seconds[way].append(time.monotonic() - began)
    medians = {way: statistics.median(each) for way, each in seconds.items()}
    base = medians["bare pytest"]
    result = {
        "cases": arguments.cases,
        "runs": arguments.runs,
        "ways": {way: {"seconds": round(value, 3), "ratio": round(value / base, 2)} for way, value in medians.items()},
    }
    table = Table("way", "seconds, median", "ratio", title=f"{arguments.cases} trivial cases, {arguments.runs} runs")
    for way, value in medians.items():
        table.add_row(way, f"{value:.2f}", f"{value / base:.2f}")
    Console(stderr=True).print(table)
    print(json.dumps(result, indent=2))
    return 0


def _pytest(folder: Path, suite_folder: str, cases: int, *options: str) -> None:
    argv = [sys.executable, "-m", "pytest", "--rootdir", ".", *options, suite_folder]
    variables = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    ended = subprocess.run(argv, cwd=folder, env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert f"{cases} passed" in ended.stdout, ended.stdout + ended.stderr


def _gate(environment: Environment, cases: int, folder: Path) -> None:
    result = suite.run(environment, Context("local", CHECKS), ["checks"], folder / "out")
    assert len(result.cases) == cases, result.broken


if __name__ == "__main__":
    sys.exit(main())
