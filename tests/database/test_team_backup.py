"""Backups by the team's own tool: nothing counts but what its verify command and a start of it say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gate.config import Environment
from gate.database import backup, binaries, fingerprint, manifest, team_backup
from gate.database.cluster import Cluster
from gate.errors import ConfigError, DatabaseError
from gate.redact import Secret
from tests.database import project
from tests.database.project import PASSWORD, run

TOOL = str(Path(__file__).with_name("team_backup.py"))
TOKEN = "token-of-the-team"


@pytest.fixture(autouse=True)
def _allowed(server: Cluster) -> Iterator[None]:
    run(server.url(), "ALTER ROLE app REPLICATION")
    yield
    run(server.url(), "ALTER ROLE app NOREPLICATION")


def made_with(home: Path, url: Secret, store: Path, **changed: object) -> Environment:
    """The environment whose backups are made by the tool, which keeps them in ``store``."""
    words = [str(binaries.binaries()), str(store), "{id}"]
    commands: dict[str, object] = {
        "command": ["{python}", TOOL, "make", *words],
        "verify": ["{python}", TOOL, "verify", *words],
        "restore": ["{python}", TOOL, "restore", *words, "{data}"],
        "env": {"TEAM_TOKEN": TOKEN},
        "timeout": "60s",
    }
    kept = {key: value for key, value in (commands | changed).items() if value is not None}
    return project.environment(home, url, backup=kept)


def test_made_verified_and_restored(home: Path, shop: Secret, tmp_path: Path) -> None:
    environment = made_with(home, shop, tmp_path / "theirs")
    (tmp_path / "theirs").mkdir()
    made = backup.create(environment, tmp_path / "ours", label="r7", head="0004")
    assert (made.kind, made.file.name) == ("command", f"{made.id}.log")
    told = made.file.read_text()
    assert TOKEN not in told
    assert PASSWORD not in told
    assert "[redacted]" in told
    verified = backup.verify(made, environment)
    assert verified.how == "made and verified by the team's own commands"
    assert replace(manifest.read(manifest.path_of(made)), verified_at="") == made
    with backup.as_dump(made, environment, lambda _: None) as (file, held):
        assert held.tables == fingerprint.data(shop)
        believed = replace(held, kind="dump", file=file, bytes=file.stat().st_size, sha256=backup._sha256(file))
        backup.verify(believed, environment)

    base = next((tmp_path / "theirs" / made.id / "base").rglob("[0-9]*"))
    damaged = next(file for file in sorted(base.parent.rglob("[0-9]*")) if file.is_file() and file.stat().st_size)
    content = damaged.read_bytes()
    damaged.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(DatabaseError, match=r"\[database\] backup verify \(python[^)]*\): exit code 1"):
        backup.verify(made, environment)
    with pytest.raises(DatabaseError, match="exit code 1"), backup.as_dump(made, environment, lambda _: None):
        pass


def test_a_tool_that_fails_leaves_nothing(home: Path, shop: Secret, tmp_path: Path) -> None:
    environment = made_with(home, shop, tmp_path, command=["{python}", "-c", f"exit('no room, {TOKEN}')"])
    with pytest.raises(DatabaseError, match=r"backup command .*: exit code 1: no room, \[redacted\]"):
        backup.create(environment, tmp_path / "ours", label="r7")
    assert list((tmp_path / "ours").iterdir()) == []


def test_what_a_tool_keeps_in_the_gates_folder_is_never_removed(home: Path, shop: Secret, tmp_path: Path) -> None:
    script = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text('all of it')"
    files = [f"{{folder}}/{{id}}.{ending}" for ending in ("dump", "log", "json", "partial")]
    for file in files:
        environment = made_with(
            home, shop, tmp_path, command=["{python}", "-c", script, file], verify=["test", "-s", file], restore=None
        )
        made = backup.create(environment, tmp_path / "ours", label="r7")
        backup.verify(made, environment)
        assert backup.prune(tmp_path / "ours", keep=5, pinned={made.id}) == []
        backup.verify(made, environment)
    ids = {made.id for made in backup.available(tmp_path / "ours")}
    assert len(ids) == len(files)
    backup.prune(tmp_path / "ours", keep=1, pinned=set())
    assert len(list((tmp_path / "ours" / team_backup.THEIRS).iterdir())) == len(files), (
        "how long is the team's business"
    )


def test_a_tool_that_does_not_end(home: Path, shop: Secret, tmp_path: Path) -> None:
    environment = made_with(home, shop, tmp_path, command=["sleep", "60"], timeout="1s")
    with pytest.raises(DatabaseError, match=r"did not end within 1 s"):
        backup.create(environment, tmp_path / "ours", label="r7")


def test_a_restore_without_a_command_is_refused(home: Path, shop: Secret, tmp_path: Path) -> None:
    nothing = ["true"]
    environment = made_with(home, shop, tmp_path, command=nothing, verify=nothing, restore=None)
    made = backup.create(environment, tmp_path, label="r7")
    with (
        pytest.raises(DatabaseError, match="has no `restore`") as caught,
        backup.as_dump(made, environment, lambda _: None),
    ):
        pass
    assert made.id in str(caught.value.next_step)
    empty = made_with(home, shop, tmp_path, command=nothing, verify=nothing, restore=nothing)
    with pytest.raises(DatabaseError, match="holds no PostgreSQL data"), backup.as_dump(made, empty, lambda _: None):
        pass
    dumps = project.environment(home, shop)
    with pytest.raises(DatabaseError, match="names no commands") as changed:
        backup.verify(made, dumps)
    assert changed.value.next_step


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"verify": None}, r"\[database\.backup\] verify: is required"),
        ({"command": ["x", "{ID}", "{where}"]}, r"\[database\.backup\] command: {where} is unknown; known are"),
        ({"verifies": ["x"]}, r"\[database\.backup\] verifies: unknown key"),
    ],
)
def test_commands_that_are_none(
    home: Path, shop: Secret, tmp_path: Path, changed: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        made_with(home, shop, tmp_path, **changed)


def test_a_kind_that_is_none(home: Path, shop: Secret) -> None:
    with pytest.raises(ConfigError, match=r"\[database\] backup: .*'auto', 'dump' or 'basebackup'"):
        project.environment(home, shop, backup="dumps")
