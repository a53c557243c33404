"""Environment files on disk: which there are, what they extend, and secrets made for a local install."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from gate import environments
from gate.config import settings
from gate.errors import ConfigError, UsageError

BASE = """
app = { name = "store", url = "http://127.0.0.1:18080" }
releases = { source = "releases" }
engine = { kind = "process" }
traffic = { listen = "127.0.0.1:18080" }
checks = { folders = ["checks"], timeout = "60s" }
smoke = { folders = ["smoke"] }
[services.web]
command = ["serve"]
route = "/"
health = "/health"
identity = "/version#version"
"""


def write(root: Path, name: str, text: str) -> None:
    folder = root / "environments"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def test_names(tmp_path: Path) -> None:
    assert environments.available(tmp_path) == []
    for name in ("staging.toml", "local.toml", "base.toml", "notes.txt"):
        write(tmp_path, name, BASE)
    assert environments.available(tmp_path) == ["local", "staging"]


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are: none"):
        environments.load("local", tmp_path, {})
    write(tmp_path, "local.toml", BASE)
    with pytest.raises(UsageError, match=r"no environment '\.\./x'; there are: local") as fault:
        environments.load("../x", tmp_path, {})
    assert fault.value.next_step == "python deploy_gate.py local status"


def test_extends_merges_table_by_table(tmp_path: Path) -> None:
    write(tmp_path, "base.toml", BASE)
    write(tmp_path, "here.toml", 'extends = "base.toml"\n[checks]\nfolders = ["mine"]\n[services.web]\nready = "/r"\n')
    environment = environments.load("here", tmp_path, {})
    assert environment.checks.folders == ["mine"]
    assert environment.checks.timeout == 60
    assert (environment.services["web"].ready, environment.services["web"].health) == ("/r", "/health")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('extends = "here.toml"\n', "environments/here.toml: extends: goes in a circle"),
        ('extends = "gone.toml"\n', "environments/gone.toml: cannot be read: No such file or directory"),
        ("extends = 3\n", 'environments/here.toml: extends: write the name of a file, such as "base.toml"'),
        ("[app\n", "environments/here.toml: not valid TOML: "),
        ("app = 1\napp = 2\n", "environments/here.toml: not valid TOML: "),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, text: str, problem: str) -> None:
    write(tmp_path, "here.toml", text)
    with pytest.raises(ConfigError) as fault:
        environments.load("here", tmp_path, {})
    assert fault.value.problems[0].startswith(problem)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    write(tmp_path, "here.toml", "")
    (tmp_path / "environments/here.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not valid TOML"):
        environments.load("here", tmp_path, {})


GENERATED = BASE + '[options]\nkey = "${generated:key}"\nagain = "${generated:key}"\n[stack]\n'


def test_generated_secrets_are_made_once_and_kept_for_their_owner(tmp_path: Path) -> None:
    write(tmp_path, "here.toml", GENERATED)
    first = environments.load("here", tmp_path, {})
    file = tmp_path / ".gate/here/secrets.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = json.loads(file.read_text())
    assert len(kept["key"]) >= 24
    assert first.options["key"].reveal() == first.options["again"].reveal() == kept["key"]
    assert environments.load("here", tmp_path, {}).options["key"].reveal() == kept["key"]
    assert kept["key"] not in first.redactor(f"key {kept['key']}")
    write(tmp_path, "there.toml", GENERATED)
    assert environments.load("there", tmp_path, {}).options["key"].reveal() != kept["key"]


def test_generated_secrets_are_only_for_a_stack_of_one_s_own(tmp_path: Path) -> None:
    write(tmp_path, "here.toml", GENERATED.replace("[stack]", ""))
    with pytest.raises(ConfigError, match=r"\$\{generated:…\} is only for environments with a \[stack\]"):
        environments.load("here", tmp_path, {})
    assert not (tmp_path / ".gate").exists()


def test_variable_names(tmp_path: Path) -> None:
    write(tmp_path, "base.toml", GENERATED)
    write(tmp_path, "here.toml", 'extends = "base.toml"\n[contacts]\nprimary = "${WHO}"\n')
    assert environments.variable_names("here", tmp_path) == {"WHO"}


@pytest.mark.parametrize(
    ("name", "step"),
    [("prodcution", "production"), ("loca", "local"), ("nowhere-near", None)],
)
def test_the_environment_that_was_meant_is_proposed_and_no_other(tmp_path: Path, name: str, step: str | None) -> None:
    (tmp_path / "environments").mkdir()
    for known in ("local", "production", "staging"):
        (tmp_path / "environments" / f"{known}.toml").touch()
    with pytest.raises(UsageError) as fault:
        environments.load(name, tmp_path)
    assert fault.value.next_step == (f"python deploy_gate.py {step} status" if step else None)


REPOSITORY = Path(__file__).resolve().parents[2]
OURS = {
    "FRONTEND_URL": "https://shop.of-ours",
    "DOCKER_SERVER": "server.of-ours",
    "DATABASE_URL": "postgresql://store:of-nobody-here@db.of-ours:5432/store",
    "REDIS_URL": "redis://:of-nobody-here@cache.of-ours:6379/0",
    "STORE_SECRET": "of-nobody-here-and-long-enough",
    "STORE_TRAINING_CODE": "of-nobody-here",
}


@pytest.mark.parametrize("name", ["staging", "production"])
def test_the_example_environments_require_no_setting_that_they_cannot_have(name: str) -> None:
    """Else a critical check refuses whatever is to be deployed by them."""
    assert environments.variable_names(name, REPOSITORY) <= OURS.keys()
    assert settings.faults(environments.load(name, REPOSITORY, OURS)) == []
