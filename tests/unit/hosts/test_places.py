"""What is kept beside the front doors of several servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from gate.environments import load
from gate.errors import EngineError
from gate.redact import REDACTED
from gate.remote.door import Door
from gate.routing.place import Damaged, Folder, of
from gate.routing.places import Everywhere
from tests.evidence.runs import ENVIRONMENT
from tests.unit.hosts.servers import SEVERAL
from tests.unit.test_config import read, table


class Broken(Folder):
    """One that cannot be reached."""

    def read(self, name: str) -> str | None:  # noqa: ARG002
        raise EngineError("no SSH connection")

    def write(self, name: str, text: str) -> None:  # noqa: ARG002
        raise EngineError("no SSH connection")


def test_what_is_kept_is_kept_beside_each_and_read_from_those_that_answer(tmp_path: Path) -> None:
    places = {"a": Folder(tmp_path / "a"), "b": Folder(tmp_path / "b")}
    Everywhere(places).write("kept.json", "[]")
    assert [place.read("kept.json") for place in places.values()] == ["[]", "[]"]
    lost = Everywhere({"a": Broken(tmp_path / "a"), "b": Folder(tmp_path / "b")})
    assert lost.read("kept.json") == "[]"
    with pytest.raises(EngineError, match=r"^a: no SSH connection$"):
        lost.write("kept.json", "[1]")
    assert places["b"].read("kept.json") == "[1]"
    with pytest.raises(EngineError, match="a: no SSH connection; b: no SSH connection"):
        Everywhere({"a": Broken(tmp_path), "b": Broken(tmp_path)}).read("kept.json")


def test_what_two_servers_do_not_agree_on_is_damaged_until_it_is_written_again(tmp_path: Path) -> None:
    """One of them was lost when it was changed."""
    places = {"a": Folder(tmp_path / "a"), "b": Folder(tmp_path / "b")}
    both = Everywhere(places)
    both.write("kept.json", "[1]")
    places["a"].write("kept.json", "[2]")
    with pytest.raises(Damaged, match="is not the same on a and b"):
        both.read("kept.json")
    both.write("kept.json", "[2]")
    assert both.read("kept.json") == "[2]"


def test_what_is_damaged_on_all_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(Damaged):
        Everywhere({"a": Folder(tmp_path), "b": Folder(tmp_path)}).read("kept.json")


def test_the_places_of_all_servers_are_those_of_their_front_doors() -> None:
    assert isinstance(of(read(table(**SEVERAL))), Everywhere)
    assert isinstance(of(read(table(**SEVERAL | {"engine__hosts": None, "engine__host": "ssh://a"}))), Door)


def test_the_token_of_each_front_door_is_a_secret(tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "here.toml").write_text(ENVIRONMENT)
    kept = tmp_path / ".gate" / "here" / "traffic"
    kept.mkdir(parents=True)
    (kept / "token-a").write_text("token-of-the-first-server")
    (kept / "token-b").write_text("token-of-the-second-server")
    scrub = load("here", tmp_path, {}).redactor
    assert scrub("token-of-the-first-server, token-of-the-second-server") == f"{REDACTED}, {REDACTED}"
