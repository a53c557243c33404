"""A team's own commands: what they must print, and that nothing they leave out counts as done."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gate.config import CommandTool
from gate.database.command import CommandMigrations
from gate.database.migrations import MigrationFailed, UnknownRevision
from gate.database.patience import Patience
from gate.errors import DatabaseError
from gate.redact import Secret
from gate.releases import Release
from tests.database.project import PASSWORD

# Says what the file of a command's name holds, and does what the file ``on-KEY`` holds, but only for a real database.
SCRIPT = """
import os, pathlib, sys
key = sys.argv[1]
if key != "revisions" and "nowhere" in os.environ["DATABASE_URL"]:
    sys.exit("cannot connect")
act = pathlib.Path(f"on-{key}")
if act.exists():
    exec(act.read_text())
said = pathlib.Path(key)
print(said.read_text() if said.exists() else "", end="")
"""


def tool(folder: Path, said: dict[str, str], *, timeout: str = "10s", **changes: Any) -> CommandMigrations:
    """The tool of a release whose commands say this; what is not named says that it is at ``a`` of ``a`` and ``b``."""
    folder.mkdir(exist_ok=True)
    (folder / "say.py").write_text(SCRIPT)
    for name, text in ({"revisions": "a\nb\n", "current": "a\n", "pending": "b\n", "sql": "SELECT 1"} | said).items():
        (folder / name).write_text(text)
    commands = {key: [sys.executable, "-S", "say.py", key] for key in ("revisions", "current", "pending", "up", "down")}
    table = {"tool": "command", "timeout": timeout} | commands | changes
    release = Release(version="1.0.0", digest="sha256:0", commit=None, folder=folder)
    return CommandMigrations(release, CommandTool.model_validate(table), Patience(0.3, 10.0, lock_retries=1))


def test_lines_and_json_say_the_same(tmp_path: Path, live: Secret) -> None:
    plain = tool(tmp_path / "plain", {})
    described = [{"id": "a", "title": "The first", "file": "a.sql", "has_downgrade": False}, {"id": "b"}]
    rich = tool(tmp_path / "rich", {"revisions": json.dumps(described), "current": '["a"]', "pending": '["b"]\n'})
    for found in (plain, rich):
        assert [item.id for item in found.revisions()] == ["a", "b"]
        assert (found.head(), found.current(live)) == ("b", "a")
        assert [item.id for item in found.pending(live)] == ["b"]
    first = rich.revisions()[0]
    assert (first.title, first.file, first.has_downgrade) == ("The first", "a.sql", False)


@pytest.mark.parametrize("nothing", ["none\n", "[]"])
def test_nothing_is_said_in_so_many_words(tmp_path: Path, live: Secret, nothing: str) -> None:
    found = tool(tmp_path, {"revisions": nothing, "current": nothing, "pending": nothing})
    assert (found.revisions(), found.head(), found.current(live), found.pending(live)) == ([], None, None, [])


@pytest.mark.parametrize("key", ["revisions", "current", "pending"])
@pytest.mark.parametrize(
    "printed",
    ["", "  \n", "Connecting to the database\n", "a\na\n", '["a", 7]', '[{"name": "a"}]', "[a", "-\n", "<html>"],
)
def test_what_cannot_be_read_is_an_error(tmp_path: Path, live: Secret, key: str, printed: str) -> None:
    found = tool(tmp_path, {key: printed})
    with pytest.raises(DatabaseError, match=rf"\[database\.migrations\] {key} \(.*{key}\) printed ") as caught:
        found.pending(live)
    assert "docs/migrations.md" in str(caught.value.next_step)


def test_commands_that_contradict_each_other(tmp_path: Path, live: Secret) -> None:
    for pending in ("none", "a\nb", "c"):
        with pytest.raises(DatabaseError, match=r"pending .* says .*; by `revisions`, with `current` at a, it is b"):
            tool(tmp_path, {"pending": pending}).pending(live)
    with pytest.raises(DatabaseError, match=r"current .* printed 2 revisions; print the last applied one"):
        tool(tmp_path, {"current": "a\nb"}).current(live)
    with pytest.raises(UnknownRevision, match="is at c, unknown to release"):
        tool(tmp_path, {"current": "c"}).pending(live)


def test_a_command_that_fails_names_itself(tmp_path: Path, live: Secret) -> None:
    found = tool(tmp_path, {"on-current": "sys.exit(f'no: {os.environ[\"DATABASE_URL\"]}')"})
    with pytest.raises(DatabaseError, match=r"\[database\.migrations\] current \(.*\): exit code 1: no: ") as caught:
        found.current(live)
    assert PASSWORD not in str(caught.value)
    with pytest.raises(DatabaseError, match=r"\] revisions \(\./missing\): missing: could not be started"):
        tool(tmp_path, {}, revisions=["./missing"]).head()
    with pytest.raises(DatabaseError, match=r"\] pending .* did not end within 0\.3 s"):
        tool(tmp_path, {}, pending=["sleep", "60"], timeout="300ms", current=["echo", "a"]).pending(live)


def test_a_command_that_says_it_did_what_it_did_not(tmp_path: Path, live: Secret) -> None:
    with pytest.raises(MigrationFailed, match=r"up of b failed: .* ended with 0, but did not do it; .* at a$"):
        tool(tmp_path, {}).upgrade(live)
    with pytest.raises(MigrationFailed, match=r"down of a failed: .* ended with 0, but did not do it; .* at a$"):
        tool(tmp_path, {}).downgrade(live, None)


def test_a_command_that_only_knows_the_whole_way(tmp_path: Path, live: Secret) -> None:
    all_at_once = "pathlib.Path('current').write_text('b')"
    found = tool(tmp_path, {"current": "none", "pending": "a\nb", "on-up": all_at_once})
    assert [item.id for item in found.upgrade(live)] == ["a"], "one command was run, and it was enough"


def test_without_a_way_down_no_migration_has_one(tmp_path: Path, live: Secret) -> None:
    found = tool(tmp_path, {}, down=None)
    assert not any(item.has_downgrade for item in found.revisions())
    with pytest.raises(MigrationFailed, match="has no command `down`") as caught:
        found.downgrade(live, None)
    assert (caught.value.revision, caught.value.at) == ("a", "a")


def test_a_command_that_asks_another_database_is_refused(tmp_path: Path, live: Secret) -> None:
    """It would have the dry run migrate the live one."""
    stray = tool(tmp_path, {}, current=["echo", "a"], up=["touch", "touched"])
    for act in (stray.upgrade, lambda url: stray.downgrade(url, None)):
        with pytest.raises(DatabaseError, match=r"current .* answers although DATABASE_URL leads nowhere"):
            act(live)
    assert not (tmp_path / "touched").exists()


def test_what_a_command_is_given(tmp_path: Path, live: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRODUCTION_PASSWORD", "not-for-migrations")
    shown = "print(sorted(os.environ), file=open('seen', 'w')); sys.exit(os.environ['KEY'])"
    found = tool(tmp_path, {"on-up": shown}, env={"KEY": Secret("the-key-of-the-team")})
    with pytest.raises(MigrationFailed, match="exit code 1: the-key-of-the-team"):
        found.upgrade(live)
    seen = (tmp_path / "seen").read_text()
    assert all(name in seen for name in ("DATABASE_URL", "PGOPTIONS", "PGCONNECT_TIMEOUT", "PATH"))
    assert "PRODUCTION_PASSWORD" not in seen


def test_no_sql_for_the_linter_is_told(tmp_path: Path, live: Secret) -> None:
    with pytest.raises(DatabaseError, match=r"\[database\.migrations\] sql: no command says"):
        tool(tmp_path, {}).sql(live, "a")
    silent = tool(tmp_path, {}, sql=["true"])
    with pytest.raises(DatabaseError, match=r"\] sql \(true\) printed nothing"):
        silent.sql(live, "a")
    assert silent.sql(live, "b") == "", "nothing is what there is from the head to the head"
