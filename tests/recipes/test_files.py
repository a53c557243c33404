"""What can be said of a recipe's files without what they are for: they load, and their scripts can be read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gate.config import CommandSettings
from gate.environments import load
from gate.stack.proxy import binary

RECIPES = Path(__file__).resolve().parents[2] / "example" / "recipes"
NAMES = sorted(place.name for place in RECIPES.iterdir())
SCRIPTS = [file for file in sorted(RECIPES.rglob("*")) if file.is_file() and file.read_bytes().startswith(b"#!/bin/sh")]
MADE_UP = {"FRONTEND_URL": "https://store.example", "DOOR_TOKEN": "d" * 32, "KUBECONFIG": "/etc/kube"}


@pytest.mark.parametrize("name", NAMES)
def test_its_environment_is_whole_and_names_files_that_are_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(RECIPES / name, tmp_path, dirs_exist_ok=True)
    (tmp_path / "environments").mkdir()
    (tmp_path / "environment.toml").rename(tmp_path / "environments" / "made.toml")
    for key, value in MADE_UP.items():
        monkeypatch.setenv(key, value)
    engine = load("made", tmp_path).engine
    assert isinstance(engine, CommandSettings)
    commands = [value for value in engine.model_dump().values() if isinstance(value, list)]
    named = {word for argv in commands for word in argv if re.match(r"(deploy|server|chart)/", word)}
    assert named
    for word in named:
        assert (tmp_path / word).is_file(), word


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: str(file.relative_to(RECIPES)))
def test_its_scripts_can_be_read_by_a_plain_shell(script: Path) -> None:
    argv = ["sh", "-n", str(script)]
    subprocess.run(argv, check=True, timeout=20)
    assert "set -eu\n" in script.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_the_page_names_it(name: str) -> None:
    assert f"../example/recipes/{name}" in (RECIPES.parents[1] / "docs" / "commands.md").read_text()


def test_the_proxy_takes_its_configuration() -> None:
    file = RECIPES / "systemd" / "server" / "Caddyfile"
    argv = [str(binary()), "validate", "--adapter", "caddyfile", "--config", str(file)]
    ended = subprocess.run(
        argv,
        env={"PATH": os.environ["PATH"], "DOOR_TOKEN": "t"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_ansible_takes_the_playbook() -> None:
    folder = RECIPES / "ansible"
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "--syntax-check", "deploy/deploy.yml"]
    env = {**os.environ, "ANSIBLE_CONFIG": "deploy/ansible.cfg"}
    ended = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=180, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def rendered(text: str, values: dict[str, str]) -> list[dict[str, object]]:
    for old, new in values.items():
        text = text.replace(old, new)
    assert "{{" not in text
    assert "@" not in text
    return list(YAML(typ="safe").load_all(text))


def test_the_chart_and_the_manifest_describe_the_same_store() -> None:
    chart, manifest = RECIPES / "helm" / "chart" / "templates", RECIPES / "kubectl" / "deploy" / "store.yaml"
    by_helm = "---\n".join((chart / f"{name}.yaml").read_text() for name in ("deployment", "service"))
    of_helm = {
        '{{ required "version" .Values.version | quote }}': '"1.1.0+fix"',
        '{{ required "tag" .Values.tag | quote }}': '"1.1.0_fix"',
        "{{ .Values.version | quote }}": '"1.1.0+fix"',
        "{{ .Values.replicas }}": "2",
        "{{ .Values.image }}": "registry.example/store",
        "{{ .Values.tag }}": "1.1.0_fix",
    }
    of_kubectl = {"@VERSION@": "1.1.0+fix", "@TAG@": "1.1.0_fix"}
    assert rendered(by_helm, of_helm) == rendered(manifest.read_text(), of_kubectl)


@pytest.mark.parametrize("name", ["deploy.sh", "serves.sh", "logs.sh"])
@pytest.mark.parametrize("recipe", ["kubectl", "helm"])
def test_what_is_asked_of_a_cluster_is_what_is_meant(recipe: str, name: str, tmp_path: Path) -> None:
    """Its programs are stand-ins that write down what they are asked for."""
    for program in ("kubectl", "helm"):
        (tmp_path / program).write_text(
            f'#!/bin/sh\necho "{program} $*" >>"{tmp_path}/asked"\ncat >>"{tmp_path}/read"\n'
        )
        (tmp_path / program).chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "NAMESPACE": "shop"}
    argv = ["sh", f"deploy/{name}", "1.1.0+fix", "1764349200"]
    subprocess.run(argv, cwd=RECIPES / recipe, env=env, stdin=subprocess.DEVNULL, check=True, timeout=20)
    asked = (tmp_path / "asked").read_text()
    assert all("--namespace shop" in line for line in asked.splitlines())
    if name == "logs.sh":
        assert "app=store,tag=1.1.0_fix" in asked
        assert "2025-11-28T17:00:00Z" in asked
    elif recipe == "helm" and name == "deploy.sh":
        assert "version=1.1.0+fix,tag=1.1.0_fix" in asked
    elif name == "deploy.sh":
        assert 'release: "1.1.0+fix"' in (tmp_path / "read").read_text()
        assert "rollout status deployment/store" in asked.splitlines()[-1]
