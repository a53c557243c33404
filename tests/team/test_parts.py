"""What the command engine is made of: a runner that leaves nothing behind, and lines that are read later."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from gate.engines import later
from gate.engines.later import Later, LaterLines
from gate.engines.runner import Runner
from gate.errors import EngineError, ShellError
from gate.live.observations import ErrorLines, Role
from gate.machine import shell
from gate.machine.shell import wait_until
from gate.remote.printed import Printed
from gate.signals.application_log import ErrorWatch

HOUSE = Path(__file__).parents[2]
# A tool that cleans up when it is asked to end, as helm and terraform do.
TIDY = """
import signal, sys, time
def end(*_):
    time.sleep(0.5)
    open(sys.argv[1], "w").write("tidy")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open(sys.argv[1] + ".runs", "w").close()
time.sleep(60)
"""


def run(runner: Runner, *argv: str, timeout: float = 20.0, folder: Path) -> int | None:
    return runner.run(list(argv), env={"PATH": os.environ["PATH"]}, cwd=folder, timeout=timeout).code


def test_what_it_leaves_running_is_left_alone(tmp_path: Path) -> None:
    runner = Runner(tmp_path / "engine")
    began = "setsid sleep 60 & echo $! >application"  # it holds the output open, too
    assert run(runner, "sh", "-c", began, folder=tmp_path) == 0
    application = int((tmp_path / "application").read_text())
    try:
        assert run(runner, "true", folder=tmp_path) == 0
        assert psutil.pid_exists(application)
    finally:
        os.kill(application, signal.SIGKILL)


def test_children_of_a_command_that_hangs_may_tidy_up(tmp_path: Path) -> None:
    (tmp_path / "tidy.py").write_text(TIDY)
    command = f"{sys.executable} tidy.py done; true"
    assert run(Runner(tmp_path / "engine"), "sh", "-c", command, timeout=2, folder=tmp_path) is None
    assert (tmp_path / "done").read_text() == "tidy"


@pytest.mark.parametrize("leader", ["lives", "has ended"])
def test_what_a_killed_gate_left_is_ended_first(tmp_path: Path, leader: str) -> None:
    (tmp_path / "tidy.py").write_text(TIDY)
    command = f"{sys.executable} tidy.py done {'; true' if leader == 'lives' else '& echo'}"
    code = (
        "import pathlib, sys; from gate.engines.runner import Runner; import os\n"
        f"place = pathlib.Path({str(tmp_path)!r})\n"
        f"Runner(place / 'engine').run(['sh', '-c', {command!r}], env=dict(os.environ), cwd=place, timeout=60)\n"
        "sys.stdin.read()"
    )
    gate = subprocess.Popen([sys.executable, "-c", code], cwd=HOUSE, stdin=subprocess.PIPE)
    known = tmp_path / "engine" / "command.json"
    assert wait_until(lambda: (tmp_path / "done.runs").exists() and (known.exists() or leader != "lives"), timeout=20)
    left = known.read_text() if known.exists() else json.dumps({"pid": group_of(tmp_path), "started": 0.5})
    gate.kill()
    gate.wait()
    known.write_text(left)
    assert run(Runner(tmp_path / "engine"), "true", folder=tmp_path) == 0
    assert (tmp_path / "done").read_text() == "tidy"


def group_of(folder: Path) -> int:
    """The group of the tool that runs in a folder."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        if process.info["cwd"] == str(folder) and "tidy.py" in (process.info["cmdline"] or []):
            return os.getpgid(process.pid)
    raise AssertionError("it does not run")


def test_a_question_whose_output_is_held_open_ends_in_time(tmp_path: Path) -> None:
    with pytest.raises(ShellError, match="did not end within 1 s"):
        shell.run(["sh", "-c", "setsid sleep 30 & true"], cwd=tmp_path, timeout=1)


def test_lines_that_stood_there_before_are_not_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(later, "_BETWEEN", 0.02)
    log = ["old", "same"]
    lines = LaterLines(lambda: list(log))
    assert wait_until(lambda: read(lines), timeout=5)
    assert not wait_until(lambda: bool(lines()), timeout=0.3)
    log += ["same", "new"]
    found: list[str] = []

    def heard() -> bool:
        found.extend(lines())
        return len(found) >= 2

    assert wait_until(heard, timeout=5)
    assert sorted(found) == ["new", "same"]


def read(lines: LaterLines) -> bool:
    """Whether somebody has looked yet."""
    lines()
    return lines.read_since > 0


