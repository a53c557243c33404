"""Rollback where the gate's records are damaged, or can only be read: it goes where it would go with them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.commands.little import Little, little
from tests.commands.test_held import DOUBTFUL, running

STOPS_WRITING = """
import sqlite3
from contextlib import closing
with closing(sqlite3.connect({file!r})) as records:
    stop = "BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'read-only'); END"
    records.execute(f"CREATE TRIGGER IF NOT EXISTS stop {{stop}}")
    records.commit()
"""


@pytest.fixture(scope="module")
def project() -> Iterator[Little]:
    with little(None, "1.0.0", "1.1.0") as made:
        made.release("1.2.0")
        yield made


@contextmanager
def damaged(here: Little) -> Iterator[None]:
    """The records are no database; afterwards they are what they were."""
    files = [here.state / f"gate.db{end}" for end in ("", "-wal", "-shm")]
    kept = {file: file.read_bytes() for file in files if file.exists()}
    for file in files:
        file.unlink(missing_ok=True)
    files[0].write_bytes(b"no database" * 1000)
    try:
        yield
    finally:
        for file in files:
            file.unlink(missing_ok=True)
        for file, content in kept.items():
            file.write_bytes(content)


def records(here: Little, statement: str) -> None:
    with closing(sqlite3.connect(here.state / "gate.db")) as connection:
        connection.execute(statement)
        connection.commit()


def test_what_nobody_decided_on_is_taken_away_and_nothing_else(project: Little) -> None:
    project.write("smoke/test_doubtful.py", DOUBTFUL)
    assert project.deploy("1.2.0").code == 6
    (project.root / "smoke" / "test_doubtful.py").unlink()
    with damaged(project):
        ran = project.gate("rollback")
        assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
        assert "1.1.0 stays, and what came after it and was never decided on is taken away" in ran.told
        assert project.serving() == "1.1.0", "not the candidate, and not one release too far"
        assert running(project) == ["1.1.0"]
    recovered = project.gate("rollback")  # the records still have it as held
    assert recovered.code == 1, recovered.told
    assert project.serving() == "1.1.0"


@pytest.mark.parametrize("table", ["deployments", "events"])
def test_records_that_can_only_be_read(project: Little, table: str) -> None:
    if project.serving() != "1.1.0":
        assert project.deploy("1.1.0").code == 0
    records(project, f"CREATE TRIGGER stop BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'read-only'); END")
    try:
        assert project.deploy("1.2.0").code == 3, "a deployment needs them"
        ran = project.gate("rollback")
    finally:
        records(project, "DROP TRIGGER stop")
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
    assert "not recorded, for" in ran.told
    assert (project.serving(), running(project)) == ("1.0.0", ["1.0.0"])


def test_records_that_are_lost_in_the_middle(project: Little) -> None:
    if project.serving() != "1.1.0":
        assert project.deploy("1.1.0").code == 0
    project.write(
        "smoke/test_stops.py",
        STOPS_WRITING.format(file=str(project.state / "gate.db")) + DOUBTFUL.replace('assert False, "a doubt"', "pass"),
    )
    try:
        ran = project.gate("rollback")
    finally:
        (project.root / "smoke" / "test_stops.py").unlink()
        records(project, "DROP TRIGGER IF EXISTS stop")
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
    assert "the rollback goes on without it" in ran.told
    assert project.serving() == "1.0.0"
    assert project.gate("recover").code in (0, 1)
    assert (project.serving(), running(project)) == ("1.0.0", ["1.0.0"])
