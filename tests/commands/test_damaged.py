"""Small files that were damaged, emptied or lost: told for what they are; a command leads out of every state."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.commands.little import Little, little


@pytest.fixture(scope="module")
def project() -> Iterator[Little]:
    with little(None, "1.0.0", "1.1.0") as made:
        yield made


@pytest.fixture
def here(project: Little) -> Iterator[Little]:
    """The project with 1.1.0 serving as deployment 2."""
    yield project
    assert project.gate("status").document["next"] == ""
    assert project.serving() == "1.1.0"


@pytest.mark.parametrize(
    ("command", "content"), [("up", ""), ("up", None), ("up", '{"version": "1.1.0"}'), ("recover", "[]")]
)
def test_facts_of_what_serves(here: Little, command: str, content: str | None) -> None:
    file = here.state / "rel" / "r2" / "instance.json"
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    status = here.gate("status")
    assert status.code == 0, status.told
    assert "what serves cannot be told" in status.document["faults"][0]
    assert status.document["next"].endswith("up")
    ran = here.gate(command)
    assert ran.code == 0, ran.told
    assert "r2 is was damaged, and is written down again: 1.1.0" in ran.told
    assert ran.document["stable"]["version"] == "1.1.0"


@pytest.mark.parametrize(("command", "runs"), [("up", False), ("recover", True)])
def test_who_has_the_traffic(here: Little, command: str, runs: bool) -> None:
    (here.state / "traffic" / "stable").unlink()
    if not runs:
        here.kill("r2")
    assert here.gate("status").document["next"].endswith("up   gives 1.1.0 the traffic again: it was kept last")
    refused = here.deploy("1.0.0", "--allow-downgrade")
    assert refused.code == 3, refused.told
    assert "traffic reaches nothing, though 1.1.0 (deployment 2) was kept last" in refused.told
    assert here.gate("rollback").code == 3
    ran = here.gate(command)
    assert ran.code == 0, ran.told
    assert ran.document["stable"] | {"instance": ""} == {**ran.document["stable"], "runs": True, "instance": ""}


@pytest.mark.parametrize("content", [b"no database at all, but text in its place" * 100, None])
def test_records(here: Little, content: bytes | None) -> None:
    file = here.state / "gate.db"
    kept = file.with_name("kept.db")
    file.rename(kept)
    try:
        if content is not None:
            file.write_bytes(content)
            for command in ("status", "up"):
                ran = here.gate(command)
                assert ran.code == 0, ran.told
                assert ran.document["stable"]["version"] == "1.1.0"
                assert f"mv {file}" in ran.document["next"]
            assert here.deploy("1.1.0").code == 3
            file.rename(file.with_name("gate.db.damaged"))
        ran = here.deploy("1.1.0", "--dry-run")
        assert ran.code == 0, ran.told
        assert ran.document["deployment"] > 2  # what r1 and r2 are called is taken
    finally:
        kept.rename(file)


def test_what_has_the_traffic_and_does_not_run(here: Little) -> None:
    here.write(
        "checks/test_made_up.py", "import pytest\npytestmark = pytest.mark.category('Security')\ndef test_a(): 1 / 0\n"
    )
    here.kill("r2")
    try:
        status = here.gate("status")
        ran = here.deploy("1.1.0")
    finally:
        here.restore()
        assert here.gate("up").code == 0
    assert ran.code == 3, ran.told
    assert "REFUSED  nothing was touched; 1.1.0 has the traffic, but its web does not run." in ran.told
    assert ran.document["stable"]["runs"] is False
    assert status.document["stable"]["runs"] is False
    assert status.document["next"].endswith("up")


def test_recover_clears_an_unfinished_backup() -> None:
    with little() as here:
        left = here.state / "backups" / "20260101T000000Z-r1.partial"
        left.parent.mkdir(parents=True)
        left.touch()
        assert here.gate("recover").code == 0
        assert not left.exists()
