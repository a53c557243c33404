"""A long passphrase through a whole run, as on a CI, where pytest shows differences in full and wraps what is long."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.suite.project import Project, outcomes

PASSPHRASE = "correct horse battery staple 7Kx pomegranate velvet lantern 42 crimson orchard & <tail>/Zz9"
WORDS = ("horse", "battery", "staple", "7Kx", "pomegranate", "velvet", "lantern", "crimson", "orchard")
"""Not the last ones: a cut leaves less than eight characters of them in places (docs/redaction.md)."""

CASES = r"""
import base64, json, pprint

@pytest.fixture
def key(environment): return environment.options["key"].reveal()

def test_list(key): assert [key] == ["x"]
def test_dict(key): assert {"passphrase": key, "host": "db"} == {"passphrase": "other", "host": "db"}
def test_nearly_the_same(key): assert {"passphrase": key} == {"passphrase": key + "!", "host": "db"}
def test_deep(key): assert {"a": {"b": [{"c": {"keys": [key, 1]}}]}} == {"a": {"b": [{"c": {"keys": [key, 2]}}]}}
def test_text(key): assert key == key.replace(key.split()[6], "cotton")
def test_lines(key): assert f"first\nkey {key}\nlast" == f"first\nkey {key}!\nlast"
def test_pprint(key):
    pprint.pprint({"passphrase": key, "more": [key] * 2}, width=50); assert False
def test_as_go_and_php_write_it(key):
    text = json.dumps({"pw": key})
    print(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))
    print(text.replace("/", "\\/"), json.dumps(json.dumps(text)))
    assert False
def test_mime(key): assert False, base64.encodebytes(f"a letter with {key} in the middle, and more".encode()).decode()
def test_every_character(key):
    print("".join(f"%{byte:02x}" for byte in key.encode()), "".join(f"&#x{ord(letter):x};" for letter in key))
    assert False
"""


def traces() -> set[str]:
    raw = PASSPHRASE.encode()
    bits = {base64.b64encode(b"\0" * before + raw).decode()[4:24] for before in range(3)}
    every = {"".join(f"%{byte:02x}" for byte in raw)[:24], "".join(f"&#x{ord(letter):x};" for letter in "horse")}
    return {*WORDS, *bits, *every}


def test_a_passphrase_of_ninety_characters_is_in_nothing_that_a_run_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MADE_UP_KEY": PASSPHRASE, "CI": "true", "GITHUB_ACTIONS": "true"}.items():
        monkeypatch.setenv(name, value)
    project = Project(tmp_path, PASSPHRASE).cases(CASES)
    result = project.run()
    assert len(outcomes(result)) == 10
    assert set(outcomes(result).values()) == {"failed"}
    assert "[redacted]" in next(case.details for case in result.cases if case.id.endswith("::test_list"))
    shown = {case.id: f"{case.message}\n{case.details}" for case in result.cases}
    shown |= {file.name: file.read_text(encoding="utf-8") for file in project.out.iterdir()}
    assert {"checks.html", "checks.junit.xml", "checks.events.jsonl"} <= shown.keys()
    found = {name: [trace for trace in traces() if trace in text] for name, text in shown.items()}
    assert {name: some for name, some in found.items() if some} == {}, [shown[name] for name in found if found[name]]
