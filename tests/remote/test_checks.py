"""The checks that look at a server, over real SSH: all is well, each fault is planted, and one can tell nothing."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate.releases import Release
from gate.results import Case, CaseOutcome
from gate.suites import suite
from gate.suites.context import CHECKS, Context
from tests.checks.projects import REPOSITORY, toml
from tests.containers.dockered import IMAGE, Dockered, dockered, service
from tests.remote.server import Server

CASES = {
    "test_clocks_agree": "checks/test_environment.py",
    "test_ports_are_free_or_ours": "checks/test_environment.py",
    "test_disks_have_room": "checks/test_images.py",
    "test_images_are_pinned": "checks/test_images.py",
    "test_files_with_secrets_are_kept_from_others": "checks/test_security.py",
}


@pytest.fixture(scope="module")
def here(remote: Server) -> Iterator[Dockered]:
    """A project with the checks, whose releases would run on the server."""
    with dockered("", engine=remote.engine) as made:
        for name in ("checks", "fixtures"):
            shutil.copytree(REPOSITORY / name, made.environment.root / name)
        for name in ("conftest.py", "pytest.ini"):
            shutil.copy2(REPOSITORY / name, made.environment.root / name)
        made.environment.file.parent.mkdir(exist_ok=True)
        written(made, remote)
        yield made


def written(here: Dockered, remote: Server, front_door: str = "caddy:2", listen: str = "") -> None:
    """The environment's file, as the suite's own process reads it."""
    environment = here.environment
    content = {
        "app": {"name": environment.app.name, "url": environment.app.url},
        "releases": {"source": "releases", "image": IMAGE},
        "engine": {**remote.engine, "front_door": front_door},
        "services": {"web": service()},
        "traffic": {"listen": listen or environment.traffic.listen},
        "settings": {"files": [str(secret_of(remote))]},
        "checks": {"folders": ["checks"]},
        "smoke": {"folders": ["smoke"]},
    }
    environment.file.write_text("\n".join(f"{key} = {toml(value)}" for key, value in content.items()))
    secret_of(remote).write_text("PASSWORD=")
    secret_of(remote).chmod(0o600)


def secret_of(remote: Server) -> Path:
    return remote.place / "secret.env"


def checks(here: Dockered, release: Release) -> dict[str, Case]:
    context = Context("test", CHECKS, release=release)
    nodes = [f"{file}::{name}" for name, file in CASES.items()]
    result = suite.run(here.environment, context, nodes, here.environment.root / "run", decide=lambda _: None)
    assert not result.broken, result.broken
    assert not result.missing
    return {case.id.rpartition("::")[2]: case for case in result.cases}


def test_all_is_well(here: Dockered) -> None:
    told = {name: (case.outcome, case.message) for name, case in checks(here, here.release("1.1.0")).items()}
    assert told == dict.fromkeys(CASES, (CaseOutcome.PASSED, ""))


def test_each_fault_of_a_server_is_seen(here: Dockered, remote: Server) -> None:
    try:
        with (
            remote.programs(date="echo 1000000000", df="echo d; echo 'd 99999 99990 9 100% /'", timedatectl="echo no"),
            socket.socket() as other,
        ):
            other.bind(("127.0.0.1", 0))
            other.listen()
            taken = f"127.0.0.1:{other.getsockname()[1]}"
            written(here, remote, front_door="caddy:latest", listen=taken)
            secret_of(remote).chmod(0o604)
            cases = checks(here, here.release("1.1.0"))
    finally:
        written(here, remote)
    assert {case.outcome for case in cases.values()} == {CaseOutcome.FAILED}, cases
    name = f"127.0.0.1:{remote.port}"
    assert f"{name}: " in cases["test_clocks_agree"].message
    assert f"[traffic] listen: somebody else listens on {taken} of {name}" in (
        cases["test_ports_are_free_or_ours"].message
    )
    assert "0 MB free < " in cases["test_disks_have_room"].message
    assert "[engine] front_door: caddy:latest" in cases["test_images_are_pinned"].message
    assert "mode 604, others may read it" in cases["test_files_with_secrets_are_kept_from_others"].message


def test_a_server_that_cannot_tell_has_failed_nothing(here: Dockered, remote: Server) -> None:
    """On a minimal system, none of the programs is there that could tell."""
    lacking = dict.fromkeys(("date", "df", "stat", "cat", "timedatectl", "chronyc"), "exit 127")
    with remote.programs(**lacking):
        cases = checks(here, here.release("1.1.0"))
    unknown = {name for name, case in cases.items() if case.inconclusive}
    assert {case.outcome for case in cases.values()} == {CaseOutcome.WARNING, CaseOutcome.PASSED}
    assert unknown == CASES.keys() - {"test_images_are_pinned"}, "the engine tells that one"
