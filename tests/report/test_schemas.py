"""The schema files are what the code makes now, and the environment's marks what its loader would refuse."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gate.schemas import FOLDER, environment, texts

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "environments").glob("*.toml"))


def faults(table: dict[str, Any]) -> list[str]:
    return [str(fault.message) for fault in jsonschema.Draft202012Validator(environment.schema()).iter_errors(table)]


@pytest.mark.parametrize("name", texts())
def test_a_schema_file_is_fresh(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == texts()[name], "run: python -m gate.schemas"


@pytest.mark.parametrize("schema", ["decision.schema.json", "environment.schema.json"])
def test_a_schema_is_a_schema(schema: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(texts()[schema]))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_our_environment_files_fit(file: Path) -> None:
    tables = {each.name: tomllib.loads(each.read_text(encoding="utf-8")) for each in FILES}
    bases = {table.get("extends") for table in tables.values()}
    # What others extend need not be whole: it is judged like a file that gets the rest from elsewhere.
    rest = {"extends": "another.toml"} if file.name in bases else {}
    assert faults(rest | tables[file.name]) == []


@pytest.fixture
def table() -> dict[str, Any]:
    return {
        "app": {"name": "store", "url": "${FRONTEND_URL}"},
        "releases": {"source": "releases"},
        "engine": {"kind": "process"},
        "services": {"web": {"command": ["serve"], "route": "/", "limits": {"cpu": 1.0, "memory": "512M"}}},
        "traffic": {"listen": "127.0.0.1:18080", "drain_timeout": "30s"},
        "checks": {"folders": ["checks"]},
        "smoke": {"folders": ["smoke"]},
    }


def test_a_variable_fits_where_a_text_has_a_form(table: dict[str, Any]) -> None:
    assert faults(table) == []


MIXED = {"url": "x", "migrations": {"tool": "sql", "config": "alembic.ini"}}
SPOILT: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "unknown table": (lambda t: t.update(surprise=1), "surprise"),
    "unknown key": (lambda t: t["services"]["web"].update(rout="/"), "rout"),
    "no suite": (lambda t: t.pop("smoke"), "smoke"),
    "unknown kind of command": (lambda t: t["services"]["web"].update(command="serve"), "serve"),
    "half a limit": (lambda t: t["services"]["web"]["limits"].pop("memory"), "memory"),
    "rule without signal": (lambda t: t.update(rules=[{"go": "< 1"}]), "signal"),
    "unknown engine": (lambda t: t["engine"].update(kind="magic"), "magic"),
    "no web address": (lambda t: t["app"].update(url="ftp://x"), "ftp"),
    "time without unit": (lambda t: t["traffic"].update(drain_timeout=30), "30"),
    "migrations without tool": (lambda t: t.update(database={"url": "x", "migrations": {"config": "x"}}), "tool"),
    "key of another tool": (lambda t: t.update(database=MIXED), "alembic.ini"),
    "database without url": (lambda t: t.update(database={}), "url"),
}


@pytest.mark.parametrize(("spoil", "word"), SPOILT.values(), ids=SPOILT.keys())
def test_a_fault_is_marked(table: dict[str, Any], spoil: Callable[[dict[str, Any]], object], word: str) -> None:
    spoil(table)
    found = faults(table)
    assert found
    assert any(word in fault for fault in found)


def test_what_extends_brings_need_not_be_repeated() -> None:
    assert faults({"extends": "base.toml", "app": {"url": "https://shop.example"}}) == []
    assert faults({"extends": "base.toml", "app": {"uri": "https://shop.example"}})


def test_every_key_of_the_decision_record_is_documented() -> None:
    text = (ROOT / "docs" / "decision.md").read_text(encoding="utf-8")
    schema = json.loads(texts()["decision.schema.json"])
    assert [key for key in schema["properties"] if f"`{key}`" not in text] == []
