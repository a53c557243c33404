"""Who runs a command: the account, whatever the environment says."""

from __future__ import annotations

import os
import pwd
import socket

import pytest

from gate.machine.account import account_of, whoami


@pytest.mark.parametrize("variable", ["LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"])
def test_no_variable_makes_somebody_another_one(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "alice")
    assert whoami() == f"{pwd.getpwuid(os.geteuid()).pw_name}@{socket.gethostname()}"


def test_an_account_without_a_name_is_its_number() -> None:
    assert account_of(4_000_000_123) == "4000000123"
