"""What a runner of GitHub does with a step: fills in its expressions, runs it in bash, reads the files it wrote."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
ACTION = ROOT / ".github" / "actions" / "deploy-gate"
WORKFLOW = ROOT / ".github" / "workflows" / "deploy.yml"

# A gate that takes the arguments the real one takes, and then does as one test wants.
STAND_IN = """
import os, sys
from gate.commands.arguments import parse
words = sys.argv[1:]
parse(words, "gate")
{does}
"""


def parsed(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(file)
    return found


def expressions(text: str, values: Mapping[str, str]) -> str:
    """A text with its expressions filled in; one that nobody gave a value is a KeyError."""
    return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: values[found[1]], text)


@dataclass(frozen=True)
class Ended:
    """A step that ran: its exit code, its outputs, the job's summary, its log."""

    code: int
    outputs: dict[str, str]
    summary: str
    log: str


@dataclass
class Runner:
    """A runner with a workspace of its own."""

    workspace: Path

    def project(self, does: str = "") -> None:
        """A project whose gate is a stand-in."""
        (self.workspace / "environments").mkdir(exist_ok=True)
        (self.workspace / "deploy_gate.py").write_text(STAND_IN.format(does=does), encoding="utf-8")

    def answering(self, code: int, **document: object) -> None:
        """A project whose gate answers so."""
        whole = {"outcome": "RELEASED", "exit_code": code, "environment": "local", "reasons": [], **document}
        self.project(f"import json\nprint(json.dumps({whole!r}))\nsys.exit({code})")

    def environment(self, **variables: str) -> dict[str, str]:
        place = Path(sys.executable).parent
        return {
            "PATH": f"{place}:{os.environ['PATH']}",
            "HOME": os.environ.get("HOME", "/"),
            "PYTHONPATH": str(ROOT),
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(self.workspace / "output"),
            "GITHUB_STEP_SUMMARY": str(self.workspace / "summary"),
            **variables,
        }

    def step(self, inputs: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
        """The command line and the variables of the action's step, with these inputs and the others' defaults."""
        action = parsed(ACTION / "action.yml")
        defaults = {name: about.get("default") for name, about in action["inputs"].items()}
        assert inputs.keys() <= defaults.keys()
        given = {f"inputs.{name}": inputs.get(name, value) for name, value in defaults.items()}
        missing = [name for name, value in given.items() if value is None]
        assert not missing, missing
        values = {**given, "github.action_path": str(ACTION)}
        (step,) = [step for step in action["runs"]["steps"] if step.get("id") == "gate"]
        variables = {name: expressions(value, values) for name, value in step["env"].items()}
        return [*BASH, step["run"]], variables

    def gate(self, inputs: Mapping[str, str], **variables: str) -> Ended:
        """Runs the action's step."""
        argv, given = self.step({"environment": "local", "version": "1.0.0", **inputs})
        return self.run(argv, {**given, **variables})

    def run(self, argv: list[str], variables: Mapping[str, str]) -> Ended:
        """Runs any step."""
        for name in ("output", "summary"):
            (self.workspace / name).write_text("", encoding="utf-8")
        ended = subprocess.run(
            argv,
            cwd=self.workspace,
            env=self.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        outputs = (self.workspace / "output").read_text(encoding="utf-8")
        return Ended(ended.returncode, read(outputs), (self.workspace / "summary").read_text("utf-8"), ended.stdout)


BASH = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]


def read(text: str) -> dict[str, str]:
    """Outputs as a runner reads them: ``name<<END``, lines, ``END``."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, _, end = line.partition("<<")
        value = []
        for part in lines:
            if part == end:
                break
            value.append(part)
        found[name] = "\n".join(value)
    return found