def test_before_the_first_look_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a canary would be over before the log of the candidate was read once."""
    monkeypatch.setattr(later, "_BETWEEN", 0.02)
    looks = threading.Event()

    def slow() -> list[str]:
        assert looks.wait(20)
        return []

    lines = LaterLines(slow)
    watch = ErrorWatch(Later({"web": lines}, str), {"web": "ERROR"}, Role.CANDIDATE)
    assert watch.read(0.0) == [], "neither that it is watched, nor that it cannot be read"
    looks.set()
    assert wait_until(lambda: watch.read(0.1) == [ErrorLines(0.1, Role.CANDIDATE, "web", 0)], timeout=5)


def test_a_log_whose_new_lines_nobody_can_tell_counts_as_read_from_the_second_look_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(later, "_BETWEEN", 0.02)
    again = threading.Event()
    looks: list[int] = []

    def reads() -> list[str]:
        looks.append(1)
        assert len(looks) < 2 or again.wait(20)
        return ["ERROR of who knows when"]

    lines = LaterLines(reads)
    assert wait_until(lambda: len(looks) > 1, timeout=5)
    assert not read(lines)
    again.set()
    assert wait_until(lambda: read(lines), timeout=5)


def test_what_one_service_wrote_is_kept_while_the_log_of_another_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(later, "_BETWEEN", 0.02)
    monkeypatch.setattr(later, "_STALE", 0.1)
    broken = threading.Event()
    broken.set()

    def worker() -> list[str]:
        if broken.is_set():
            raise EngineError("no such pod")
        return []

    log: list[str] = []
    web = LaterLines(lambda: list(log), all_new=True)
    both = Later({"web": web, "worker": LaterLines(worker, all_new=True)}, str)
    faults: list[str] = []

    def told() -> list[tuple[str, str]]:
        try:
            return both()
        except EngineError as fault:
            faults.append(str(fault))
            return []

    assert wait_until(lambda: bool(told() or faults), timeout=5)
    assert faults, "a log that cannot be read"
    log.append("ERROR")
    assert wait_until(lambda: web.read_since > time.monotonic() - 0.01, timeout=5)
    assert told() == []
    broken.clear()
    assert wait_until(lambda: told() == [("web", "ERROR")], timeout=5)


def test_of_a_log_that_begins_with_the_watch_every_line_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that came before the first look ended, and after a look that broke."""
    monkeypatch.setattr(later, "_BETWEEN", 0.02)
    looks = [[], ["ERROR"], ["ERROR", "more"]]

    def reads() -> list[str]:
        told = looks.pop(0) if len(looks) > 1 else looks[0]
        if not told:
            raise KeyError("made up")
        return told

    lines, found = LaterLines(reads, all_new=True), list[str]()

    def heard() -> bool:
        with suppress(EngineError):
            found.extend(lines())
        return len(found) >= 2

    assert wait_until(heard, timeout=5)
    assert found == ["ERROR", "more"]


def test_a_log_that_cannot_be_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(later, "_BETWEEN", 0.02)
    monkeypatch.setattr(later, "_STALE", 0.2)

    def broken() -> list[str]:
        raise EngineError("no such pod")

    lines = LaterLines(broken)
    said: list[str] = []

    def complains() -> bool:
        try:
            lines()
        except EngineError as fault:
            said.append(str(fault))
        return bool(said)

    assert wait_until(complains, timeout=5)
    assert "no such pod" in said[0]


# Prints the whole log each time it is run, as tail does, and goes on until it is ended; says who it is.
PRINTS = 'echo $$ >"$1/pid"; echo x >>"$1/runs"; [ ! -f "$1/refuses" ] || exit 1; exec tail -n 100 -F "$1/log"'


def follower(place: Path) -> Printed:
    argv = ["sh", "-c", PRINTS, "sh", str(place)]
    return Printed(argv, env={"PATH": os.environ["PATH"]}, cwd=place)


def wrote(log: Path, number: int) -> None:
    with log.open("a") as file:
        file.write(json.dumps({"ts": time.time(), "n": number}) + "\n")


def numbers(printed: Printed) -> list[int]:
    return [json.loads(line)["n"] for line in printed.file.read_text().splitlines()] if printed.file.exists() else []


def test_a_log_that_a_command_prints_is_told_once_and_is_absent_while_nobody_prints_it(tmp_path: Path) -> None:
    wrote(tmp_path / "log", 1)
    printed = follower(tmp_path)
    try:
        assert numbers(printed) == [1], "what was there before is there before anybody reads on"
        wrote(tmp_path / "log", 2)
        assert wait_until(lambda: numbers(printed) == [1, 2], timeout=10)
        (tmp_path / "refuses").touch()
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
        assert wait_until(lambda: not printed.file.exists(), timeout=10)
        wrote(tmp_path / "log", 3)
        (tmp_path / "refuses").unlink()
        assert wait_until(lambda: numbers(printed) == [1, 2, 3], timeout=20), "what came meanwhile comes late"
    finally:
        printed.close()
    pid = int((tmp_path / "pid").read_text())
    assert wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", timeout=10)


def test_nothing_is_left_of_a_log_that_is_written_to_the_end(tmp_path: Path) -> None:
    line = json.dumps({"ts": time.time() + 1000})
    for _ in range(10):
        printed = Printed(
            ["sh", "-c", f"while :; do echo '{line}'; done"], env={"PATH": os.environ["PATH"]}, cwd=tmp_path
        )
        assert wait_until(printed.file.exists, timeout=10)
        printed.close()
        assert not printed.file.parent.exists()


def test_a_command_that_prints_a_log_dies_with_a_killed_gate(tmp_path: Path) -> None:
    wrote(tmp_path / "log", 1)
    code = (
        "import pathlib, sys; from tests.team.test_parts import follower\n"
        f"follower(pathlib.Path({str(tmp_path)!r}))\n"
        "print('follows', flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", code]
    gate = subprocess.Popen(argv, cwd=HOUSE, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert gate.stdout is not None
    assert gate.stdout.readline() == b"follows\n"
    pid = int((tmp_path / "pid").read_text())
    gate.kill()
    gate.wait()
    assert wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", timeout=10)
