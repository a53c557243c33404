"""The checks that look at machines, clocks, ports and files, on this machine; tests/remote has a server's."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from fixtures import clocks
from fixtures.image import loose
from fixtures.ports import listeners
from gate.machine.shell import Finished
from gate.results import CaseOutcome
from tests.checks.projects import FIRST, Project

PASSED, FAILED, WARNING = CaseOutcome.PASSED, CaseOutcome.FAILED, CaseOutcome.WARNING
ENVIRONMENT = ("checks/test_environment.py",)
SECURITY = ("checks/test_security.py",)


@contextmanager
def an_hour_late(url: str) -> Iterator[None]:
    """A database that tells its users another time than it is."""
    role = "ALTER ROLE made_up"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA late")
        connection.execute(
            "CREATE FUNCTION late.clock_timestamp() RETURNS timestamptz LANGUAGE sql "
            "AS $$ SELECT pg_catalog.clock_timestamp() - interval '1 hour' $$"
        )
        connection.execute(f"{role} SET search_path = late, pg_catalog, public")
        try:
            yield
        finally:
            connection.execute(f"{role} RESET search_path")
            connection.execute("DROP SCHEMA late CASCADE")


def test_clocks_agree_and_ports_are_free_or_ours(project: Project) -> None:
    release = project.release("1.1.0", FIRST)
    with an_hour_late(project.table["database"]["url"]), socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        project.table["traffic"]["listen"] = f"127.0.0.1:{other.getsockname()[1]}"
        cases = project.checks(release, folders=ENVIRONMENT)
    late, taken = cases["test_clocks_agree"], cases["test_ports_are_free_or_ours"]
    assert (late.outcome, taken.outcome) == (FAILED, FAILED), f"{late.message} {taken.message}"
    # At least so far: the question itself takes a moment.
    assert re.search(r"the database's server: 3[56]\d\d\.\d s apart", late.message), late.message
    assert "[traffic] listen: somebody else listens" in taken.message


def test_a_database_that_is_gone_tells_no_time(project: Project) -> None:
    """That it is gone is told by another case: here nothing is known, which is neither a pass nor a failure."""
    project.table["database"] = {"url": "postgresql://made_up:Rj7-nobody-there-4@127.0.0.1:1/made_up"}
    cases = project.checks(project.release("1.1.0", FIRST), folders=ENVIRONMENT)
    case = cases["test_clocks_agree"]
    assert (case.outcome, case.inconclusive) == (WARNING, True), case.message
    assert cases["test_database_is_ready_for_a_deployment"].outcome is FAILED


def test_files_with_secrets_are_kept_from_others(project: Project) -> None:
    kept = project.write("secrets/kept.env", "A=1")
    kept.chmod(0o640)
    project.table["settings"]["files"] = ["secrets/kept.env"]
    case = project.checks(project.release("1.1.0", FIRST), folders=SECURITY)
    assert case["test_files_with_secrets_are_kept_from_others"].outcome is PASSED
    kept.chmod(0o644)
    case = project.checks(project.release("1.1.0", FIRST), folders=SECURITY)
    told = case["test_files_with_secrets_are_kept_from_others"]
    assert (told.outcome, f"{kept}: mode 644, others may read it" in told.message) == (FAILED, True), told.message
    kept.unlink()
    case = project.checks(project.release("1.1.0", FIRST), folders=SECURITY)
    told = case["test_files_with_secrets_are_kept_from_others"]
    assert (told.outcome, told.inconclusive) == (WARNING, True), told.message


class Asked:
    """A machine of testinfra's that answers what it is told to, and knows no other program."""

    def __init__(self, answers: dict[str, str]) -> None:
        self._answers = answers

    def run(self, line: str) -> Any:
        said = self._answers.get(line.split(maxsplit=1)[0])
        finished = Finished(127 if said is None else 0, said or "", "", 0.0)
        return type("Result", (), {"rc": finished.code, "stdout": finished.out})


@pytest.mark.parametrize(
    ("answers", "kept"),
    [
        ({"timedatectl": "yes\n"}, True),
        ({"timedatectl": "no\n"}, False),
        ({"chronyc": "C0A80001,192.168.0.1,3,1764.1,0.0001,0.0,0.0,1,0,0,0,0,64.0,Normal\n"}, True),
        ({"chronyc": "00000000,,0,0.0,0.0,0.0,0.0,0,0,0,1,1,0.0,Not synchronised\n"}, False),
        ({"timedatectl": "", "chronyc": "506 Cannot talk to daemon\n"}, None),
        ({}, None),
    ],
)
def test_who_keeps_a_clock(answers: dict[str, str], kept: bool | None) -> None:
    told = clocks.clock("this machine", Asked(answers))
    assert (told.kept, bool(told.unknown)) == (kept, kept is None)


def test_who_listens_where() -> None:
    assert sys.byteorder == "little", "the rows below are of such a machine"
    row = "   0: {} 00000000:0000 {} 00000000:00000000 00:00000000 00000000     0        0 {} 1 0 100 0 0 10 0"
    loopback, other, every = "0100007F:1F90", "0200007F:1F90", "00000000000000000000000000000000:1F90"
    table = "\n".join([row.format(loopback, "0A", 1), row.format(other, "0A", 2), row.format(loopback, "01", 3)])
    assert listeners(table, "127.0.0.1:8080") == {"1"}
    assert listeners(table, "localhost:8080") == {"1"}
    assert listeners(table, "0.0.0.0:8080") == {"1", "2"}
    assert listeners(table, ":8080") == {"1", "2"}
    assert listeners(table, "127.0.0.1:8081") == set()
    assert listeners(row.format(every, "0A", 4), "127.0.0.1:8080") == {"4"}
    assert listeners("", "127.0.0.1:8080") == set()


DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("image", "serves", "pinned"),
    [
        (f"registry.example:5000/store:1.1.0@{DIGEST}", True, True),
        (f"store@{DIGEST}", True, True),
        (DIGEST, True, True),
        ("store:1.1.0", True, False),
        ("caddy:2.11.2", False, True),
        ("registry.example:5000/caddy:2", False, True),
        ("registry.example:5000/caddy", False, False),
        ("caddy", False, False),
        ("caddy:latest", False, False),
        (f"caddy:latest@{DIGEST}", False, True),
    ],
)
def test_images_are_pinned(image: str, serves: bool, pinned: bool) -> None:
    """Also of a swarm's services, whose images are named so."""
    assert (loose(image, serves=serves) == "") == pinned
