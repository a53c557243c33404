"""The Dockerfiles, the compose file and the stack file are what their linters take them for."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
STORE = ROOT / "example" / "store"
DOCKERFILES = sorted(
    file for file in ROOT.rglob("Dockerfile*") if not {".venv", ".gate", ".git", "node_modules"} & set(file.parts)
)
STARTS = [STORE / "compose.yaml", STORE / "stack.yaml"]


@pytest.mark.parametrize(
    "argv",
    [
        *(["hadolint", "--failure-threshold", "style", str(file)] for file in DOCKERFILES),
        *(["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)] for file in STARTS),
    ],
    ids=lambda argv: Path(argv[-1]).relative_to(ROOT).as_posix(),
)
def test_it_is_clean(argv: list[str]) -> None:
    ended = subprocess.run(
        [str(PROGRAMS / argv[0]), *argv[1:]], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_linter_sees_what_is_wrong(tmp_path: Path) -> None:
    planted = tmp_path / "Dockerfile"
    planted.write_text("FROM debian:latest\nRUN cd /tmp && apt-get install curl\n")
    argv = [str(PROGRAMS / "hadolint"), "--failure-threshold", "style", str(planted)]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert {"DL3007", "DL3008"} <= set(re.findall(r"DL\d+", ended.stdout)), ended.stdout


def test_the_example_s_image_is_anybody_s_base_and_runs_as_nobody_special() -> None:
    lines = (STORE / "Dockerfile").read_text().splitlines()
    assert any(line.startswith("ARG BASE=") for line in lines)
    assert "FROM ${BASE}" in lines
    (user,) = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert all(int(part) > 0 for part in user.split(":"))


@pytest.mark.parametrize(("file", "count"), [(STARTS[0], 4), (STARTS[1], 1)], ids=["compose.yaml", "stack.yaml"])
def test_no_image_is_called_latest_and_no_secret_has_a_default(file: Path, count: int) -> None:
    text = file.read_text()
    images = re.findall(r"(?m)^    image: (.+)$", text)
    assert len(images) == count
    assert all(":" in image and not image.endswith(":latest") for image in images)
    defaults = set(re.findall(r"\$\{(\w+):-", text))
    assert defaults <= {"STORE_ENV_FILE", "STORE_PORT", "STORE_PORT_MODE", "STORE_ENDPOINT_MODE"}


def test_the_stack_file_is_production_s() -> None:
    """Its service, its image, and the file with its variables, which a check keeps an eye on."""
    stack = YAML(typ="safe").load(STORE / "stack.yaml")
    table = tomllib.loads((ROOT / "environments" / "production.toml").read_text(encoding="utf-8"))
    base = tomllib.loads((ROOT / "environments" / "base.toml").read_text(encoding="utf-8"))
    assert stack["services"].keys() == base["services"].keys()
    assert stack["services"]["web"]["image"].startswith(table["releases"]["image"] + ":")
    assert table["settings"]["files"] == [re.sub(r"\$\{\w+:-(.*)\}", r"\1", stack["services"]["web"]["env_file"])]
    assert f"stack.yaml {table['engine']['stack']}\n" in (STORE / "stack.yaml").read_text()
