"""A runner, and a server it may reach."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ci.runner import Runner
from tests.ci.sshd import Sshd


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    """A real SSH server; a laptop without one skips, a CI without one fails."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        missing = "no sshd on this machine: apt-get install openssh-server"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with Sshd.started(program) as running:
        yield running
