"""What child processes get of the gate's variables."""

from __future__ import annotations

import os

import pytest

from gate.config import CommandSettings
from gate.machine import surroundings
from gate.redact import Secret
from gate.remote.commands import variables


@pytest.fixture(autouse=True)
def around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        monkeypatch.delenv(name)
    given = {"PATH": "/bin", "SYSTEMROOT": "C:\\Windows", "TEMP": "C:\\Temp", "CI_TOKEN": "a secret", "PIP_INDEX": "i"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)


def test_only_what_is_named() -> None:
    assert surroundings.kept(["PATH", "HOME"], system="posix").keys() == {"PATH"}


def test_whole_families() -> None:
    assert surroundings.kept([], ("PIP_",), system="posix").keys() == {"PIP_INDEX"}


def test_what_no_program_can_do_without_on_windows() -> None:
    assert surroundings.kept(["PATH", "HOME"], system="nt").keys() == {"PATH", "SYSTEMROOT", "TEMP"}


def test_a_teams_command_gets_no_token() -> None:
    settings = CommandSettings(kind="command", deploy=["a"], serves=["b"], logs=["c"], env={"A": Secret("b")})
    assert variables(settings).keys() == {"PATH", "A"}
