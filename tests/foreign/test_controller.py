"""The gate as a controller where POSIX is missing: it imports, looks, plans, deploys, and says what it cannot.

POSIX is taken from the gate's own code only, in child processes of a Linux (site/sitecustomize.py): what is proven is
that nothing asks for it, never how another system behaves.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from gate.config import Environment
from gate.environments import load
from gate.errors import Locked
from gate.machine.shell import wait_until
from gate.records.lock import Lock
from tests.commands.little import ENVIRONMENT
from tests.engine.site import folder
from tests.team.conftest import IN_PLACE, Team, team
from tests.unit.test_lock import HOLDS

SITE = Path(__file__).parent / "site"
HOUSE = Path(__file__).resolve().parents[2]
FOREIGN = {**os.environ, "PYTHONPATH": f"{SITE}{os.pathsep}{HOUSE}"}


@pytest.fixture(scope="module")
def abroad() -> Iterator[Team]:
    """A team that deploys with commands; 0.9.0 was deployed by hand."""
    with folder() as root:
        made = team(root, IN_PLACE)
        made.environment["PYTHONPATH"] = FOREIGN["PYTHONPATH"]
        made.own_interpreter = True
        (root / "environments" / "embedded.toml").write_text(ENVIRONMENT.format(port=18999), encoding="utf-8")
        try:
            for version in ("0.9.0", "1.0.0"):
                made.release(version)
            made.by_hand("0.9.0")
            yield made
        finally:
            made.end()


def foreign(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=FOREIGN, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "asked",
    [
        "import fcntl",
        "from pwd import getpwall",
        "import os; os.killpg",
        "from os import pwrite",
        "import signal; signal.SIGKILL",
        "import socket; socket.AF_UNIX",
        "import select; select.poll",
        "import subprocess; subprocess.Popen(['true'], pass_fds=(1,))",
    ],
)
def test_what_is_missing_is_seen(asked: str) -> None:
    assert foreign(asked).returncode == 0
    assert foreign(f"exec({asked!r}, {{'__package__': 'gate'}})").returncode == 1


def test_every_module_is_imported() -> None:
    ended = foreign("""
import importlib, pkgutil, gate
skipped = ("__main__", "_child", "migrations.versions", "migrations.env")
names = [item.name for item in pkgutil.walk_packages(gate.__path__, "gate.") if not item.name.endswith(skipped)]
names = [name for name in names if not any(part in name for part in skipped)]
for name in names:
    importlib.import_module(name)
print(len(names))
""")
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 150


def test_help_and_wrong_use(abroad: Team) -> None:
    def ran(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "deploy_gate.py", *words]
        return subprocess.run(
            argv, cwd=abroad.root, env=abroad.environment, capture_output=True, text=True, timeout=60, check=False
        )

    assert ran("--help").returncode == 0
    for words, told in (
        (("local",), "--version V"),
        (("nowhere", "status"), "nowhere"),
        (("local", "--version", "7.0.0"), "7.0.0"),
    ):
        ended = ran(*words)
        assert (ended.returncode, told in ended.stderr) == (2, True), ended.stderr
        assert "Traceback" not in ended.stderr


def test_it_looks_and_plans(abroad: Team) -> None:
    status = abroad.gate("status")
    assert status.code == 0, status.told
    found = abroad.gate("releases")
    assert found.code == 0, found.told
    assert "1.0.0" in str(found.document)
    plan = abroad.gate("plan", "--version", "1.0.0")
    assert (plan.code, plan.document["outcome"]) == (0, "PLANNED"), plan.told
    assert abroad.gate("lock").code == 0


def test_it_deploys_with_the_teams_commands(abroad: Team) -> None:
    ran = abroad.gate("--version", "1.0.0", "--yes")
    assert (ran.code, ran.document["outcome"]) == (0, "RELEASED"), ran.told
    assert abroad.wanted() == "1.0.0"
    assert abroad.gate("history").code == 0


def test_what_it_cannot_be_there_it_says(abroad: Team) -> None:
    for words in (("status",), ("up",)):
        ran = abroad.gate(*words, name="embedded")
        assert ran.code == 2, ran.told
        assert "embedded.toml: [engine] kind = 'process'" in ran.told or "need Linux" in ran.told
        assert "must be Linux" in ran.told
        assert "Traceback" not in ran.told


def test_the_lock_is_the_same_for_both_and_dies_with_its_holder(abroad: Team) -> None:
    for here, there in ((FOREIGN, abroad.environment), ({**os.environ, "PYTHONPATH": str(HOUSE)}, abroad.environment)):
        argv = [sys.executable, "-c", HOLDS, str(abroad.root)]
        with subprocess.Popen(
            argv, env={**there, **here}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            try:
                assert holder.stdout is not None
                assert holder.stdout.readline() == "held\n"
                told = abroad.gate("lock")
                assert f"(process {holder.pid})" in str(told.document), told.told
                refused = abroad.gate("--version", "1.0.0", "--yes")
                assert refused.code == 5, refused.told
                assert f"(process {holder.pid})" in refused.told
                with pytest.raises(Locked, match=f"process {holder.pid}"), Lock(locked(abroad)).held("a test"):
                    pass
            finally:
                holder.send_signal(signal.SIGKILL)
        assert Lock(locked(abroad)).holder() is None
        free = abroad.gate("lock")
        assert str(holder.pid) not in str(free.document)


def locked(abroad: Team) -> Environment:
    os.environ.update({name: abroad.environment[name] for name in ("DEPLOY_TOKEN",)})
    return load("local", abroad.root)


def test_what_takes_too_long_ends_with_all_it_started(tmp_path: Path) -> None:
    ended = foreign(
        """
import sys
from pathlib import Path
from gate.machine import shell
from gate.errors import ShellError
mark = Path(sys.argv[1])
argv = ["sh", "-c", f"sleep 600 & echo $! >{mark}; wait"]
try:
    shell.run(argv, timeout=8)
except ShellError as fault:
    print(fault)
mark.rename(mark.with_name("first"))
with shell.start(argv, cwd=mark.parent, env={"PATH": "/usr/bin:/bin"}) as child:
    assert shell.wait_until(lambda: mark.exists() and mark.read_text().strip(), timeout=30)
    assert not child.ended()
""",
        str(tmp_path / "pid"),
    )
    assert ended.returncode == 0, ended.stderr
    assert "did not end within 8 s" in ended.stdout

    def gone(pid: int) -> bool:  # one that nobody collects has ended all the same
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    for name in ("first", "pid"):
        assert wait_until(partial(gone, int((tmp_path / name).read_text())), timeout=5), name
